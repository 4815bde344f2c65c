"""The double of Google in tests: asked over gRPC as the engine asks it, and over HTTP as ``dr`` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab.gcp import resource_types
from lab.gcp.__main__ import Double
from lab.gcp.backend import Backend, RecordOnlyBackend
from lab.gcp.cloud import Cloud, Contents
from lab.gcp.kinds import Kind
from lab.gcp.wire import message, values
from tests.support.waiting import HANG_SECONDS

PROJECT = "acme-485000"
REGION = "asia-northeast1"
EMAIL = f"db-backup@{PROJECT}.iam.gserviceaccount.com"

BUCKET = {
    "name": "acme-backups",
    "location": REGION,
    "uniformBucketLevelAccess": True,
    "publicAccessPrevention": "enforced",
    "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 30}}],
    "softDeletePolicy": {"retentionDurationSeconds": 604800},
    "versioning": {"enabled": False},
}
ACCOUNT = {"accountId": "db-backup", "displayName": "Writes backups"}
NETWORK = {"name": "acme", "autoCreateSubnetworks": False}
SUBNETWORK = {
    "name": "acme",
    "network": "acme",
    "region": REGION,
    "ipCidrRange": "10.0.0.0/20",
    "secondaryIpRanges": [
        {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
        {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
    ],
}
CLUSTER = {
    "name": "acme",
    "location": REGION,
    "network": "acme",
    "subnetwork": "acme",
    "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
    "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
    "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"allowExternalTraffic": True}},
    "removeDefaultNodePool": True,
    "initialNodeCount": 1,
    "deletionProtection": False,
}


class RefusedError(Exception):
    """The provider answered a call with an error."""


@dataclass(frozen=True)
class Resource:
    """One that the provider made or found."""

    id: str
    properties: dict[str, Any]
    inputs: dict[str, Any]


class Engine:
    """Asks a provider what the engine would ask of it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = provider_pb2_grpc.ResourceProviderStub(channel)
        self.ask("Configure", provider_pb2.ConfigureRequest(args=message({"region": REGION})))

    def check(self, kind: Kind, inputs: dict[str, Any]) -> list[str]:
        """What is wrong with the inputs, each with its path."""
        answer = self._checked(kind, inputs)
        return [f"{failure.property}: {failure.reason}" for failure in answer.failures]

    def create(self, kind: Kind, inputs: dict[str, Any]) -> Resource:
        """Check and make."""
        checked = self._checked(kind, inputs)
        assert not checked.failures
        answer = self.ask("Create", provider_pb2.CreateRequest(urn=_urn(kind), properties=checked.inputs))
        return Resource(answer.id, values(answer.properties), values(checked.inputs))

    def read(self, kind: Kind, given: str, known: Resource | None = None) -> Resource | None:
        """Refresh what is known, or import what is not; None if it is gone."""
        request = provider_pb2.ReadRequest(urn=_urn(kind), id=given)
        if known is not None:
            request.properties.CopyFrom(message(known.properties))
            request.inputs.CopyFrom(message(known.inputs))
        answer = self.ask("Read", request)
        return Resource(answer.id, values(answer.properties), values(answer.inputs)) if answer.id else None

    def diff(self, kind: Kind, known: Resource, inputs: dict[str, Any]) -> provider_pb2.DiffResponse:
        """What would have to change."""
        found: provider_pb2.DiffResponse = self.ask(
            "Diff",
            provider_pb2.DiffRequest(
                urn=_urn(kind),
                id=known.id,
                olds=message(known.properties),
                old_inputs=message(known.inputs),
                news=self._checked(kind, inputs).inputs,
            ),
        )
        return found

    def update(self, kind: Kind, known: Resource, inputs: dict[str, Any]) -> Resource:
        """Change in place."""
        request = provider_pb2.UpdateRequest(urn=_urn(kind), id=known.id, news=message(inputs))
        request.olds.CopyFrom(message(known.properties))
        return Resource(known.id, values(self.ask("Update", request).properties), inputs)

    def delete(self, kind: Kind, known: Resource) -> None:
        """Remove."""
        self.ask(
            "Delete", provider_pb2.DeleteRequest(urn=_urn(kind), id=known.id, properties=message(known.properties))
        )

    def ask(self, method: str, request: Any) -> Any:
        """One call. Raises RefusedError with what the provider said."""
        try:
            return getattr(self._stub, method)(request, timeout=HANG_SECONDS)
        except grpc.RpcError as error:
            raise RefusedError(error.details()) from error

    def _checked(self, kind: Kind, inputs: dict[str, Any]) -> provider_pb2.CheckResponse:
        request = provider_pb2.CheckRequest(
            urn=_urn(kind), news=message(inputs), olds=struct_pb2.Struct(), randomSeed=b"seed"
        )
        found: provider_pb2.CheckResponse = self.ask("Check", request)
        return found


def _urn(kind: Kind) -> str:
    return f"urn:pulumi:prod::test::postgres-dr:infrastructure:Part${kind.token}::thing"


@dataclass(frozen=True)
class Google:
    """A double that serves, and the cloud behind it."""

    double: Double
    engine: Engine
    cloud: Cloud

    @property
    def contents(self) -> Contents:
        return self.cloud.read()

    @property
    def url(self) -> str:
        return f"http://{self.double.address}"

    def with_account(self) -> Resource:
        return self.engine.create(resource_types.ACCOUNT, ACCOUNT)

    def with_cluster(self) -> Resource:
        """A cluster in a network."""
        self.engine.create(resource_types.NETWORK, NETWORK)
        self.engine.create(resource_types.SUBNETWORK, SUBNETWORK)
        return self.engine.create(resource_types.CLUSTER, CLUSTER)


@contextmanager
def serving_google(file: Path, backend: Backend | None = None, *, project: str = PROJECT) -> Iterator[Google]:
    """A double over the cloud in this file."""
    cloud = Cloud(file, project)
    double = Double(cloud, backend or RecordOnlyBackend(cloud))
    port = double.variables()["PULUMI_DEBUG_PROVIDERS"].split(",")[0].split(":")[1]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Google(double, Engine(channel), cloud)
    finally:
        double.stop()
