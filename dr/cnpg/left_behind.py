"""What was committed in one Cluster and is not in another: counted in its WAL, from where their histories part.

It follows from the two databases as they are now, not from what this tool did once: a Service that was moved by other
hands, a second rollback, or a switchover that was resumed after days change nothing in it. The WAL is read by
PostgreSQL's own programs in the instance's pod, which are there while the instance is fenced, too.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from dr.archive.fork import Lineage, Stretch, fork
from dr.archive.promise import read_history
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import programs_of
from dr.cnpg.recovered import SOURCE_ANNOTATION
from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.core.wal_names import number_of, position_of
from dr.kube.api import KubernetesApi
from dr.postgres.commits import COMMIT_IN_AWK

_LINEAGE_SECONDS = 20
_COUNT_SECONDS = 120

# The newest history file is the current timeline's; pg_control may name an older one until the next checkpoint.
_LINEAGE = r"""
cd "$PGDATA/pg_wal" || exit 1
newest=$(find . -maxdepth 1 -name '????????.history' -printf '%f\n' | sort | tail -n 1)
LC_ALL=C pg_controldata "$PGDATA" | awk -F': *' '
  /^Latest checkpoint location:|^Latest checkpoint.s TimeLineID:|^Bytes per WAL segment:/ { print $2 }'
echo "${newest%.history}"
if [ -n "$newest" ]; then cat "$newest"; fi
"""

# Arguments: the segment size, the first position and the first transaction ID that count, both as 16 hexadecimal
# digits, then a timeline, where to begin and where to end ("" for as far as there is WAL) for each stretch.
# A stretch begins with its segment: the piece of it that the timeline before has is there as well, and counts once.
# pg_waldump ends at the end of what is written with an error: its words, which come last, say where that was. mawk has
# no numbers of 64 bits, and takes a name of digits for a number unless it is made a string: $0 "".
_COUNT = (
    r"""
