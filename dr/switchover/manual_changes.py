"""What was changed by hand in a Cluster that is declared. A move keeps it: it is declared from then on.

Pulumi declares all Clusters whenever it declares the Service. What it would put back, or refuse for a conflict of
field managers, would come while the workloads are stopped. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.quiet import quiet_parameters
from dr.cnpg.recovered import RecoveredCluster
from dr.run.record import Record

_LONGEST = 60
_PARAMETERS = "spec.postgresql.parameters."


def warning_of_changes(live: ClusterSnapshot, declared: RecoveredCluster | None) -> Iterator[str]:
    """A word on each field of ``declared`` that ``live`` has another value of; none where it is not declared.

    Only what is declared is compared: CloudNativePG's webhook adds defaults of its own. The parameters that keep a
    Cluster quiet are this tool's to change.
    """
    if declared is None:
        return
    ours = {f"{_PARAMETERS}{name}" for name in _quiet(live, declared)}
    found = differences(declared.manifest["spec"], live.spec, "spec")
    changed = [f"{field} is {now}, declared {wanted}" for field, now, wanted in found if field not in ours]
    if changed:
        yield f"{live.name} was changed by hand, and is declared so from now on: {'; '.join(changed)}."


def as_they_are(record: Record, clusters: Iterable[ClusterSnapshot]) -> Record:
    """``record`` with the Clusters that it declares as ``clusters`` are, where these were changed by hand."""
    for live in clusters:
        declared = record.recovery(live.name)
        if declared is not None and any(warning_of_changes(live, declared)):
            record = record.redeclared(live.name, {**declared.manifest, "spec": _kept(live, declared)})
    return record


def _kept(live: ClusterSnapshot, declared: RecoveredCluster) -> dict[str, Any]:
    """The declared specification with the values of ``live``, but for the parameters that keep it quiet."""
    kept: dict[str, Any] = _merged(declared.manifest["spec"], live.spec)
    wanted = (declared.manifest["spec"].get("postgresql") or {}).get("parameters") or {}
    parameters = (kept.get("postgresql") or {}).get("parameters") or {}
    for name in _quiet(live, declared):
        parameters.pop(name, None)
        if name in wanted:
            kept["postgresql"] = {**(kept.get("postgresql") or {}), "parameters": parameters}
            parameters[name] = wanted[name]
    return kept


def _quiet(live: ClusterSnapshot, declared: RecoveredCluster) -> set[str]:
    annotations = (live.annotations, declared.manifest["metadata"].get("annotations") or {})
    return {name for known in annotations for name in quiet_parameters(known)}


def _merged(declared: Any, live: Any) -> Any:
    """As :func:`differences` compares: what is not declared stays so."""
    if isinstance(declared, Mapping) and isinstance(live, Mapping):
        there = {key: value for key, value in declared.items() if live.get(key) is not None or not value}
        return {key: _merged(value, live.get(key)) for key, value in there.items()}
    if isinstance(declared, list) and isinstance(live, list) and len(declared) == len(live):
        return [_merged(wanted, now) for wanted, now in zip(declared, live, strict=True)]
    return deepcopy(declared if live is None else live)


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
