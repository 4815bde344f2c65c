"""Putting together what an operation needs: the session, the engine, the journal."""

import os
from pathlib import Path

from dr.config.environment import Environment, Override
from dr.config.infrastructure import Part
from dr.core.errors import RequestError
from dr.engine.backend import check_folder, state_folder
from dr.engine.command import find_pulumi
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.engine.processes import this_process
from dr.engine.recovery_stack import RecoveryStack
from dr.kube.api import KubernetesApi
from dr.run.journal import Journal
from dr.run.session import Session


def open_session(
    environment: Environment, context: str | None, *, take_over: bool = False, typed: tuple[Override, ...] = ()
) -> Session:
    """The session for ``environment``. Raises RequestError when ``context`` is another one, AccessError without a
    kubeconfig.
    """
    check_context(environment, context)
    return Session(
        environment=environment,
        api=KubernetesApi(environment.kubernetes),
        holder=this_process(),
        take_over=take_over,
        typed=typed,
    )


def open_stack(session: Session, operation: str) -> tuple[RecoveryStack, Journal]:
    """The recovery stack and the journal, neither touched yet. Raises EngineError when Pulumi could not run."""
    stack = open_for_preview(session)
    stack.backend.check_unlocked(take_over=session.take_over)
    return stack, open_journal(session, operation)


def open_for_preview(session: Session) -> RecoveryStack:
    """The recovery stack, to be looked at only: whoever holds it is not in the way. Raises EngineError."""
    stack = RecoveryStack(session.environment, find_pulumi())
    stack.backend.check_passphrase(os.environ)
    return stack


def open_below(part: Part) -> InfrastructureStack:
    """A stack of the infrastructure, to be looked at only. Raises EngineError."""
    stack = InfrastructureStack(part, find_pulumi())
    stack.backend.check_passphrase(os.environ)
    return stack


def open_journal(session: Session, operation: str, *, recorded: bool = True) -> Journal:
    """The journal, not touched yet; ``recorded`` says that the operation is part of the environment's history. Raises
    AccessError where this machine could not keep it.
    """
    check_folder(journal_of(session.environment.name).parent)
    user, name = session.holder.operator, session.environment.name
    common = {"operation": operation, "environment": name, "user": user, "pid": os.getpid()}
    return Journal(path=journal_of(name), common=common, records=session.records if recorded else None, user=user)


def journal_of(environment: str) -> Path:
    """Where the journal of an environment is kept on this machine, and beside it its reports."""
    return state_folder() / "journal" / f"{environment}.jsonl"


def check_context(environment: Environment, context: str | None) -> None:
    """Raise RequestError when ``context`` is given and is not the environment's."""
    if context is not None and context != environment.kubernetes.context:
        raise RequestError(
            "context-not-the-environments",
            f"--context {context!r} is not the one of {environment.name}, {environment.kubernetes.context!r}",
            "leave --context out, or correct kubernetes.context in Pulumi.<env>.yaml",
        )
