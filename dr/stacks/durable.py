"""The durable stack: what has to outlive everything else."""

from collections.abc import Mapping

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import Durable
from dr.stacks.backup_store import BackupStore, BackupStoreArgs


def declare_durable_stack(durable: Durable, provider: gcp.Provider, imports: Mapping[str, str]) -> None:
    """Declare the backups' bucket, and the account where it is this stack's. ``imports`` are the import IDs of what
    exists and is not held yet.
    """
    store = BackupStore(
        BackupStoreArgs(plan=durable, imports=imports), pulumi.ResourceOptions(providers={"gcp": provider})
    )
    pulumi.export("bucket", store.bucket.name)
    pulumi.export("account", store.email)
