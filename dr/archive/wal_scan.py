"""What the WAL says of dropped tables, read with PostgreSQL's own ``pg_waldump`` in the primary's pod.

Of the WAL on the server it is read where it lies. What is in the archive only is sent to a folder of the pod's scratch
space, and is gone from there when it has been read; or when nobody listens any more, as the script then meets the end
of its input.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dr.archive.wal_lines import Commit, Piece, WalView, read_changes, read_commit
from dr.core.errors import AccessError
from dr.core.wal_names import lsn
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec, Ran
from dr.kube.scratch_room import scratch_room
from dr.postgres.psql import CONTAINER

_LIMIT_SECONDS = 120
_PIECE_SECONDS = 180
_AT_ONCE = 4
_HEAD = 2**20
"""How much of the following segment is sent along, in bytes: the last record may end in it."""

# Prints the changes of one relation's rows (E), of the commits those that have to do with them or deleted a file (C,
# with their number) and each one's predecessor (P), and at the end how many there are and the last (T).
# Reads the segments from $first to $last in the present folder, but for what begins at $end or later, if given.
# pg_waldump ends at the end of what is written with an error, which is no failure here.
_READ = r"""
changes=$(mktemp) || exit 1
rows() {
  if pg_waldump --help | grep -q -e '--relation'; then pg_waldump -R "$relation" -p . "$first" "$last"
  else pg_waldump -r Heap -p . "$first" "$last" | grep -F "rel $relation blk"; fi 2>/dev/null
}
before_end='
  function place(text) {
    split(text, halves, "/"); sub(/^0+/, "", halves[1]); sub(/^0+/, "", halves[2])
    return sprintf("%8s%8s", halves[1], halves[2])
  }
  function begun_late(line) {
    return match(line, /lsn: [0-9A-F]+\/[0-9A-F]+/) && place(substr(line, RSTART + 5, RLENGTH - 5)) >= place(end)
  }
  end != "" && begun_late($0) { next }
'
export LC_ALL=C
rows | grep -E 'desc: (DELETE|UPDATE|HOT_UPDATE) ' | awk -v end="$end" "$before_end"' { print }' > "$changes"
sed 's/^/E|/' "$changes"
TZ=UTC pg_waldump -r Transaction -p . "$first" "$last" 2>/dev/null | awk -v end="$end" -v xids="$xids" '
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
  '"$before_end"'
  /desc: COMMIT/ {
    sub(/; (inval msgs|dropped stats): .*/, ""); read++
    if (wanted($0)) { if (newest != "") print "P|" (read - 1) "|" newest; print "C|" read "|" $0 }
    newest = $0 }
  END { print "T|" read "|" newest }' phase=1 "$changes" phase=2 -
echo "S|$first"
"""

_SCAN = rf"""
cd "$PGDATA/pg_wal" || exit 1
last=$1 relation=$2 xids=$3 end=
trap 'rm -f "$changes"' EXIT
# Only the present timeline: pg_waldump reads one at a time.
first=$(find . -maxdepth 1 -type f -printf '%f\n' | grep -xE "${{last:0:8}}[0-9A-F]{{16}}" | sort | head -n 1)
[ -n "$first" ] || exit 1
{_READ}"""

# What a container that was killed has left is taken away by the next one.
_SCAN_SENT = rf"""
relation=$1 xids=$2 end=$3
scratch=${{TMPDIR:-/tmp}}
find "$scratch" -maxdepth 1 -name 'postgres-dr-wal.*' -mmin +30 -exec rm -rf {{}} +
folder=$(mktemp -d "$scratch/postgres-dr-wal.XXXXXX") || exit 1
trap 'rm -rf "$folder" "$changes"' EXIT
cd "$folder" || exit 1
set -o pipefail
first= last=
while read -r name size && [ "$name" != . ]; do
  head -c "$size" | gzip -dc > "$name" || exit 1
  first=${{first:-$name}} last=$name
