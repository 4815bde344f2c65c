"""A stack of the infrastructure, whichever it is, with the one provider that all of it goes through."""

from collections.abc import Mapping

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import Durable, Part
from dr.stacks.durable import declare_durable_stack
from dr.stacks.platform import declare_platform_stack


def declare_infrastructure(part: Part, imports: Mapping[str, str] | None = None) -> None:
    """Declare the stack that ``part`` describes. ``imports`` are the import IDs of what exists and is not held yet, by
    the resources' names.

    Since Pulumi 3.174 an import whose inputs differ from what is there imports and then *updates* in the same run
    (pulumi/pulumi#19339): whoever passes ``imports`` has to see in a preview that nothing differs.
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
