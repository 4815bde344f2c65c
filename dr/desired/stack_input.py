"""What the recovery stack of an environment holds, for a declaration by hand: the record in the environment's
cluster, and what ``Pulumi.<env>.yaml`` asks for now.
"""

from collections.abc import Callable

from dr.config.environment import Environment
from dr.desired.pulumi_up import apply, decide
from dr.engine.processes import this_process
from dr.kube.api import KubernetesApi
from dr.run.session import Session
from dr.stacks.declaration import Declaration


def declared(environment: Environment, *, preview: bool, announce: Callable[[str], None]) -> Declaration:
    """What to declare; unless it is only a ``preview``, what has to be done before it is done. ``announce`` is called
    with each sentence that has to be known before agreeing. Raises RefusedError, AccessError, VerificationError.
    """
    session = Session(
        environment=environment,
        api=KubernetesApi(environment.kubernetes, environment.commands),
        holder=this_process(),
    )
    decided = decide(session)
    for said in decided.announcements:
        announce(said)
    if not preview:
        apply(session, decided)
    return decided.declaration
