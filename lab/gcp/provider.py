"""The double of `pulumi-resource-gcp`: translates between the engine's protocol and `google`."""

from __future__ import annotations

import re
from importlib.metadata import version

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2
from pulumi.runtime.rpc import UNKNOWN

from lab.gcp import changes, errors, shapes
from lab.gcp.cloud import Values
from lab.gcp.errors import GoogleError, RefusedByProviderError
from lab.gcp.google import Google
from lab.gcp.kinds import Kind
from lab.gcp.resource_types import KINDS
from lab.gcp.wire import AttachedProvider, message, refuse, values, with_unknown

CLIENT_CONFIG = "gcp:organizations/getClientConfig:getClientConfig"
PROJECT = "gcp:organizations/getProject:getProject"
_DIFF = provider_pb2.PropertyDiff


class GoogleProvider(AttachedProvider):
    """The provider."""

    version = version("pulumi-gcp")

    def __init__(self, google: Google) -> None:
        self._google = google

    def configured(self, found: Values) -> None:
        """Project, region and zone, where the program names them for all."""
        self._google.defaults |= {name: found[name] for name in ("project", "region", "zone") if found.get(name)}

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Whether the inputs have the shape that the schema says, and names that Google takes."""
        kind = _kind(request.urn, context)
        news, olds = values(request.news), values(request.olds)
        if kind.autonamed and news.get("name") is None:
            logical = request.urn.rpartition("::")[2].lower()
            news["name"] = olds.get("name") or f"{logical}-{request.randomSeed.hex()[:7] or 'aaaaaaa'}"
        failures = list(shapes.problems(kind.args, news))
        for name, pattern in kind.names.items():
            value = news.get(name)
            if isinstance(value, str) and value != UNKNOWN and re.fullmatch(pattern, value) is None:
                failures.append((name, f"{value!r} doesn't match regexp {pattern!r}"))
        return provider_pb2.CheckResponse(
            inputs=message(news),
            failures=[provider_pb2.CheckFailure(property=path, reason=reason) for path, reason in failures],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """What an update would change, and whether it would replace."""
        kind = _kind(request.urn, context)
        olds, news = values(request.olds), values(request.news)
        found = [
            change
            for change in changes.changes(kind, olds, news)
            if not {change.path, change.name} & set(request.ignoreChanges)
        ]
        replaced = [change.name for change in found if change.replaces]
        renamed = any(change.replaces and "{" + change.name + "}" in kind.id for change in found)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({change.name for change in found}),
            replaces=sorted(set(replaced)),
            deleteBeforeReplace=bool(replaced) and not renamed,
            detailedDiff={change.path: _DIFF(kind=_kind_of(change)) for change in found},
            hasDetailedDiff=True,
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Make it, or in a preview say what is known of it."""
        kind = _kind(request.urn, context)
        inputs = values(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=message(with_unknown(inputs, kind.only_outputs)))
        try:
            key, properties = self._google.create(kind, inputs)
        except (GoogleError, RefusedByProviderError) as error:
            refuse(context, error)
            raise
        return provider_pb2.CreateResponse(id=key, properties=message(properties))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """Find it as it is, for a refresh or an import; an answer without ID says that it is gone."""
        kind = _kind(request.urn, context)
        state, inputs = values(request.properties), values(request.inputs)
        try:
            found = self._google.read(kind, request.id, state)
        except GoogleError as error:
            refuse(context, error)
            raise
        if found is None:
            return provider_pb2.ReadResponse()
        key, properties = found
        wanted = _inputs(kind, properties, inputs if state else {})
        return provider_pb2.ReadResponse(id=key, properties=message(properties), inputs=message(wanted))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Change it in place."""
        kind = _kind(request.urn, context)
        inputs = values(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=message({**values(request.olds), **inputs}))
        try:
            properties = self._google.update(kind, request.id, inputs)
        except GoogleError as error:
            refuse(context, error)
            raise
        return provider_pb2.UpdateResponse(properties=message(properties))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Remove it, unless its properties or Google forbid it."""
        kind = _kind(request.urn, context)
        try:
            self._google.delete(kind, request.id, values(request.properties))
        except (GoogleError, RefusedByProviderError) as error:
            refuse(context, error)
            raise
        return empty_pb2.Empty()

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """The two functions that say who and where one is."""
        places = self._google.defaults
        project = places.get("project", self._google.cloud.project)
        answers = {
            CLIENT_CONFIG: {"id": project, "accessToken": self._google.backend.token(), **places},
            PROJECT: {"id": f"projects/{project}", "projectId": project, "number": str(errors.PROJECT_NUMBER)},
        }
        if request.tok not in answers:
            refuse(context, errors.invalid(f"the double of Google does not know the function {request.tok}"))
        return provider_pb2.InvokeResponse(**{"return": message(answers[request.tok])})


def _kind(urn: str, context: grpc.ServicerContext) -> Kind:
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in KINDS:
        refuse(context, errors.invalid(f"the double of Google does not know the type {token}"))
    return KINDS[token]


def _kind_of(change: changes.Change) -> _DIFF.Kind.ValueType:
    if change.old is None:
        return _DIFF.ADD_REPLACE if change.replaces else _DIFF.ADD
    if change.new is None:
        return _DIFF.DELETE_REPLACE if change.replaces else _DIFF.DELETE
    return _DIFF.UPDATE_REPLACE if change.replaces else _DIFF.UPDATE


def _inputs(kind: Kind, properties: Values, known: Values) -> Values:
    """The inputs that would have made it: those that were given, as they are now, and for an import all of note."""
    if known:
        other = {change.name for change in changes.changes(kind, properties, known)}
        return {name: properties.get(name) if name in other else value for name, value in known.items()}
    return {
        name: value
        for name, value in properties.items()
        if name in kind.inputs and value not in (None, "", [], {}) and kind.defaults.get(name) != value
    }
