"""Putting together what an operation needs: the session, the engine, the journal."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from dr.config.environment import Environment, Override
from dr.config.infrastructure import StackConfig
from dr.core.errors import AccessError, DrError, EngineError, RefusedError, RequestError, problems_of
from dr.engine.backend import Backend, check_folder, state_folder
from dr.engine.background_stack import in_background
from dr.engine.command import find_pulumi
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.engine.processes import this_process
from dr.engine.recovery_stack import RecoveryStack
from dr.kube.api import KubernetesApi
from dr.run import lease
from dr.run.journal import Journal
from dr.run.session import Session

T = TypeVar("T")


def open_session(
    environment: Environment, context: str | None, *, take_over: bool = False, typed: tuple[Override, ...] = ()
) -> Session:
    """The session for ``environment``. Raises RequestError when ``context`` is another one, AccessError without a
    kubeconfig.
    """
    check_context(environment, context)
    return Session(
        environment=environment,
        api=KubernetesApi(environment.kubernetes, environment.commands),
        holder=this_process(),
        take_over=take_over,
        typed=typed,
    )


@dataclass(frozen=True, kw_only=True)
class Opened(Generic[T]):
    """All that an operation needs, seen to be there, and what was decided."""

    session: Session
    stack: RecoveryStack
    journal: Journal
    decided: T


def open_operation(
    environment: Environment,
    context: str | None,
    operation: str,
    decide: Callable[[Session], T],
    *,
    take_over: bool,
    typed: tuple[Override, ...],
    dry_run: bool,
    say: Callable[[str], None],
) -> Opened[T]:
    """See that everything is there that the operation will need, and decide. Pulumi's state is opened meanwhile.

    What is missing is reported in one answer: the only error as it is, RefusedError with all where there are more.
    Raises RequestError when ``context`` is another one.
    """
    check_context(environment, context)
    lacks, session, stack = Lacks(), None, None
    decided: list[T] = []
    opening: Future[None] | None = None
    with lacks.gathered():
        Backend.of(environment).check_passphrase(os.environ)
    with lacks.gathered():
        stack = RecoveryStack(environment, find_pulumi())
        if not lacks.found:
            opening = in_background(stack.check)
    with lacks.gathered():
        session = replace(open_session(environment, context, take_over=take_over, typed=typed), say=say)
    with lacks.gathered():
        check_folder(journal_of(environment.name).parent)
    try:
        if session is not None:
            with lacks.gathered():
                check_free(session, Backend.of(environment), dry_run=dry_run)
                with lacks.gathered():
                    check_exec(session)
                decided = [decide(session)]
        if opening is not None:
            with lacks.gathered():
                opening.result()
    except BaseException:
        if stack is not None:
            stack.abandon()
        raise
    lacks.tell()
    return Opened(session=session, stack=stack, journal=open_journal(session, operation), decided=decided[0])


class Lacks:
    """What an operation needs and has not, gathered to be reported at once."""

    def __init__(self) -> None:
        self.found: list[DrError] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """What is missing within the context is gathered; a request that makes no sense is raised at once."""
        try:
            yield
        except (AccessError, EngineError, RefusedError) as error:
            self.found.append(error)

    def tell(self) -> None:
        """Raise what was gathered, if anything."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise RefusedError([problem for error in self.found for problem in problems_of(error)])


def check_free(session: Session, backend: Backend, *, dry_run: bool) -> None:
    """See that nobody else is at work. The lease knows more than the lock of Pulumi's state, and is asked first; a dry
    run is not in anybody's way unless the state is locked. Raises RefusedError, AccessError, EngineError.
    """
    locked = None
    try:
        backend.check_unlocked(take_over=session.take_over)
    except EngineError as error:
        locked = error
    if locked is not None or not dry_run:
        with_what = ""
        with suppress(AccessError):
            entry = found.unfinished if (found := session.records.read()) else None
            with_what = f"{entry.operation}, in its step {entry.steps[-1].key}" if entry and entry.steps else ""
        lease.check_free(session.lease, take_over=session.take_over, now=session.clock(), action=with_what)
    if locked is not None:
        raise locked


def check_exec(session: Session) -> None:
    """See that this user may run programs in the databases' pods: an operation fences, seals and verifies so. Raises
    AccessError.
    """
    namespace, what = session.environment.namespace, "ask what this user may do"
    # A WebSocket is opened by GET, and needs "create" besides from Kubernetes 1.35 on.
    if not any(session.api.may(what, verb, "pods/exec", namespace) for verb in ("create", "get")):
        raise AccessError(
            "forbidden",
            f"the user of context {session.api.context!r} may not run programs in pods of {namespace} (pods/exec)",
            "ask for deploy/rbac/recover.yaml, or use an account that has it",
        )


def open_stack(session: Session, operation: str) -> tuple[RecoveryStack, Journal]:
    """The recovery stack and the journal, neither touched yet; nothing is opened. Raises EngineError when Pulumi could
    not run.
    """
    stack = open_for_preview(session)
    stack.backend.check_unlocked(take_over=session.take_over)
    return stack, open_journal(session, operation)


def open_for_preview(session: Session) -> RecoveryStack:
    """The recovery stack, to be looked at only: another holder is not in the way. Raises EngineError."""
    stack = RecoveryStack(session.environment, find_pulumi())
    stack.backend.check_passphrase(os.environ)
    return stack


def open_below(part: StackConfig) -> InfrastructureStack:
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
    """Where the journal of an environment is kept on this machine, and next to it its reports."""
    return state_folder() / "journal" / f"{environment}.jsonl"


def check_context(environment: Environment, context: str | None) -> None:
    """Raise RequestError when ``context`` is given and is not the environment's."""
    if context is not None and context != environment.kubernetes.context:
        raise RequestError(
            "context-not-the-environments",
            f"--context {context!r} is not the one of {environment.name}, {environment.kubernetes.context!r}",
            "leave --context out, or correct kubernetes.context in Pulumi.<env>.yaml",
        )
