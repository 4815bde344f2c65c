"""``pulumi up`` and ``pulumi preview``: the recovery stack of the environment that the stack is named after.

It declares exactly what ``python -m dr`` declares: both read the record that operations keep in the environment's
cluster.
"""

from dr.operations.declared import declared
from dr.stacks.recovery import declare_recovery_stack
from dr.stacks.settings import environment_of_stack

environment = environment_of_stack()
declare_recovery_stack(environment, declared(environment))
