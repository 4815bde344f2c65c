"""One Pulumi stack, opened and brought up through the Automation API; its state exported and rewritten."""

import json
import subprocess
from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

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

from dr.config.stack_file import PROJECT
from dr.core.commands import command_line
from dr.core.errors import EngineError
from dr.engine.backend import Backend, locked_error
from dr.engine.changes import PROVIDER_PREFIX, STACK_TYPE
from dr.engine.command import InterruptibleCommand, find_pulumi

_LINES_TO_SHOW = 12
_CAUSES = "Diagnostics:"
_AFTER_CAUSES = {"Outputs:", "Resources:", "Policies:"}
"""Headings of what `pulumi up` prints at its end."""

T = TypeVar("T")


def open_stack(
    backend: Backend,
    command: InterruptibleCommand,
    *,
    folder: Path,
    program: Callable[[], None],
    make: bool = True,
) -> Stack:
    """The stack, made if it is new and ``make`` allows it. ``folder`` holds the workspace's files. Raises
    EngineError, ``stack-missing`` where it would have to be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if backend.folder and make:
        backend.folder.mkdir(parents=True, exist_ok=True)
    return explained(
        backend.stack,
        command,
        lambda: (create_or_select_stack if make else select_stack)(
            stack_name=backend.stack,
            project_name=PROJECT,
            program=program,
            opts=LocalWorkspaceOptions(
                work_dir=str(folder),
                project_settings=ProjectSettings(
                    name=PROJECT, runtime="python", main=str(folder), backend=ProjectBackend(url=backend.url)
                ),
                secrets_provider=backend.secrets_provider,
                env_vars=_variables(backend),
                pulumi_command=command,
            ),
        ),
    )


def bring_up(command: InterruptibleCommand, stack: Stack, *, targets: Collection[str] = ()) -> None:
    """``pulumi up``, to its end, of ``targets`` only where there are any. Raises EngineError.

    It refreshes first: a Cluster that was deleted by hand has to be created again, not believed to be there. Not with
    ``targets``: a refresh refuses those that are not in the state yet.
    """
    explained(
        stack.name,
        command,
        lambda: stack.up(
            refresh=not targets,
            show_secrets=False,
            suppress_progress=True,
            color="never",
            target=list(targets) or None,
        ),
    )


def refresh(command: InterruptibleCommand, stack: Stack) -> None:
    """``pulumi refresh``: the state becomes what the providers see. Raises EngineError."""
    explained(
        stack.name,
        command,
        lambda: stack.refresh(show_secrets=False, suppress_progress=True, color="never", run_program=False),
    )


def resources_held(command: InterruptibleCommand, stack: Stack) -> dict[str, str]:
    """The IDs of what the stack's state holds, by URN. Raises EngineError."""
    return explained(stack.name, command, lambda: held(stack.export_stack().deployment or {}))


def forget(command: InterruptibleCommand, stack: Stack, outputs: Mapping[str, Any]) -> None:
    """Take every resource out of the stack's state, but for the stack itself and its provider. Raises EngineError.

    None of them is touched, and the outputs become ``outputs``. Not ``pulumi destroy``, which would delete what others
    declare from now on.
    """
    _rewrite(command, stack, lambda deployment: emptied(deployment, outputs))


def drop(command: InterruptibleCommand, stack: Stack, urns: Collection[str]) -> None:
    """Take ``urns`` out of the stack's state, as :func:`forget` does with everything. Raises EngineError."""
    _rewrite(command, stack, lambda deployment: without(deployment, urns))


