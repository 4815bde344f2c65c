"""The rules for names that Kubernetes and CloudNativePG impose, checked before anything is asked of either."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from dr.core.errors import RequestError

CLUSTER_NAME_LIMIT = 50
"""The longest name CloudNativePG takes for a Cluster: it adds suffixes of up to 13 characters for Services and Jobs
(``validateName`` in its ``cluster_webhook.go``)."""

_LABEL_LIMIT = 63
"""Of a label's value, and so of a Job's name, which its pods have as a label."""
_FROM_BACKUP, _FROM_SNAPSHOTS = "-1-full-recovery", "-1-snapshot-recovery"
"""What CloudNativePG adds to a Cluster's name for the Job that recovers it (its ``pkg/specs/jobs.go``). Its webhook
does not know of that: a longer name is taken, and then nothing is ever created."""
RECOVERED_NAME_LIMIT = _LABEL_LIMIT - len(_FROM_BACKUP)
SNAPSHOT_NAME_LIMIT = _LABEL_LIMIT - len(_FROM_SNAPSHOTS)
"""The longest name of a Cluster that is recovered: from a base backup in the object store, from volume snapshots."""

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def recovered_name_fault(name: str, *, limit: int = RECOVERED_NAME_LIMIT) -> str | None:
    """Why ``name`` cannot be that of a Cluster that is recovered, or None when it can."""
    if len(name) > limit:
        return f"is {len(name)} characters long; the Job that recovers a Cluster can be made for at most {limit}"
    return cluster_name_fault(name)


def cluster_name_fault(name: str) -> str | None:
    """Why ``name`` cannot be a Cluster's name, or None when it can."""
    if len(name) > CLUSTER_NAME_LIMIT:
        return f"is {len(name)} characters long; CloudNativePG takes at most {CLUSTER_NAME_LIMIT}"
    if not _DNS_1035.fullmatch(name):
        return "is not a valid DNS label: lower-case letters, digits and hyphens, a letter first, no hyphen last"
    return None


def check_cluster_name(name: str) -> None:
    """Raise RequestError when ``name`` cannot be a recovered Cluster's."""
    if fault := recovered_name_fault(name):
        raise RequestError(
            "name-impossible",
            f"the recovered cluster's name {name!r} {fault}",
            "give a shorter or simpler one with --recovered-name",
        )


def free_name(wanted: str, taken: Collection[str]) -> str:
    """``wanted``, or the first of ``wanted-2``, ``wanted-3``, ... that is not in ``taken``.

    A name with a number can be recovered from any base: a long one loses its end to make room.
    """
    if wanted not in taken:
        return wanted
    number = 2
    while True:
        suffix = f"-{number}"
        candidate = wanted[: SNAPSHOT_NAME_LIMIT - len(suffix)].rstrip("-") + suffix
        if candidate not in taken:
            return candidate
        number += 1


@dataclass(frozen=True)
class Purpose:
    """What a scratch Cluster is for. ``mark`` is the label's value, by which those of one purpose are found; ``suffix``
    comes after the source's name; ``why`` is in its description.
    """

    mark: str
    suffix: str
    why: str


EXTRACTION = Purpose(mark="true", suffix="-scratch", why="to take a table from")


DRILL = Purpose(mark="drill", suffix="-drill", why="to see that it can be recovered")


PURPOSES = (EXTRACTION, DRILL)


def scratch_name(source: str, taken: frozenset[str], purpose: Purpose = EXTRACTION) -> str:
    """``<source>-scratch`` or the like, with a number where that is taken; it can be recovered from any base."""
    base = source[: SNAPSHOT_NAME_LIMIT - len(purpose.suffix)].rstrip("-")
    return free_name(f"{base}{purpose.suffix}", taken)


def possible_names(source: str, recovered: str, *, generations: int) -> tuple[str, ...]:
    """Every name that a Cluster of an environment may get: the source's, those of ``generations`` recoveries, and of
    the scratch Clusters that are made of each, for whatever purpose. What grants something by name has to know them
    before they exist.
    """
    serving = [source, recovered]
    while len(serving) <= generations:
        serving.append(free_name(recovered, serving))
    scratch = (scratch_name(name, frozenset(serving), purpose) for name in serving for purpose in PURPOSES)
    return tuple(dict.fromkeys([*serving, *scratch]))
