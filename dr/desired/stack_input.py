"""What the recovery stack of an environment holds, for a declaration by hand: the record in the environment's
cluster, and what ``Pulumi.<env>.yaml`` asks for now.
"""

from dr.config.environment import Environment
from dr.desired.pulumi_up import apply, decide
from dr.engine.processes import this_process
from dr.kube.api import KubernetesApi
from dr.run.session import Session
from dr.stacks.declaration import Declaration


def declared(environment: Environment, *, preview: bool) -> Declaration:
    """What to declare; unless it is only a ``preview``, what has to be done before it is done. Raises RefusedError,
    AccessError.
    """
    session = Session(
        environment=environment,
        api=KubernetesApi(environment.kubernetes),
        holder=this_process(),
    )
    decided = decide(session)
    if not preview:
        apply(session, decided)
    return decided.declaration
