"""What can be gone back to, by the in-tree object store and by the Barman Cloud plugin: same commands, same end.

Every test runs once with each. What only the plugin has is in test_plugin.py.
"""

import base64
import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.operator_seat import Outcome, Seat, await_health, fresh_dev, lab, put_back
from tests.support.waiting import stopwatch, wait_for

pytestmark = pytest.mark.long

IN_TREE, PLUGIN = "in-tree", "plugin"
BARMAN = "barman-cloud.cloudnative-pg.io"
REFUSED = 4
HEALTHY = "Cluster in healthy state"


@pytest.fixture(scope="module", params=[IN_TREE, PLUGIN])
def stored(request: pytest.FixtureRequest, lab_variables: dict[str, str]) -> Iterator[Seat]:
    """Dev, archiving by the one or by the other."""
    if request.param == IN_TREE:
        seat = fresh_dev(lab_variables)
    else:
        lab("reset", "--plugin")
        seat = Seat("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    spec = (seat.cluster(seat.source) or {})["spec"]
    assert ("plugins" in spec, "backup" in spec) == (request.param == PLUGIN, request.param == IN_TREE), spec
    yield seat
    seat.end_started()
    lab("reset")


@pytest.fixture
def seat(stored: Seat) -> Iterator[Seat]:
    """The same, with nothing recovered yet, and the writers at work."""
    with put_back(stored):
        yield stored


def base_backup(seat: Seat) -> str:
    """The ID of the newest base backup."""
    (archive,) = seat.dr("window", "--env", "dev", "--server-name", seat.source).document["archives"]
    return str(archive["backups"][-1]["id"])


def rows(seat: Seat, label: str) -> str:
    """Which of a test's rows were recovered."""
    found = f"SELECT string_agg(worker, ', ' ORDER BY id) FROM jobs WHERE worker LIKE '{label}: %'"
    return seat.psql(seat.recovered, found)


def write(seat: Seat, label: str, what: str, returning: str = "NULL") -> str:
    """A row, in a transaction of its own; returns what is asked about it."""
    text = f"INSERT INTO jobs (worker) VALUES ('{label}: {what}') RETURNING {returning}"
    return seat.psql(seat.source, text)


def recover(seat: Seat, *words: str) -> Outcome:
    outcome = seat.dr("pitr", "--env", "dev", *words, "--yes")
    assert outcome.code == 0, outcome
    return outcome


def test_a_position_in_the_wal(seat: Seat) -> None:
    write(seat, "lsn", "at")
    position = seat.psql(seat.source, "SELECT pg_current_wal_lsn()")
    write(seat, "lsn", "after")
    recover(seat, "--target-lsn", position, "--timeline", "1")
    assert rows(seat, "lsn") == "lsn: at"


@pytest.mark.parametrize(
    ("option", "kept"), [((), "xid: before, xid: at"), (("--exclusive",), "xid: before")], ids=["with it", "without it"]
)
def test_a_transaction(seat: Seat, option: tuple[str, ...], kept: str) -> None:
    seat.psql(seat.source, "DELETE FROM jobs WHERE worker LIKE 'xid: %'")
    write(seat, "xid", "before")
    transaction = write(seat, "xid", "at", "txid_current()")
    write(seat, "xid", "after")
    without = seat.dr("pitr", "--env", "dev", "--target-xid", transaction, *option, "--yes")
    assert without.code != 0, "CloudNativePG cannot choose a base backup for a transaction"
    assert "--backup-id" in without.document["problems"][0]["remedy"], without
    recover(seat, "--target-xid", transaction, "--backup-id", base_backup(seat), *option)
    assert rows(seat, "xid") == kept


def test_the_end_of_a_base_backup(seat: Seat) -> None:
    write(seat, "immediate", "after")
    recover(seat, "--target-immediate", "--backup-id", base_backup(seat))
    assert rows(seat, "immediate") == ""
    assert int(seat.psql(seat.recovered, "SELECT count(*) FROM users")) >= 100_000


def test_a_mark_by_the_command_that_was_printed(seat: Seat) -> None:
    # GIVEN a mark between two rows
    name = "before migration 42"
    write(seat, "mark", "before")
    made = seat.dr("mark", name, "--env", "dev")
    write(seat, "mark", "after")
    assert made.code == 0, made
    (mark,) = made.document["marks"]
    assert mark["archived"] is True
    # THEN it is kept in the record, with the command
    assert mark in seat.dr("mark", "--list", "--env", "dev").document["marks"]
    # AND its name cannot be used again
    again = seat.dr("mark", name, "--env", "dev")
    assert (again.code, again.problem_codes) == (REFUSED, ["mark-exists"])
    # WHEN the command is given
    words = shlex.split(mark["command"])
    assert words[:4] == ["python", "-m", "dr", "pitr"]
    outcome = seat.dr(*words[3:], "--yes")
    # THEN
    assert outcome.code == 0, outcome
    assert rows(seat, "mark") == "mark: before"


class Writer:
    """A client that writes through the API as fast as it is answered, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[int] = []
        self.refused = 0
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(self._url)
                except httpx.HTTPError:
                    self.refused += 1
                    time.sleep(0.05)
                    continue
                if answer.status_code == httpx.codes.CREATED:
                    self.acknowledged.append(answer.json()["id"])


def test_latest_has_every_row_that_was_acknowledged_until_the_writers_were_stopped(seat: Seat) -> None:
    url = seat.health_url()
    assert await_health(url, 200).status_code == httpx.codes.OK
    with Writer(url.removesuffix("/health") + "/users") as writer:
        wait_for(lambda: writer.acknowledged)
        outcome = seat.dr("latest", "--env", "dev", "--yes")

    assert outcome.code == 0, outcome
    assert outcome.document["target"] == "latest"
    # THEN it was writing when it was stopped, and every row that it was promised is there
    assert writer.acknowledged
    assert writer.refused > 0
    ids = ",".join(map(str, writer.acknowledged))
    found = seat.psql(seat.recovered, f"SELECT count(*) FROM users WHERE id IN ({ids})")
    assert int(found) == len(writer.acknowledged)
    assert int(seat.psql(seat.recovered, "SELECT max(id) FROM users")) >= writer.acknowledged[-1]


def test_a_table_before_its_drop_that_nobody_knows_the_time_of(
    seat: Seat, record_testsuite_property: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    seat.psql(seat.source, "CREATE TABLE lost AS SELECT generate_series(1, 1000) AS id")
    write(seat, "drop", "before")
    seat.psql(seat.source, "DROP TABLE lost")
    write(seat, "drop", "after")
    took = stopwatch()
    recover(seat, "--before-drop", "lost")
    whole = took()
    record_testsuite_property(f"{request.node.name}: from the command to verified", whole)
    print(f"\nfrom the command to verified: {whole}")
    assert rows(seat, "drop") == "drop: before"
    assert seat.psql(seat.recovered, "SELECT count(*) FROM lost") == "1000"


EVERYTHING = {
    "imageName": None,
    "imageCatalogRef": {"apiGroup": "postgresql.cnpg.io", "kind": "ImageCatalog", "name": "approved", "major": 15},
    "walStorage": {"size": "1Gi", "storageClass": "lab"},
    "tablespaces": [{"name": "history", "storage": {"size": "1Gi", "storageClass": "lab"}}],
    "managed": {"roles": [{"name": "reporting", "login": True, "connectionLimit": 5, "inRoles": ["pg_read_all_data"]}]},
    "affinity": {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "cloud.google.com/gke-spot", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "serviceAccountTemplate": {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": "backups@acme"}}},
    "monitoring": {"customQueriesConfigMap": [{"name": "questions", "key": "questions.yaml"}]},
}
"""What a source may have besides, and has to be in a Cluster that is recovered from it."""

BESIDE = """
apiVersion: postgresql.cnpg.io/v1
kind: ImageCatalog
metadata: {{name: approved, namespace: data}}
spec: {{images: [{{major: 15, image: "{image}"}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: questions, namespace: data}}
data: {{questions.yaml: "one: {{query: SELECT 1 AS one, metrics: [{{one: {{usage: GAUGE}}}}]}}"}}
"""


@pytest.fixture
def furnished(seat: Seat) -> Seat:
    """The source with all of that, a table in its tablespace, and a base backup since."""
    image = (seat.cluster(seat.source) or {})["spec"].get("imageName")
    seat.apply(BESIDE.format(image=image))
    # While somebody is connected, an instance waits three minutes before it restarts.
    seat.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    seat.kubectl("patch", "cluster", seat.source, "-n", "data", "--type=merge", "-p", json.dumps({"spec": EVERYTHING}))

    def has_it_all() -> bool:
        found = (seat.cluster(seat.source) or {})["status"]
        made = {one["name"]: one["state"] for one in found.get("tablespacesStatus") or ()}
        own = is_written_by_its_own_volume(seat, seat.source)
        return found["phase"] == HEALTHY and made.get("history") == "reconciled" and own

    wait_for(has_it_all)
    seat.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=2")
    seat.psql(seat.source, "CREATE TABLE past TABLESPACE history AS SELECT generate_series(1, 1000) AS id")
    back_up(seat, "furnished")
    return seat


def back_up(seat: Seat, name: str) -> None:
    """Have a base backup of this name."""
    spec: dict[str, Any] = {"method": "barmanObjectStore", "cluster": {"name": seat.source}}
    if "plugins" in (seat.cluster(seat.source) or {})["spec"]:
        spec |= {"method": "plugin", "pluginConfiguration": {"name": BARMAN}}
    metadata = {"name": name, "namespace": "data"}
    seat.apply(
        json.dumps({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec})
    )
    done = "--for=jsonpath={.status.phase}=completed"
    seat.kubectl("wait", f"backup/{name}", "-n", "data", done, "--timeout=300s")


def is_written_by_its_own_volume(seat: Seat, cluster: str) -> bool:
    """Whether a Cluster's WAL lies on a volume of its own."""
    found = seat.in_pod(f"{cluster}-1", "readlink", "-f", "/var/lib/postgresql/data/pgdata/pg_wal")
    return found.stdout.startswith("/var/lib/postgresql/wal/")


def test_all_that_a_source_can_have_is_in_what_is_recovered_from_it(furnished: Seat) -> None:
    seat = furnished
    # WHEN
    recover(seat, "--target-time", seat.database_time())
    # THEN it is declared
    source, made = ((seat.cluster(name) or {})["spec"] for name in (seat.source, seat.recovered))
    for key in (*EVERYTHING, "storage", "resources"):
        assert made.get(key) == source.get(key), key
    # AND it is there
    assert is_written_by_its_own_volume(seat, seat.recovered)
    assert seat.psql(seat.recovered, "SELECT count(*) FROM past") == "1000"
    asked = "SELECT spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname = 'past'"
    assert seat.psql(seat.recovered, asked) == "history"
    role = "SELECT rolcanlogin, rolconnlimit, pg_has_role('reporting', 'pg_read_all_data', 'member') FROM pg_roles"
    assert seat.psql(seat.recovered, f"{role} WHERE rolname = 'reporting'") == "t|5|t"
    account = seat.kubectl(
        "get", "serviceaccount", seat.recovered, "-n", "data", "-o", "jsonpath={.metadata.annotations}"
    )
    assert json.loads(account)["iam.gke.io/gcp-service-account"] == "backups@acme"
    volumes = seat.kubectl("get", "pvc", "-n", "data", "-l", f"cnpg.io/cluster={seat.recovered}", "-o", "name")
    assert len(volumes.splitlines()) == 3


def test_a_deleted_cluster_comes_back_from_its_archive_and_its_copy(stored: Seat) -> None:
    # GIVEN a recovery, which keeps a copy of how the source runs, and then the deletion of both Clusters
    dev = stored
    found = json.loads(dev.kubectl("get", "secret", "postgres-dev-app", "-n", "data", "-o", "json"))["data"]
    recover(dev, "--target-time", dev.database_time())
    users = dev.psql(dev.source, "SELECT count(*) FROM users")
    spec = (dev.cluster(dev.source) or {})["spec"]
    dev.delete_recovered()
    dev.kubectl("delete", "cluster", dev.source, "-n", "data")

    # WHEN it is recovered, it says what is missing: a backup holds no Secrets
    refused = dev.dr("latest", "--env", "dev", "--yes")
    assert (refused.code, refused.problem_codes) == (REFUSED, ["secret-missing"])
    given = [f"--from-literal={key}={base64.b64decode(found[key]).decode()}" for key in ("username", "password")]
    words = ("create", "secret", "generic", "postgres-dev-app", "-n", "data", "--type=kubernetes.io/basic-auth")
    dev.kubectl(*words, *given)
    again = dev.dr("latest", "--env", "dev", "--yes")

    # THEN
    assert again.code == 0, again
    cluster = again.document["cluster"]
    assert dev.psql(cluster, "SELECT count(*) FROM users") == users
    made = (dev.cluster(cluster) or {})["spec"]
    assert made["postgresql"]["parameters"] == spec["postgresql"]["parameters"]
    for key in (*EVERYTHING, "storage"):
        assert made.get(key) == spec.get(key), key
    assert ("plugins" in made) == ("plugins" in spec)
    moved = dev.dr("switchover", "--env", "dev", "--yes")
    assert moved.code == 0, moved
