"""An infrastructure as the tests need it: everything in order, to be changed by a key."""

from typing import Any

from dr.config.infrastructure import Durable, Infrastructure, Platform
from dr.config.stack_file import read_section

PROJECT = "acme-project"
BACKUPS = f"db-backups@{PROJECT}.iam.gserviceaccount.com"
NODES = f"gke-nodes@{PROJECT}.iam.gserviceaccount.com"


def durable_document(**changes: Any) -> dict[str, Any]:
    """A parsed ``Pulumi.durable.yaml``. None removes a key."""
    return _document(
        {
            "holds": "durable",
            "gcpProject": PROJECT,
            "backup": {"bucket": "backups-of-acme", "location": "EUROPE-WEST4", "account": "db-backups"},
        },
        changes,
    )


def platform_document(**changes: Any) -> dict[str, Any]:
    """A parsed ``Pulumi.platform.yaml``. None removes a key."""
    return _document(
        {
            "holds": "platform",
            "gcpProject": PROJECT,
            "region": "europe-west4",
            "network": {
                "name": "acme",
                "subnet": "gke",
                "nodes": "10.1.0.0/20",
                "pods": "10.2.0.0/16",
                "services": "10.3.0.0/20",
                "router": "out",
                "nat": "out",
            },
            "cluster": {"name": "acme", "controlPlane": "172.16.0.0/28"},
            "nodePools": [{"name": "steady", "minNodes": 1}, {"name": "spot", "spot": True}],
            "nodeAccount": "gke-nodes",
            "workloadIdentity": {
                "account": "db-backups",
                "databases": [
                    {
                        "namespace": "data",
                        "sourceCluster": "postgres-prod",
                        "recoveredCluster": "postgres-prod-recovered",
                    }
                ],
                "generations": 1,
            },
        },
        changes,
    )


def a_durable(**changes: Any) -> Durable:
    """The stack of :func:`durable_document`."""
    return read_section(Durable, "durable", durable_document(**changes), where="Pulumi.durable.yaml")


def a_platform(**changes: Any) -> Platform:
    """The stack of :func:`platform_document`."""
    return read_section(Platform, "platform", platform_document(**changes), where="Pulumi.platform.yaml")


def an_infrastructure() -> Infrastructure:
    """Both, as they fit each other."""
    return Infrastructure(durable=a_durable(), platform=a_platform())


def _document(keys: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in {**keys, **changes}.items() if value is not None}
    return {"config": {f"postgres-dr:{key}": value for key, value in kept.items()}}
