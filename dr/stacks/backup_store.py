"""The bucket of the backups, and the account that the databases write them by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import BackupBucket, Durable
from dr.stacks.resources import BACKUPS, last_word

_DAY = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class BackupStoreArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names."""

    plan: Durable
    imports: Mapping[str, str] = field(default_factory=dict)


class BackupStore(pulumi.ComponentResource):
    """The bucket, the account, and what the account may do in the bucket; for a copy, the account is another stack's.

    Bucket and account are never deleted by Pulumi, by three locks of which each is enough. ``protect`` makes the engine
    refuse. ``deletion_policy`` PREVENT makes the provider refuse, also for whoever took the protection off.
    ``retain_on_delete`` leaves the thing alone should it get past both. And ``force_destroy`` is off, so that Google
    refuses as long as one object is in the bucket. The account is as precious as the bucket: one that is made anew
    under the same address is another one to IAM, and every grant to the old one is void.

    The grants have only the last lock: archiving stops with them, so Pulumi may forget one and never takes it away.
    """

    def __init__(self, args: BackupStoreArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(BACKUPS.token, BACKUPS.name, None, opts)
        plan, imports = args.plan, args.imports

        def precious(name: str) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True, import_=imports.get(name))

        self.bucket = gcp.storage.Bucket(
            "backup-bucket",
            name=plan.backup.bucket,
            project=plan.gcp_project,
            location=plan.backup.location,
            storage_class=plan.backup.storage_class,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            force_destroy=False,
            deletion_policy="PREVENT",
            lifecycle_rules=_lifecycle(plan.backup),
            # Only where it is on: of a bucket that never had it, Google tells nothing of it. So it is never put off.
            versioning=gcp.storage.BucketVersioningArgs(enabled=True) if plan.backup.versioning else None,
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(
                retention_duration_seconds=plan.backup.soft_delete_days * _DAY
            ),
            opts=precious("backup-bucket"),
        )
        account = (
            gcp.serviceaccount.Account(
                "backup-account",
                account_id=plan.backup.account,
                project=plan.gcp_project,
                display_name=plan.backup.account_title or None,
                deletion_policy="PREVENT",
                opts=precious("backup-account"),
            )
            if plan.backup.holds_account
            else None
        )
        for role in plan.backup.roles:
            name = f"backup-access-{last_word(role)}"
            gcp.storage.BucketIAMMember(
                name,
                # By name and not by what the bucket returns: an import reads it as the API has it.
                bucket=plan.backup.bucket,
                role=role,
                member=f"serviceAccount:{plan.account_email}",
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[self.bucket, *([account] if account else [])],
                    retain_on_delete=True,
                    import_=imports.get(name),
                ),
            )
        self.email: pulumi.Input[str] = account.email if account else plan.account_email
        self.register_outputs({"bucket": self.bucket.name, "account": self.email})


def _lifecycle(plan: BackupBucket) -> list[gcp.storage.BucketLifecycleRuleArgs]:
    """Objects go by their age, as in the runbook; what was replaced goes some days after it was."""
    delete = gcp.storage.BucketLifecycleRuleActionArgs(type="Delete")
    rules = [
        gcp.storage.BucketLifecycleRuleArgs(
            action=delete, condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=plan.retention_days)
        )
    ]
    if plan.versioning:
        condition = gcp.storage.BucketLifecycleRuleConditionArgs(
            days_since_noncurrent_time=plan.noncurrent_days, with_state="ARCHIVED"
        )
        rules.append(gcp.storage.BucketLifecycleRuleArgs(action=delete, condition=condition))
    return rules
