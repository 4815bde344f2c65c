"""What the recovery stack of an environment holds, for whoever declares it by hand: the record in the environment's
cluster, and what ``Pulumi.<env>.yaml`` asks for anew.
"""

from dr.clients.cluster.kubernetes import KubernetesApi
from dr.clients.files.processes import this_process
from dr.model.config import Environment
from dr.model.declaration import Declaration
from dr.operations.frame.session import Session
from dr.operations.review.by_hand import apply, decide


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