done
[ "$name" = . ] || exit 1
set +o pipefail
{_READ}"""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was read. ``before`` maps the number of a commit to that one, where it was asked for, and for the last."""

    wal: WalView
    before: dict[int, Commit]

    def after(self, older: "Scan") -> "Scan":
        """The two as one: ``older`` is what was read of the WAL right before this."""
        shift = older.wal.total
        return Scan(
            wal=WalView(
                changes=(*older.wal.changes, *self.wal.changes),
                commits=(*older.wal.commits, *(_shifted(commit, shift) for commit in self.wal.commits)),
                total=shift + self.wal.total,
                last=self.wal.last or older.wal.last,
                first_segment=older.wal.first_segment,
            ),
            before={
                **older.before,
                **{number + shift: _shifted(commit, shift) for number, commit in self.before.items()},
            },
        )


def scan_wal(
    api: KubernetesApi, *, namespace: str, pod: str, segment: str, relation: str, xids: Collection[int]
) -> Scan:
    """Read the WAL on the primary ``pod`` up to ``segment``: the changes of the rows of ``relation``, and the commits
    of those changes, of ``xids``, and of whatever deleted a file. Raises AccessError.
    """
    what = f"read the WAL in {namespace}/{pod}"
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["bash", "-c", _SCAN, "scan", segment, relation, _words(xids)], what=what, limit=_LIMIT_SECONDS
    )
    return _read(ran, what)


def scan_sent(
    api: KubernetesApi,
    *,
    namespace: str,
    pod: str,
    piece: Piece,
    sent: Sequence[bytes],
    relation: str,
    xids: Collection[int],
) -> Scan:
    """Read the segments of ``piece`` in the pod ``pod``, to which they are sent: ``sent`` is made by :func:`packed`.
    Raises AccessError.
    """
    what = f"read archived WAL in {namespace}/{pod}"
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["bash", "-c", _SCAN_SENT, "scan", relation, _words(xids), lsn(piece.end)],
        what=what,
        limit=_PIECE_SECONDS,
        standard_input=b"".join([*sent, b". 0\n"]),
    )
    return _read(ran, what)


def segments_at_once(spec: Mapping[str, Any], segment_size: int) -> int:
    """How many segments a pod of the Cluster ``spec`` may be sent at once, so that its scratch space is never near the
    limit that evicts the pod. 0 where even one would be too much.
    """
    room = scratch_room(spec)
    return _AT_ONCE if room is None else min(_AT_ONCE, room // segment_size)


def packed(name: str, content: bytes) -> bytes:
    """The segment ``name`` as it is sent: its name and size, and its content, compressed for the way."""
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    body = packer.compress(content) + packer.flush()
    return f"{name} {len(body)}\n".encode() + body


def head(content: bytes) -> bytes:
    """As much of a following segment as is needed."""
    return content[:_HEAD]


def _words(xids: Collection[int]) -> str:
    return " ".join(map(str, sorted(xids)))


def _read(ran: Ran, what: str) -> Scan:
    if ran.code != 0:
        raise AccessError("wal-unreadable", f"could not {what}: {ran.errors.strip()}", "give a time: --target-time")
    return read_scan(ran.output)


def read_scan(output: str) -> Scan:
    """The scan in what the script printed."""
    lines = [line.split("|", 1) for line in output.splitlines() if "|" in line]
    (ends,) = (rest.split("|", 1) for kind, rest in lines if kind == "T")
    total = int(ends[0])
    last = read_commit(ends[1], number=total)
    return Scan(
        wal=WalView(
            changes=tuple(read_changes(rest for kind, rest in lines if kind == "E")),
            commits=tuple(_commits(lines, "C")),
            total=total,
            last=last.time if last else None,
            first_segment=next(rest for kind, rest in lines if kind == "S"),
        ),
        before={commit.number: commit for commit in (*_commits(lines, "P"), *([last] if last else []))},
    )


def _commits(lines: list[list[str]], kind: str) -> Iterator[Commit]:
    for this, rest in lines:
        if this == kind:
            number, _, line = rest.partition("|")
            if commit := read_commit(line, number=int(number)):
                yield commit


def _shifted(commit: Commit, shift: int) -> Commit:
    return replace(commit, number=commit.number + shift)
