"""Putting together what an operation needs: the session, the engine, the journal."""

import getpass
import os
import socket

from dr.cli.context import check_context
from dr.clients.kubernetes import KubernetesApi
from dr.engine.backend import state_folder
from dr.engine.installation import find_pulumi
from dr.engine.recovery_stack import RecoveryStack
from dr.model.config import Environment
from dr.model.holder import Holder
from dr.operations.journal import Journal
from dr.operations.session import Session


def open_session(environment: Environment, context: str | None, *, take_over: bool = False) -> Session:
    """The session for ``environment``. Raises RequestError when ``context`` is another one, AccessError without a
    kubeconfig.
    """
    check_context(environment, context)
    return Session(
        environment=environment,
        api=KubernetesApi(environment.kubernetes),
        holder=Holder(user=getpass.getuser(), host=socket.gethostname(), pid=os.getpid()),
        take_over=take_over,
    )


def open_stack(session: Session, operation: str) -> tuple[RecoveryStack, Journal]:
    """The recovery stack and the journal, neither touched yet. Raises EngineError when Pulumi could not run."""
    environment = session.environment
    stack = RecoveryStack(environment, find_pulumi())
    stack.backend.check_passphrase(os.environ)
    stack.backend.check_unlocked(take_over=session.take_over)
    user = session.holder.operator
    common = {"operation": operation, "environment": environment.name, "user": user, "pid": os.getpid()}
    path = state_folder() / "journal" / f"{environment.name}.jsonl"
    return stack, Journal(path=path, common=common, records=session.records, user=user)
