"""A database that subscribes to another one: its copy takes nothing from the publisher before the traffic moves."""

import time
from collections.abc import Iterator

import pytest

from lab.versions import POSTGRES_IMAGE
from tests.e2e.cli_runner import CliRunner, Outcome, fresh_dev, put_back
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

RETRY_SECONDS = 5
"""How often PostgreSQL tries to start the worker of a subscription (``wal_retrieve_retry_interval``)."""
PUBLISHER = f"""
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: {{name: publisher, namespace: data}}
spec:
  instances: 1
  imageName: {POSTGRES_IMAGE}
  enablePDB: false
  enableSuperuserAccess: true
  storage: {{size: 1Gi, storageClass: lab}}
  bootstrap:
    initdb:
      database: tomoda
      owner: tomoda
      postInitApplicationSQL: ["CREATE TABLE items (id int PRIMARY KEY)"]
---
apiVersion: postgresql.cnpg.io/v1
kind: Publication
metadata: {{name: items, namespace: data}}
spec:
  cluster: {{name: publisher}}
  dbname: tomoda
  name: items
  target: {{objects: [{{table: {{name: items}}}}]}}
"""
CONNECTION = """{"spec": {"externalClusters": [{"name": "publisher",
"connectionParameters": {"host": "publisher-rw.data.svc", "user": "postgres", "dbname": "tomoda"},
"password": {"name": "publisher-superuser", "key": "password"}}]}}"""
SUBSCRIPTION = """
apiVersion: postgresql.cnpg.io/v1
kind: Subscription
metadata: {name: feed, namespace: data}
spec:
  cluster: {name: postgres-dev}
  dbname: tomoda
  name: feed
  externalClusterName: publisher
  publicationName: items
"""


def publish(runner: CliRunner, first: int, last: int) -> None:
    runner.psql("publisher", f"INSERT INTO items SELECT generate_series({first}, {last})")


def items(runner: CliRunner, cluster: str) -> str:
    """The rows of one Cluster, as ranges."""
    ranges = "SELECT min(id) || '-' || max(id) FROM (SELECT id, id - row_number() OVER (ORDER BY id) AS n FROM items) x"
    return " ".join(runner.psql(cluster, f"{ranges} GROUP BY n ORDER BY min(id)").splitlines())


def await_items(runner: CliRunner, cluster: str, rows: str) -> None:
    wait_for(lambda: items(runner, cluster) == rows, seen=lambda: f"{cluster} has {items(runner, cluster)}, not {rows}")


def worker(runner: CliRunner, cluster: str) -> str:
    """Whether the subscription is enabled, and whether a worker is at it."""
    asked = "SELECT subenabled, pid IS NOT NULL FROM pg_subscription JOIN pg_stat_subscription ON oid = subid"
    return runner.psql(cluster, asked)


def slot(runner: CliRunner) -> tuple[str, str]:
    """Whether somebody reads the publisher's slot, and up to where it was read."""
    asked = "SELECT active, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'feed'"
    active, confirmed = runner.psql("publisher", asked).split("|")
    return active, confirmed


@pytest.fixture(scope="module")
def subscribed(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    """Dev with ten rows that came from a publisher."""
    runner = fresh_dev(lab_variables)
    with put_back(runner):
        try:
            runner.apply(PUBLISHER)
            runner.kubectl("wait", "cluster/publisher", "-n", "data", "--for=condition=Ready", "--timeout=300s")
            runner.kubectl(
                "wait", "publication/items", "-n", "data", "--for=jsonpath={.status.applied}=true", "--timeout=60s"
            )
            publish(runner, 1, 10)
            runner.psql(runner.source, "CREATE TABLE items (id int PRIMARY KEY)")
            runner.kubectl("patch", "cluster", runner.source, "-n", "data", "--type=merge", "-p", CONNECTION)
            runner.apply(SUBSCRIPTION)
            await_items(runner, runner.source, "1-10")
            yield runner
        finally:
            runner.end_started()
            runner.kubectl("delete", "subscription/feed", "-n", "data", "--ignore-not-found")
            runner.try_psql(runner.source, "DROP SUBSCRIPTION feed")
            runner.try_psql(runner.source, "DROP TABLE items")
            runner.kubectl("delete", "publication/items", "cluster/publisher", "-n", "data", "--ignore-not-found")
            nothing = '{"spec": {"externalClusters": null}}'
            runner.kubectl("patch", "cluster", runner.source, "-n", "data", "--type=merge", "-p", nothing)


@pytest.fixture(scope="module")
def recovered(subscribed: CliRunner) -> Outcome:
    """Recovered to the ten rows, after which ten more have come."""
    target = subscribed.database_time()
    time.sleep(0.1)
    publish(subscribed, 11, 20)
    await_items(subscribed, subscribed.source, "1-20")
    plan = subscribed.pitr(target, "--dry-run").document["plan"]
    assert plan["facts"]["Kept quiet"] == "the subscriptions feed, until the switchover"
    assert any(
        "what their publishers have sent after the target does not come again" in one for one in plan["warnings"]
    )
    return subscribed.pitr(target, "--yes")


def test_the_copy_takes_nothing_from_the_publisher_though_the_source_restarts(
    subscribed: CliRunner, recovered: Outcome
) -> None:
    """E11. While the source was away, the copy took from its slot what the live database then lacked for good."""
    runner = subscribed
    assert recovered.code == 0, recovered
    assert (worker(runner, runner.recovered), worker(runner, runner.source)) == ("t|f", "t|t")
    # WHEN the source is away for a while, in which more is published
    runner.kubectl("annotate", "cluster", runner.source, "-n", "data", 'cnpg.io/fencedInstances=["*"]')
    wait_for(lambda: slot(runner)[0] == "f")
    before = slot(runner)
    publish(runner, 21, 30)
    time.sleep(3 * RETRY_SECONDS)
    # THEN nobody has read it
    assert (slot(runner), items(runner, runner.recovered)) == (before, "1-10")
    # AND the source gets all of it
    runner.kubectl("annotate", "cluster", runner.source, "-n", "data", "cnpg.io/fencedInstances-")
    runner.kubectl("wait", f"pod/{runner.source}-1", "-n", "data", "--for=condition=Ready", "--timeout=300s")
    await_items(runner, runner.source, "1-30")
    assert worker(runner, runner.recovered) == "t|f"


def test_from_the_switchover_on_the_copy_gets_what_is_published(subscribed: CliRunner, recovered: Outcome) -> None:
    """E11. Its worker logs in with the password file that the subscription's connection string names."""
    runner = subscribed
    assert recovered.code == 0, recovered
    # WHEN
    moved = runner.dr("switchover", "--env", "dev", "--yes")
    # THEN
    assert moved.code == 0, moved
    assert "wake" in {step["key"] for step in moved.document["steps"]}
    publish(runner, 31, 40)
    await_items(runner, runner.recovered, "1-10 31-40")
    assert (worker(runner, runner.recovered), slot(runner)[0]) == ("t|t", "t")


def test_after_the_rollback_the_source_goes_on_with_what_comes_then(subscribed: CliRunner, recovered: Outcome) -> None:
    runner = subscribed
    assert recovered.code == 0, recovered
    back = runner.dr("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    publish(runner, 41, 50)
    await_items(runner, runner.source, "1-30 41-50")
    assert slot(runner)[0] == "t"
