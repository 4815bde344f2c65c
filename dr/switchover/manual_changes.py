"""What was changed by hand in a Cluster that is declared, and what Pulumi would put back with the next declaration.

Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.quiet import quiet_parameters
from dr.cnpg.recovered import RecoveredCluster

_LONGEST = 60
_PARAMETERS = "spec.postgresql.parameters."


def warning_of_changes(live: ClusterSnapshot, declared: RecoveredCluster | None) -> Iterator[str]:
    """A word on each field of ``declared`` that ``live`` has another value of; none where it is not declared.

    Only what is declared is compared: CloudNativePG's webhook adds defaults of its own. The parameters that keep a
    Cluster quiet are this tool's to change.
    """
    if declared is None:
        return
    annotations = (live.annotations, declared.manifest["metadata"].get("annotations") or {})
    ours = {f"{_PARAMETERS}{name}" for known in annotations for name in quiet_parameters(known)}
    found = differences(declared.manifest["spec"], live.spec, "spec")
    changed = [f"{field} is {now}, declared {wanted}" for field, now, wanted in found if field not in ours]
    if changed:
        yield (
            f"{live.name} was changed by hand, and Pulumi puts back what is declared: {'; '.join(changed)}. To keep a "
            "change, make it again afterwards."
        )


def differences(declared: Any, live: Any, field: str) -> Iterator[tuple[str, str, str]]:
    """Each field below ``field`` that ``declared`` has and that is another in ``live``: its path, the live value and
    the declared one, shortened for people. Lists are compared by position where they are of one length.
    """
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        for key, value in declared.items():
            yield from differences(value, live.get(key), f"{field}.{key}")
    elif isinstance(declared, list) and isinstance(live, list) and len(declared) == len(live):
        for number, (wanted, now) in enumerate(zip(declared, live, strict=True)):
            yield from differences(wanted, now, f"{field}[{number}]")
    elif declared != live and not (live is None and not declared):
        yield field, _short(live), _short(declared)


def _short(value: Any) -> str:
    said = "not set" if value is None else str(value)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
