"""What is installed only where it is asked for: the extras of the distribution, as pyproject.toml has them.

``pulumi-gcp`` alone is larger than all else together, and a recovery does not need it.
"""

from importlib.util import find_spec

from dr.config.stack_file import PROJECT
from dr.core.errors import EngineError

INFRASTRUCTURE = "infrastructure"
POLICY = "policy"

EXTRAS = {INFRASTRUCTURE: ("pulumi-gcp", "pulumi-command"), POLICY: ("pulumi-policy",)}
"""The distributions of each extra; the package of each has the same name, with underscores."""

_WHAT = {INFRASTRUCTURE: "the stacks of the infrastructure need", POLICY: "the policy pack needs"}


def require(extra: str) -> None:
    """See that the packages of ``extra`` are installed; imports none. Raises EngineError ``extra-missing``."""
    missing = [name for name in EXTRAS[extra] if find_spec(name.replace("-", "_")) is None]
    if missing:
        wanted = f"'{PROJECT}[{extra}]'"
        raise EngineError(
            "extra-missing",
            f"{_WHAT[extra]} {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            f"install the tool with its extra, {wanted}, the way in which it was installed (docs/install.md)",
        )
