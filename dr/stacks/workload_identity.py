"""Who may use the backups' account, without a key file anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import Platform
from dr.stacks.resources import IDENTITY, WORKLOAD_IDENTITY_ROLE, workload


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names; ``after`` is what
    brings the project's workload pool into being.
    """

    plan: Platform
    after: pulumi.Resource
    imports: Mapping[str, str] = field(default_factory=dict)


class WorkloadIdentity(pulumi.ComponentResource):
    """One grant for each name that a Cluster may ever get: a recovered one that first has to be granted something is
    one that waits while customers do.

    ``retain_on_delete``: a workload pool is the project's and not the cluster's, so a platform in another region lives
    by the same grants. Taking this one away must not take the backups from that one.
    """

    def __init__(self, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(IDENTITY.token, IDENTITY.name, None, opts)
        plan = args.plan
        for namespace, cluster in plan.identities:
            name = f"identity-{namespace}-{cluster}"
            gcp.serviceaccount.IAMMember(
                name,
                service_account_id=f"projects/{plan.gcp_project}/serviceAccounts/{plan.backup_email}",
                role=WORKLOAD_IDENTITY_ROLE,
                member=workload(plan, namespace, cluster),
                opts=pulumi.ResourceOptions(
                    parent=self, depends_on=[args.after], retain_on_delete=True, import_=args.imports.get(name)
                ),
            )
        self.register_outputs({})
