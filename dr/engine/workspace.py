"""One Pulumi stack, opened and brought up through the Automation API, with its failures explained."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pulumi.automation import (
    CommandError,
    ConcurrentUpdateError,
    Deployment,
    LocalWorkspaceOptions,
    ProjectBackend,
    ProjectSettings,
    Stack,
    StackNotFoundError,
    create_or_select_stack,
    select_stack,
)

from dr.engine.backend import Backend, locked_error
from dr.engine.command import InterruptibleCommand
from dr.model.config import Environment
from dr.model.errors import EngineError
from dr.model.stack_file import PROJECT

_LINES_TO_SHOW = 12
_OF_THE_STACK = ("pulumi:pulumi:Stack", "pulumi:providers:")

T = TypeVar("T")


def open_stack(
    environment: Environment,
    backend: Backend,
    command: InterruptibleCommand,
    *,
    folder: Path,
    program: Callable[[], None],
    make: bool = True,
) -> Stack:
    """The environment's stack, made if it is new and ``make`` allows it. ``folder`` holds the workspace's files. Raises
    EngineError, ``stack-missing`` where it would have to be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if backend.folder and make:
        backend.folder.mkdir(parents=True, exist_ok=True)
    return explained(
        environment,
        command,
        lambda: (create_or_select_stack if make else select_stack)(
            stack_name=environment.name,
            project_name=PROJECT,
            program=program,
            opts=LocalWorkspaceOptions(
                work_dir=str(folder),
                project_settings=ProjectSettings(
                    name=PROJECT, runtime="python", main=str(folder), backend=ProjectBackend(url=backend.url)
                ),
                secrets_provider=environment.secrets_provider,
                env_vars=_variables(environment, backend),
                pulumi_command=command,
            ),
        ),
    )


def bring_up(environment: Environment, command: InterruptibleCommand, stack: Stack) -> None:
    """``pulumi up``, to its end. Raises EngineError.

    It refreshes first: a Cluster that was deleted by hand has to be created again, not believed to be there.
    """
    explained(
        environment, command, lambda: stack.up(refresh=True, show_secrets=False, suppress_progress=True, color="never")
    )


def forget(environment: Environment, command: InterruptibleCommand, stack: Stack) -> None:
    """Take every resource out of the stack's state, but for the stack itself and its provider. Raises EngineError.

    None of them is touched. Not ``pulumi destroy``, which would delete what others declare from now on.
    """

    def work() -> None:
        state = stack.export_stack()
        deployment = dict(state.deployment or {})
        resources = deployment.get("resources") or []
        kept = [resource for resource in resources if resource["type"].startswith(_OF_THE_STACK)]
        if kept != resources:
            stack.import_stack(Deployment(version=state.version, deployment={**deployment, "resources": kept}))

    explained(environment, command, work)


def _variables(environment: Environment, backend: Backend) -> Mapping[str, str]:
    variables = {
        "PULUMI_BACKEND_URL": backend.url,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The salt lies in the state, so that another operator's machine, or a lost folder, makes no difference.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    if kubeconfig := environment.kubernetes.kubeconfig:
        variables["KUBECONFIG"] = str(Path(kubeconfig).expanduser())
    return variables


def explained(environment: Environment, command: InterruptibleCommand, work: Callable[[], T]) -> T:
    """Do ``work``; the Automation API's errors, which carry only text, become ours by what the command printed."""
    try:
        return work()
    except ConcurrentUpdateError as error:
        raise locked_error(environment.name, _last_lines(_printed(command))) from error
    except StackNotFoundError as error:
        raise EngineError(
            "stack-missing",
            f"there is no stack {environment.name} yet",
            "the first recovery makes it; a preview shows what that would be",
        ) from error
    except (CommandError, OSError) as error:
        text = _printed(command) or str(error)
        if "incorrect passphrase" in text:
            raise EngineError(
                "passphrase-wrong",
                f"the passphrase does not open the state of {environment.name}",
                "give the passphrase that the stack was made with (PULUMI_CONFIG_PASSPHRASE_FILE)",
            ) from error
        raise EngineError(
            "engine-failed",
            f"Pulumi failed: {_last_lines(text)}",
            "mend the cause and repeat the command: it goes on where it stopped",
        ) from error


def _printed(command: InterruptibleCommand) -> str:
    last = command.last
    return f"{last.stdout}\n{last.stderr}" if last and last.code != 0 else ""


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_LINES_TO_SHOW:])