def _rewrite(
    command: InterruptibleCommand, stack: Stack, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> None:
    def work() -> None:
        state = stack.export_stack()
        before = state.deployment or {}
        after = change(before)
        if after.get("resources") != before.get("resources"):
            stack.import_stack(Deployment(version=state.version, deployment=dict(after)))

    explained(stack.name, command, work)


def _variables(backend: Backend) -> Mapping[str, str]:
    return {
        "PULUMI_BACKEND_URL": backend.url,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The salt lies in the state, so that another operator's machine, or a lost folder, makes no difference.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        **backend.variables,
    }


def explained(name: str, command: InterruptibleCommand, work: Callable[[], T]) -> T:
    """Do ``work`` on the stack ``name``; the Automation API's errors, which carry only text, become ours by what the
    command printed.
    """
    try:
        return work()
    except ConcurrentUpdateError as error:
        raise locked_error(name, _last_lines(_printed(command))) from error
    except StackNotFoundError as error:
        raise EngineError(
            "stack-missing",
            f"there is no stack {name} yet",
            "the first recovery makes it; a preview shows what that would be",
        ) from error
    except (CommandError, OSError) as error:
        text = _printed(command) or str(error)
        if "incorrect passphrase" in text:
            raise EngineError(
                "passphrase-wrong",
                f"the passphrase does not open the state of {name}",
                "give the passphrase that the stack was made with (PULUMI_CONFIG_PASSPHRASE_FILE)",
            ) from error
        raise EngineError(
            "engine-failed",
            f"Pulumi failed: {_last_lines(text)}",
            "fix the cause and repeat the command: it continues where it stopped",
        ) from error


def _printed(command: InterruptibleCommand) -> str:
    last = command.last
    return f"{last.stdout}\n{last.stderr}" if last and last.code != 0 else ""


def _last_lines(text: str) -> str:
    """What Pulumi said last: of the cause, where it names one, and not of the stack's outputs, which come after it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if _CAUSES in lines:
        lines = list(takewhile(lambda line: line not in _AFTER_CAUSES, lines[lines.index(_CAUSES) + 1 :])) or lines
    return " / ".join(lines[-_LINES_TO_SHOW:])


_SECONDS = 60


def export_state(stack: str) -> Mapping[str, Any]:
    """The deployment of ``stack`` (``organization/project/name``), in the backend that Pulumi is logged in to. Raises
    EngineError.
    """
    try:
        done = subprocess.run(
            [find_pulumi().program, "stack", "export", "--stack", stack, "--non-interactive"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        document = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise EngineError(
            "state-unreadable",
            f"the state of {stack} cannot be read: {said}",
            "see that this works with the same variables: "
            + command_line("pulumi", "stack", "export", "--stack", stack),
        ) from error
    deployment = document.get("deployment") if isinstance(document, Mapping) else None
    return deployment if isinstance(deployment, Mapping) else {}


_OF_THE_STACK = (STACK_TYPE, PROVIDER_PREFIX)


def held(deployment: Mapping[str, Any]) -> dict[str, str]:
    """The IDs of the resources that a provider knows, by their URNs. What is only waiting for its deletion is none."""
    return {
        resource["urn"]: resource["id"]
        for resource in deployment.get("resources") or ()
        if resource.get("custom")
        and resource.get("id")
        and not resource.get("delete")
        and not _is_of_the_stack(resource)
    }


def emptied(deployment: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The state with the stack itself and its providers, and nothing else; the stack's outputs become ``outputs``."""
    kept = (resource for resource in deployment.get("resources") or () if _is_of_the_stack(resource))
    return {
        **deployment,
        "resources": [
            {**resource, "outputs": dict(outputs)} if resource["type"] == STACK_TYPE else resource for resource in kept
        ],
    }


def without(deployment: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    """The state without ``urns``, protected or not, and without a word of them in what stays: Pulumi refuses a state in
    which a resource depends on one that is not there.
    """
    resources = [
        _not_naming(resource, urns) for resource in deployment.get("resources") or () if resource["urn"] not in urns
    ]
    pending = [
        operation
        for operation in deployment.get("pending_operations") or ()
        if operation.get("resource", {}).get("urn") not in urns
    ]
    kept = {key: value for key, value in deployment.items() if key != "pending_operations"}
    return {**kept, "resources": resources, **({"pending_operations": pending} if pending else {})}


def _not_naming(resource: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    changed = deepcopy(dict(resource))
    if "dependencies" in changed:
        changed["dependencies"] = [urn for urn in changed["dependencies"] or () if urn not in urns]
    if "propertyDependencies" in changed:
        changed["propertyDependencies"] = {
            name: [urn for urn in found or () if urn not in urns]
            for name, found in (changed["propertyDependencies"] or {}).items()
        }
    if changed.get("deletedWith") in urns:
        del changed["deletedWith"]
    return changed


def _is_of_the_stack(resource: Mapping[str, Any]) -> bool:
    return str(resource["type"]).startswith(_OF_THE_STACK)
