"""The engine's protocol, as far as both doubles of a provider share it: plain values, and what is no resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from lab.gcp.cloud import Values


def values(message: struct_pb2.Struct) -> Values:
    """A message as plain values; the protocol has one kind of number, the schema has two."""
    found: Values = _plain(json_format.MessageToDict(message))
    return found


def message(found: Mapping[str, Any]) -> struct_pb2.Struct:
    """Plain values as a message, those that are None left out."""
    struct = struct_pb2.Struct()
    struct.update({name: value for name, value in found.items() if value is not None})
    return struct


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if not name.startswith("__")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def with_unknown(properties: Values, names: frozenset[str]) -> Values:
    """Properties as they are told before the resource is made: what only Google can say is not known yet."""
    return {**dict.fromkeys(names, UNKNOWN), **properties}


def refuse(context: grpc.ServicerContext, error: Exception) -> None:
    """End the call with an error."""
    context.abort(grpc.StatusCode.UNKNOWN, f"error: {error}")


class AttachedProvider(provider_pb2_grpc.ResourceProviderServicer):
    """What the engine asks of a provider besides its resources, when it is attached to one that runs already."""

    version = "0.0.0"

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The engine says where it can be asked; nothing is asked of it."""
        del request, context
        return empty_pb2.Empty()

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Not offered: the engine then goes by what `Configure` answers."""
        del request
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version of the SDK that this is a double for."""
        del request, context
        return plugin_pb2.PluginInfo(version=self.version)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Any configuration is taken."""
        del context
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Another configuration is no other provider: nothing is replaced for it."""
        del context
        changed = request.olds != request.news
        answer = provider_pb2.DiffResponse
        return answer(changes=answer.DIFF_SOME if changed else answer.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Plain values are wanted."""
        del context
        self.configured(values(request.args))
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def configured(self, found: Values) -> None:
        """The configuration came."""

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """What is under way goes on to its end, as it does at Google."""
        del request, context
        return empty_pb2.Empty()
