"""The guard as a policy pack: ``pulumi up --policy-pack policy``. docs/guard.md."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from pulumi_policy import (  # noqa: E402 - the project's folder has to be known first
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from dr.preview.policy_pack import PackGuard, plain  # noqa: E402

guard = PackGuard(Path.cwd() if (Path.cwd() / "Pulumi.yaml").exists() else PROJECT)


def each(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """What is created or changed, before it is done."""
    for said in guard.of_resource(args.urn, args.resource_type, plain(args.props)):
        report(said, args.urn)


def whole(args: StackValidationArgs, report: ReportViolation) -> None:
    """What would go, once everything that is declared is known."""
    for said in guard.of_stack({resource.urn for resource in args.resources}):
        report(said, None)


PolicyPack(
    "postgres-dr",
    [
        ResourceValidationPolicy("guard", "What no change of a database's recovery may do.", each),
        StackValidationPolicy("guard-goes", "What no change may take away.", whole),
    ],
    enforcement_level=EnforcementLevel.MANDATORY,
)
