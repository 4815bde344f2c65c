"""The double of `pulumi-resource-command`, for `local.Command`: runs the commands of a program by a shell, here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2
from pulumi_command.local import Command, CommandArgs

from lab.gcp import shapes
from lab.gcp.cloud import Values
from lab.gcp.wire import AttachedProvider, message, refuse, values, with_unknown

OUTPUTS = frozenset({"stdout", "stderr"})


class CommandFailedError(Exception):
    """A command ended with another status than 0."""


class CommandProvider(AttachedProvider):
    """The provider."""

    version = version("pulumi-command")

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Whether the inputs have the shape that the schema says."""
        token = request.urn.split("::")[2].rpartition("$")[2]
        if token != Command.pulumi_type:  # type: ignore[attr-defined]
            refuse(context, ValueError(f"the double of the command provider does not know the type {token}"))
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(property=path, reason=reason)
                for path, reason in shapes.problems(CommandArgs, values(request.news))
            ],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Other triggers replace it, anything else that differs runs `update`."""
        del context
        olds, news = values(request.old_inputs), values(request.news)
        changed = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=[name for name in changed if name == "triggers"],
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Run `create`."""
        inputs = values(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=message(with_unknown(inputs, OUTPUTS)))
        properties = _ran(inputs, "create", context)
        return provider_pb2.CreateResponse(id=f"create{uuid4().hex[:8]}", properties=message(properties))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """It is what it was."""
        del context
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Run `update`, or where there is none `create` again."""
        inputs = values(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=message(with_unknown(inputs, OUTPUTS)))
        which = "update" if inputs.get("update") else "create"
        return provider_pb2.UpdateResponse(properties=message(_ran(inputs, which, context)))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Run `delete`, if there is one."""
        state = values(request.properties)
        if state.get("delete"):
            _ran(state, "delete", context)
        return empty_pb2.Empty()


def _ran(inputs: Values, which: str, context: grpc.ServicerContext) -> Values:
    try:
        return {**inputs, **run(inputs, which)}
    except (CommandFailedError, OSError) as error:
        refuse(context, error)
        raise


def run(inputs: Mapping[str, Any], which: str) -> dict[str, str]:
    """Run one of the commands to its end; what it printed.

    Raises:
        CommandFailedError: it failed.
    """
    if not inputs.get(which):
        return {"stdout": "", "stderr": ""}
    done = subprocess.run(
        [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), inputs[which]],
        cwd=inputs.get("dir"),
        env={**os.environ, **(inputs.get("environment") or {})},
        input=inputs.get("stdin") or "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailedError(f"exit status {done.returncode}: running {inputs[which]!r}:\n{done.stderr}")
    return {"stdout": done.stdout.rstrip("\n"), "stderr": done.stderr.rstrip("\n")}
