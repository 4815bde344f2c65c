"""``--context`` is a promise, not a choice: the environment names its own."""

from dr.config.environment import Environment
from dr.core.errors import RequestError


def check_context(environment: Environment, context: str | None) -> None:
    """Raise RequestError when ``context`` is given and is not the environment's."""
    if context is not None and context != environment.kubernetes.context:
        raise RequestError(
            "context-not-the-environments",
            f"--context {context!r} is not the one of {environment.name}, {environment.kubernetes.context!r}",
            "leave --context out, or correct kubernetes.context in Pulumi.<env>.yaml",
        )
