"""What is decided for an extraction, and what is refused."""

import shlex
from dataclasses import replace
from typing import Any

import pytest

from dr.archive.contents import Catalogue
from dr.cnpg.fetch_ahead import Fetching
from dr.core.errors import RefusedError
from dr.core.history import Outcome
from dr.core.target import TimeTarget
from dr.extract.plan import ExtractDecision, decide_extraction
from dr.extract.preconditions import ExtractSituation
from dr.extract.run import Extract
from dr.extract.table_facts import Part, View
from dr.postgres.table_name import TableName
from tests.support.archives import archive, at, backup, wal
from tests.support.builders import (
    TARGET,
    a_plugin_source,
    a_record,
    a_recovered,
    a_situation,
    a_source,
    an_entry,
    an_environment,
    as_seen,
)
from tests.support.extractions import a_table, an_extract_request, an_extract_situation, live_seen


def decide(found: ExtractSituation, **changes: Any) -> ExtractDecision:
    return decide_extraction(an_environment(), an_extract_request(**changes), found)


def refused(found: ExtractSituation, **changes: Any) -> list[str]:
    with pytest.raises(RefusedError) as error:
        decide(found, **changes)
    return [problem.code for problem in error.value.problems]


def test_much_wal_is_fetched_ahead_where_the_archive_is_an_in_tree_one() -> None:
    long, short = (archive(backup(3), files=wal(range(1, last))) for last in (40, 12))
    catalogue = Catalogue(server_name="postgres-prod", backups=long.backups, server_names=frozenset())
    recovery = a_situation(archive=long, catalogue=catalogue)
    situation = an_extract_situation(recovery=recovery, live=a_source())
    target = TimeTarget(at(100))

    ahead = decide(situation, target=target)
    assert ahead.fetching == Fetching(16)
    by_plugin = replace(situation, recovery=replace(recovery, source=a_plugin_source()))
    few = replace(situation, recovery=replace(recovery, archive=short))
    for other in (by_plugin, few):
        decision = decide(other, target=target)
        assert decision.fetching is None


def keys(decision: ExtractDecision) -> list[str]:
    return [step.key for step in Extract(decision).plan.steps]


def test_the_table_is_loaded_beside_and_the_scratch_cluster_goes() -> None:
    decision = decide(an_extract_situation())
    assert keys(decision) == ["seal-wal", "recover", "find", "load", "verify", "place", "remove-scratch"]
    assert all(step.done_when for step in Extract(decision).plan.steps)
    assert decision.facts["Becomes"] == "public.users_recovered_20260427t095500z"
    assert "not there" in decision.facts["Live"]
    assert any("no foreign keys" in warning for warning in decision.warnings)


def test_a_swap_says_what_becomes_of_the_present_one() -> None:
    decision = decide(an_extract_situation(live_seen(table=a_table())), swap=True)
    assert keys(decision)[-3:] == ["place", "settle", "remove-scratch"]
    assert decision.facts["Becomes"] == (
        "public.users; the present one is kept as public.users_before_20260427t095500z"
    )
    assert "about 1,000 rows, 1.0 MiB" in decision.facts["Live"]
    assert any("not merged" in warning for warning in decision.warnings)


def test_no_step_touches_a_writer_or_the_traffic() -> None:
    commands = " ".join(
        command for step in Extract(decide(an_extract_situation(), swap=True)).plan.steps for command in step.undo()
    )
    assert "scale" not in commands
    assert "service" not in commands


def test_what_only_the_traffic_needs_is_no_reason_to_refuse() -> None:
    decide(an_extract_situation(recovery=a_situation(workloads={"api": None}, app_secret_exists=False)))


