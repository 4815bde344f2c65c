"""What the WAL says of dropped tables, read with PostgreSQL's own ``pg_waldump`` in the primary's pod."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dr.clients.kubernetes import KubernetesApi
from dr.clients.pod_exec import PodExec
from dr.clients.sql import CONTAINER
from dr.model.drops import WalView
from dr.model.errors import AccessError
from dr.model.wal_lines import Commit, read_changes, read_commit

_LIMIT_SECONDS = 120

# Prints the changes of one relation's rows (E), of the commits those that have to do with them or deleted a file (C,
# with their number) and each one's predecessor (P), and at the end how many there are and the last (T).
# pg_waldump ends at the end of what is written with an error, which is no failure here.
_SCAN = r"""
cd "$PGDATA/pg_wal" || exit 1
current=$1 relation=$2 xids=$3
changes=$(mktemp) || exit 1
trap 'rm -f "$changes"' EXIT
# Only the present timeline: pg_waldump reads one at a time.
first=$(find . -maxdepth 1 -type f -printf '%f\n' | grep -xE "${current:0:8}[0-9A-F]{16}" | sort | head -n 1)
[ -n "$first" ] || exit 1
rows() {
  if pg_waldump --help | grep -q -e '--relation'; then pg_waldump -R "$relation" -p . "$first" "$current"
  else pg_waldump -r Heap -p . "$first" "$current" | grep -F "rel $relation blk"; fi 2>/dev/null
}
rows | grep -E 'desc: (DELETE|UPDATE|HOT_UPDATE) ' > "$changes"
sed 's/^/E|/' "$changes"
TZ=UTC pg_waldump -r Transaction -p . "$first" "$current" 2>/dev/null | awk -v first="$first" -v xids="$xids" '
  function transaction(line) { match(line, /tx: +[0-9]+/); return substr(line, RSTART + 3, RLENGTH - 3) + 0 }
  function wanted(line,   words, count, i) {
    if (line ~ /; rels: / || line ~ /COMMIT_PREPARED/ || transaction(line) in asked) return 1
    if (!match(line, /; subxacts: [0-9 ]+/)) return 0
    count = split(substr(line, RSTART + 12, RLENGTH - 12), words, " ")
    for (i = 1; i <= count; i++) if (words[i] + 0 in asked) return 1
    return 0
  }
  BEGIN { count = split(xids, words, " "); for (i = 1; i <= count; i++) asked[words[i] + 0] = 1; read = 0 }
  phase == 1 { asked[transaction($0)] = 1; next }
  /desc: COMMIT/ {
    sub(/; (inval msgs|dropped stats): .*/, ""); read++
    if (wanted($0)) { if (last != "") print "P|" (read - 1) "|" last; print "C|" read "|" $0 }
    last = $0 }
  END { print "T|" read "|" last; print "S|" first }' phase=1 "$changes" phase=2 -
"""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was read. ``before`` maps the number of a commit to that one, where it was asked for."""

    wal: WalView
    before: dict[int, Commit]


def scan_wal(
    api: KubernetesApi, *, namespace: str, pod: str, segment: str, relation: str, xids: Collection[int]
) -> Scan:
    """Read the WAL on the primary ``pod`` up to ``segment``: the changes of the rows of ``relation``, and the commits
    of those changes, of ``xids``, and of whatever deleted a file. Raises AccessError.
    """
    what = f"read the WAL in {namespace}/{pod}"
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["bash", "-c", _SCAN, "scan", segment, relation, " ".join(map(str, sorted(xids)))],
        what=what,
        limit=_LIMIT_SECONDS,
    )
    if ran.code != 0:
        raise AccessError("wal-unreadable", f"could not {what}: {ran.errors.strip()}", "give a time: --target-time")
    return read_scan(ran.output)


def read_scan(output: str) -> Scan:
    """The scan in what the script printed."""
    lines = [line.split("|", 1) for line in output.splitlines() if "|" in line]
    (ends,) = (rest.split("|", 1) for kind, rest in lines if kind == "T")
    last = read_commit(ends[1])
    return Scan(
        wal=WalView(
            changes=tuple(read_changes(rest for kind, rest in lines if kind == "E")),
            commits=tuple(_commits(lines, "C")),
            total=int(ends[0]),
            last=last.time if last else None,
            first_segment=next(rest for kind, rest in lines if kind == "S"),
        ),
        before={commit.number: commit for commit in _commits(lines, "P")},
    )


def _commits(lines: list[list[str]], kind: str) -> Iterator[Commit]:
    for this, rest in lines:
        if this == kind:
            number, _, line = rest.partition("|")
            if commit := read_commit(line, number=int(number)):
                yield commit
