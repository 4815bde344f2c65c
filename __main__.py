"""``pulumi up`` and ``pulumi preview``: what the stack holds that the configuration is of.

A recovery stack declares exactly what ``python -m dr`` declares: both read the record that operations keep in the
environment's cluster. A stack of the infrastructure is declared from its configuration alone.
"""

from dr.operations.declared import declared
from dr.stacks.infrastructure import declare_infrastructure
from dr.stacks.recovery import declare_recovery_stack
from dr.stacks.settings import environment_of_stack, infrastructure_of_stack

if part := infrastructure_of_stack():
    declare_infrastructure(part)
else:
    environment = environment_of_stack()
    declare_recovery_stack(environment, declared(environment))
