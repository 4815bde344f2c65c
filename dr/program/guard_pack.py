"""The guard's two policies, as Pulumi's policy pack has them. docs/guard.md."""

from pathlib import Path
from typing import TYPE_CHECKING

from dr.config.extras import POLICY, require
from dr.core.errors import DrError, summary
from dr.preview.policy_pack import PackGuard, plain

if TYPE_CHECKING:
    from pulumi_policy import ReportViolation, ResourceValidationArgs, StackValidationArgs


def register(project: Path) -> None:
    """Register the pack with the engine that started this process. ``project`` is the folder of the stacks' files where
    the current one is not a Pulumi project. Raises ImportError where the extra is not installed.
    """
    try:
        require(POLICY)
    except DrError as error:
        raise ImportError(summary(error)) from error
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy

    guard = PackGuard(Path.cwd() if (Path.cwd() / "Pulumi.yaml").exists() else project)

    def each(args: "ResourceValidationArgs", report: "ReportViolation") -> None:
        """What is created or changed, before it is done."""
        for said in guard.of_resource(args.urn, args.resource_type, plain(args.props)):
            report(said, args.urn)

    def whole(args: "StackValidationArgs", report: "ReportViolation") -> None:
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
