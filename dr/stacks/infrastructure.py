"""A stack of the infrastructure, whichever it is; the durable one with its bucket, which has to outlive everything
else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import BackupBucket, Durable, StackConfig
from dr.stacks.platform import declare_platform_stack
from dr.stacks.resources import BACKUPS, last_word


def declare_infrastructure(part: StackConfig, imports: Mapping[str, str] | None = None) -> None:
    """Declare the stack that ``part`` describes. ``imports`` are the import IDs of what exists and is not held yet, by
    the resources' names.

    Since Pulumi 3.174 an import whose inputs differ from what is there imports and then *updates* in the same run
    (pulumi/pulumi#19339): a caller with ``imports`` must see in a preview that nothing differs.
    """
    provider = gcp.Provider(
        "google",
        project=part.gcp_project,
        # The provider's own label would be a difference to everything that it did not make.
        add_pulumi_attribution_label=False,
        opts=pulumi.ResourceOptions(transformations=[_without_places_of_this_machine]),
    )
    if isinstance(part, Durable):
        declare_durable_stack(part, provider, imports or {})
    else:
        declare_platform_stack(part, provider, imports or {})


def _without_places_of_this_machine(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    """Undoes what the SDK does of its own accord: it makes gcloud's variables for region and zone inputs of the
    provider, which would then differ from one operator to the next. Each resource says where it is.
    """
    props = {key: value for key, value in resource.props.items() if key not in {"region", "zone"}}
    return pulumi.ResourceTransformationResult(props, resource.opts)


def declare_durable_stack(durable: Durable, provider: gcp.Provider, imports: Mapping[str, str]) -> None:
    """Declare the backups' bucket, and the account where it is this stack's. ``imports`` are the import IDs of what
    exists and is not held yet.
    """
    store = BackupStore(
        BackupStoreArgs(plan=durable, imports=imports), pulumi.ResourceOptions(providers={"gcp": provider})
    )
    pulumi.export("bucket", store.bucket.name)
    pulumi.export("account", store.email)


_DAY = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class BackupStoreArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names."""

    plan: Durable
    imports: Mapping[str, str] = field(default_factory=dict)


class BackupStore(pulumi.ComponentResource):
    """The bucket, the account, and what the account may do in the bucket; for a copy, the account is another stack's.

    Bucket and account are never deleted by Pulumi, by three locks of which each is enough. ``protect`` makes the engine
    refuse. ``deletion_policy`` PREVENT makes the provider refuse, also once the protection is off.
    ``retain_on_delete`` leaves the thing alone should it get past both. And ``force_destroy`` is off, so that Google
    refuses as long as one object is in the bucket. The account is as precious as the bucket: one that is recreated
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