def test_the_bucket_has_to_know_the_scratch_clusters_own_service_account() -> None:
    template = {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": "pg@acme"}}}
    decision = decide(an_extract_situation(recovery=a_situation(source=a_source(serviceAccountTemplate=template))))
    assert any("postgres-prod-scratch" in warning and "pg@acme" in warning for warning in decision.warnings)


def test_a_kept_scratch_cluster_is_not_deleted() -> None:
    planned = keys(decide(an_extract_situation(), keep_scratch=True))
    assert planned[-1] == "put-back"
    assert "remove-scratch" not in planned


def test_a_dead_source_is_recovered_from_without_sealing_while_another_cluster_lives() -> None:
    decision = decide(an_extract_situation(recovery=a_situation(database_time=None), live=a_source()))
    assert "seal-wal" not in keys(decision)
    assert any("cannot be sealed" in warning for warning in decision.warnings)


@pytest.mark.parametrize(
    ("found", "swap", "code"),
    [
        (an_extract_situation(live=None), False, "live-database-missing"),
        (replace(an_extract_situation(), live_seen=None), False, "live-database-missing"),
        (an_extract_situation(live_seen(schema_exists=False)), False, "schema-missing"),
        (an_extract_situation(live_seen(recovered=16500)), False, "recovered-table-exists"),
        (an_extract_situation(live_seen(table=a_table(), kept=16500)), True, "recovered-table-exists"),
        (an_extract_situation(live_seen(table=a_table(kind="v"))), True, "table-not-supported"),
        (an_extract_situation(live_seen(table=a_table(is_partition=True))), True, "table-not-supported"),
        (
            an_extract_situation(live_seen(table=a_table(others=("function public.all_users()",)))),
            True,
            "table-has-dependents",
        ),
        (an_extract_situation(recovery=a_situation(volume_refusal="exceeded quota")), False, "volume-refused"),
        (an_extract_situation(recovery=a_situation(source=None)), False, "source-missing"),
    ],
)
def test_what_cannot_be_is_refused(found: ExtractSituation, swap: bool, code: str) -> None:
    assert refused(found, swap=swap) == [code]


def test_a_materialized_view_on_the_present_table_hinders_a_swap_and_no_loading_beside() -> None:
    view = View(name="public.sums", materialized=True, level=1, definition="", options="")
    found = an_extract_situation(live_seen(table=a_table(views=(view,))))
    assert refused(found, swap=True) == ["table-has-dependents"]
    decide(found)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "v"}, "view"),
        ({"is_partition": True}, "partition"),
        ({"temporary_or_unlogged": True}, "unlogged"),
        ({"parts": (Part(kind="TABLE", table_schema="public", name="a"),) * 2}, "inherit"),
        ({"kind": "p", "parts": tuple(Part(kind="TABLE", table_schema=s, name=s) for s in "ab")}, "other schemas"),
    ],
)
def test_a_table_that_cannot_be_taken_says_why(changes: dict[str, Any], why: str) -> None:
    assert why in a_table(**changes).unsupported
    assert a_table().unsupported == ""


def test_the_command_that_goes_on_asks_for_the_same() -> None:
    command = an_extract_request(swap=True, keep_scratch=True, seal=False, source="old", source_given=True).command(
        an_environment()
    )
    assert shlex.split(command)[3:] == [
        *("extract", "--env", "prod", "--table", "public.users", "--target-time", TARGET.value),
        *("--source", "old", "--swap", "--keep-scratch", "--skip-seal"),
    ]
    quoted = an_extract_request(table=TableName("sales", 'it\'s "$HOME"')).command(an_environment())
    assert TableName.parse(shlex.split(quoted)[7]) == TableName("sales", 'it\'s "$HOME"')


@pytest.mark.parametrize("swap", [False, True])
def test_a_table_that_an_earlier_run_has_put_there_is_known_by_its_oid(swap: bool) -> None:
    # GIVEN the table in its place, and a scratch Cluster that notes that very table
    there = live_seen(table=a_table(oid=16500), kept=16400) if swap else live_seen(recovered=16500)
    scratch = as_seen(a_recovered("postgres-prod-scratch"))
    entry = an_entry("extract", go_on=an_extract_request(swap=swap).command(an_environment()))
    recovery = a_situation(recovered=scratch, record=a_record().with_operation(entry))
    # WHEN
    decision = decide(an_extract_situation(there, recovery=recovery, loaded=16500), swap=swap)
    # THEN only tidying up is left; what must not be done twice is not planned
    assert decision.placed
    assert {"recover", "load", "place"} & set(keys(decision)) == set()
    # AND another table under that name is refused, and so is the same when nothing was stopped: it is asked for anew
    assert refused(an_extract_situation(there, recovery=recovery, loaded=16600), swap=swap) == [
        "recovered-table-exists"
    ]
    assert refused(an_extract_situation(there, loaded=16500), swap=swap) == ["recovered-table-exists"]


def test_the_journal_tells_where_the_scratch_cluster_is_gone_too() -> None:
    there = live_seen(recovered=16500)
    entry = an_entry("extract", go_on=an_extract_request().command(an_environment()))
    entry = entry.step_started("place", entry.started).step_done("", entry.started)
    record = a_record().with_operation(entry)
    assert decide(an_extract_situation(there, recovery=a_situation(record=record))).placed
    # AND neither another extraction nor one that ended well is taken for it
    assert refused(an_extract_situation(there, recovery=a_situation(record=record)), seal=False) == [
        "recovered-table-exists"
    ]
    done = a_record().with_operation(entry.over(Outcome.DONE, entry.started))
    assert refused(an_extract_situation(there, recovery=a_situation(record=done))) == ["recovered-table-exists"]


def test_a_scratch_cluster_that_is_there_is_gone_on_with() -> None:
    scratch = as_seen(a_recovered("postgres-prod-scratch"))
    decision = decide(an_extract_situation(recovery=a_situation(recovered=scratch)))
    assert "seal-wal" not in keys(decision)
    assert any("Continuing with the scratch Cluster" in warning for warning in decision.warnings)
    assert any("another extraction, old" in warning for warning in decide(an_extract_situation(left=("old",))).warnings)
