"""How many transactions were committed after a moment: what a recovery to that moment will not have.

Read from the WAL itself, with PostgreSQL's own ``pg_waldump`` in the primary's pod, as the times of commits are nowhere
else unless ``track_commit_timestamp`` was on before.
"""

from datetime import UTC, datetime

from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from dr.postgres.psql import CONTAINER, Psql

_LIMIT_SECONDS = 20

COMMIT_IN_AWK = r"""
  match($0, /desc: COMMIT(_PREPARED [0-9]+:)? [0-9-]+ [0-9:.]+ UTC/) {
    words = split(substr($0, RSTART, RLENGTH), word, " "); when = word[words - 2] " " word[words - 1]"""
"""The beginning of an action of awk for each line in which pg_waldump, under ``TZ=UTC``, prints a commit: ``when`` is
its time, and of the ``words`` of a prepared transaction, more than 5, ``word[3]`` its ID with a colon
(``xact_desc_commit`` in ``xactdesc.c``).
"""

# A segment's file was last written when the segment ended, so the first one that is newer than the moment holds it.
# pg_waldump ends at the end of what is written with an error, which is no failure here.
_COUNT = (
    r"""
cd "$PGDATA/pg_wal" && command -v pg_waldump > /dev/null || exit 1
current=$1 since=$2
# Only the present timeline: pg_waldump reads one at a time.
segments() { find . -maxdepth 1 -type f "$@" -printf '%f\n' | grep -xE "${current:0:8}[0-9A-F]{16}" | sort; }
first=$(segments -newermt "$since UTC" | awk -v last="$current" '$0 "" <= last' | head -n 1)
first=${first:-$current}
older=$(segments | awk -v first="$first" '$0 "" < first' | wc -l)
TZ=UTC pg_waldump -r Transaction -p . "$first" "$current" 2>/dev/null | awk -v since="$since" -v older="$older" '"""
    + COMMIT_IN_AWK
    + r"""
    if (when > since) { count++; last = when } }
  END { printf "%d|%s|%d\n", count, last, older }'
"""
)


def commits_after(api: KubernetesApi, *, namespace: str, pod: str, since: datetime) -> LaterCommits | None:
    """The transactions committed on the primary ``pod`` after ``since``, or None when they cannot be counted.

    Not knowing must not stop a recovery, so no error is raised.
    """
    try:
        psql = Psql(api, namespace=namespace, pod=pod, database="postgres")
        (segment,) = psql.ask("SELECT pg_walfile_name(pg_current_wal_lsn())", limit=_LIMIT_SECONDS)
        moment = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
            ["bash", "-c", _COUNT, "commits", segment, moment],
            what=f"count the commits in {namespace}/{pod}",
            limit=_LIMIT_SECONDS,
        )
        count, last, older = ran.output.strip().split("|")
        return LaterCommits(
            count=int(count),
            last=datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None,
            complete=int(older) > 0,
        )
    except (AccessError, ValueError):
        return None