cd "$PGDATA/pg_wal" || exit 1
size=$1 since=$2 first=$3; shift 3
while [ $# -gt 0 ]; do
  timeline=$1 begin=$2 end=$3; shift 3
  name() { printf '%08X%08X%08X' "$timeline" $(($1 / (4294967296 / size))) $(($1 % (4294967296 / size))); }
  number=$((begin / size))
  if ! [ -f "$(name $number)" ]; then
    echo lost
    oldest=$(find . -maxdepth 1 -type f -printf '%f\n' | grep -xE "$(printf '%08X' "$timeline")[0-9A-F]{16}" |
      awk -v after="$(name $number)" '$0 "" > after' | sort | head -n 1)
    [ -n "$oldest" ] || continue
    number=$((16#${oldest:8:8} * (4294967296 / size) + 16#${oldest:16:8}))
  fi
  at=$((number * size))
  TZ=UTC pg_waldump -r Transaction -p . -t "$timeline" -s "$(printf '%X/%X' $((at >> 32)) $((at & 4294967295)))" \
    ${end:+-e "$(printf '%X/%X' $((end >> 32)) $((end & 4294967295)))"} 2>&1
done | awk -v since="$since" -v first="$first" '
  function wide(text) { while (length(text) < 8) text = "0" text; return text }
  $0 == "lost" { lost = 1 }
  /pg_waldump: / { ended = $0 }
"""
    + COMMIT_IN_AWK
    + r"""
    match($0, /lsn: [0-9A-F]+\/[0-9A-F]+/); split(substr($0, RSTART + 5, RLENGTH - 5), half, "/")
    at = wide(half[1]) wide(half[2])
    match($0, /tx: *[0-9]+/); id = substr($0, RSTART, RLENGTH); sub(/tx: */, "", id)
    if (words > 5) { id = word[3]; sub(/:/, "", id) }
    if (at >= since && !seen[at]++ && (first == "" || (id - first + 4294967296) % 4294967296 < 2147483648)) {
      count++; if (when > last) last = when } }
  END { printf "%d|%s|%d\n%s\n", count, last, lost, ended }'
"""
)
_ENDED_AT = re.compile(r"(?:error in WAL record at|could not find a valid record after) ([0-9A-F]+/[0-9A-F]+)")
_ENDED_BEFORE = re.compile(r'could not find file "([0-9A-F]{24})"')
"""Where pg_waldump came to the end of the WAL, in its own words (``pg_waldump.c``)."""


def left_behind(
    api: KubernetesApi,
    left: ClusterSnapshot,
    other: ClusterSnapshot,
    clusters: Collection[ClusterSnapshot],
    *,
    first: int | None = None,
) -> LaterCommits | None:
    """The transactions that were committed in ``left`` and are not in ``other``; None where that cannot be counted.

    ``clusters`` are all that are there: who was recovered from whom. ``first`` is the transaction ID from which on
    transactions of ``left`` count, as far as it is known: what a recovery commits before it is used is nobody's.

    Not knowing must not stop it, so no error is raised: who asks says that it is not known.
    """
    try:
        server = _server(api, left)
        parted = fork(server.lineage, _server(api, other).lineage, related=_related(left, other, clusters))
        if parted is None:
            return None
        stretches = server.lineage.from_position(parted.timeline, parted.lsn)
        return _count(api, left, server, parted.lsn, stretches, first)
    except (AccessError, ValueError):
        return None


def _related(one: ClusterSnapshot, other: ClusterSnapshot, clusters: Collection[ClusterSnapshot]) -> bool:
    """Whether one of them was recovered from the other, by the chain of what they were recovered from."""
    sources = {cluster.name: cluster.annotations.get(SOURCE_ANNOTATION, "") for cluster in (*clusters, one, other)}

    def comes_from(name: str, ancestor: str) -> bool:
        seen: set[str] = set()
        while name and name not in seen:
            seen.add(name)
            name = sources.get(name, "")
            if name == ancestor:
                return True
        return False

    return comes_from(one.name, other.name) or comes_from(other.name, one.name)


@dataclass(frozen=True, kw_only=True)
class _Server:
    """Its timelines, its segment size in bytes, and the position of its last checkpoint: the WAL goes that far."""

    lineage: Lineage
    segment_size: int
    checkpoint: int

    def has_ended(self, said: str) -> bool:
        """Whether pg_waldump came to the end of the WAL, by the error that it ended with."""
        if found := _ENDED_AT.search(said):
            return position_of(found[1]) >= self.checkpoint
        found = _ENDED_BEFORE.search(said)
        return found is not None and number_of(found[1], self.segment_size) * self.segment_size >= self.checkpoint


def _server(api: KubernetesApi, cluster: ClusterSnapshot) -> _Server:
    """What its files say. Raises AccessError or ValueError."""
    checkpoint, current, size, newest, *lines = _run(api, cluster, _LINEAGE, (), limit=_LINEAGE_SECONDS).splitlines()
    history = read_history("\n".join(lines))
    timeline = max(int(current), int(newest, 16) if newest else 1)
    if timeline != 1 and not (newest and int(newest, 16) == timeline and history):
        raise ValueError(f"no history of timeline {timeline}")
    return _Server(
        lineage=Lineage(history=history, current=timeline), segment_size=int(size), checkpoint=position_of(checkpoint)
    )


def _count(
    api: KubernetesApi,
    cluster: ClusterSnapshot,
    server: _Server,
    since: int,
    stretches: Collection[Stretch],
    first: int | None,
) -> LaterCommits:
    words = [str(server.segment_size), f"{since:016X}", "" if first is None else str(first % 2**32)]
    for stretch in stretches:
        words += [str(stretch.timeline), str(stretch.begin), "" if stretch.end is None else str(stretch.end)]
    counted, _, ended = _run(api, cluster, _COUNT, words, limit=_COUNT_SECONDS).partition("\n")
    count, last, lost = counted.split("|")
    return LaterCommits(
        count=int(count),
        last=datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None,
        complete=lost == "0" and server.has_ended(ended),
    )


def _run(api: KubernetesApi, cluster: ClusterSnapshot, script: str, words: Collection[str], *, limit: float) -> str:
    ran = programs_of(api, cluster).run(
        ["bash", "-c", script, "left-behind", *words],
        what=f"read the WAL of {cluster.namespace}/{cluster.primary}",
        limit=limit,
    )
    if ran.code != 0:
        raise ValueError(ran.errors)
    return ran.output
