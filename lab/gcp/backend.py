"""What the cloud stands on: where a bucket's objects are, and what a cluster is."""

from __future__ import annotations

from typing import Protocol

from lab.gcp.cloud import Cloud, Values


class Backend(Protocol):
    """What of the cloud is more than a record of it."""

    def make_bucket(self, name: str) -> None:
        """Have the bucket, with nothing in it."""

    def objects_in(self, bucket: str) -> int:
        """How many objects there are."""

    def remove_bucket(self, name: str) -> None:
        """Have no such bucket, and nothing of what was in it."""

    def make_cluster(self, properties: Values) -> Values:
        """Bring a cluster up; what it is reached by."""

    def remove_cluster(self, properties: Values) -> None:
        """Take a cluster away, with everything in it."""

    def token(self) -> str:
        """The access token of whoever works here."""


class RecordOnlyBackend:
    """Nothing but the record: objects are counted in it, and no cluster answers."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def make_bucket(self, name: str) -> None:
        """Nothing is to be done."""

    def objects_in(self, bucket: str) -> int:
        """As the record says."""
        return self._cloud.read().content.get(bucket, 0)

    def remove_bucket(self, name: str) -> None:
        """Its objects are forgotten."""
        with self._cloud.change() as contents:
            contents.content.pop(name, None)

    def make_cluster(self, properties: Values) -> Values:
        """Addresses at which nothing is."""
        return {
            "endpoint": "192.0.2.10",
            "masterAuth": {"clusterCaCertificate": "bm8gYXV0aG9yaXR5"},
            "dnsEndpoint": f"gke-0123456789abcdef.{properties['location']}.gke.goog",
        }

    def remove_cluster(self, properties: Values) -> None:
        """Nothing is to be done."""

    def token(self) -> str:
        """One that nobody believes."""
        return "token-of-the-double"
