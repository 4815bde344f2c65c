"""``pulumi up`` and ``pulumi preview``: what the stack holds that the configuration is of.

A recovery stack declares what ``python -m dr`` declares, as both read the record that operations keep in the
environment's cluster, and what the configuration asks for (docs/pulumi-cli.md). A stack of the infrastructure is
declared from its configuration alone.
"""

import pulumi

from dr.config.extras import INFRASTRUCTURE, require
from dr.config.infrastructure import ArgoCd
from dr.core.errors import DrError, summary
from dr.desired.stack_input import declared
from dr.infra.credentials import read_credentials
from dr.stacks.argocd import declare_argocd_stack
from dr.stacks.recovery import declare_recovery_stack
from dr.stacks.settings import environment_of_stack, infrastructure_of_stack


def declare() -> None:
    """Declare what the running stack holds. Raises pulumi.RunError with the words of any DrError."""
    try:
        part = infrastructure_of_stack()
        if isinstance(part, ArgoCd):
            declare_argocd_stack(part, read_credentials(part.credentials))
        elif part is not None:
            require(INFRASTRUCTURE)
            from dr.stacks.infrastructure import declare_infrastructure

            declare_infrastructure(part)
        else:
            environment = environment_of_stack()
            preview, announce = pulumi.runtime.is_dry_run(), pulumi.log.warn
            declare_recovery_stack(environment, declared(environment, preview=preview, announce=announce))
    except DrError as error:
        raise pulumi.RunError(summary(error)) from error
