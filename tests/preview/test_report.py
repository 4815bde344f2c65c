"""A preview in words, and as Markdown for a pull request."""

import re
from copy import deepcopy
from typing import Any

import pytest

from dr.config.environment import Rule
from dr.core.errors import Problem, RefusedError
from dr.core.history import Outcome
from dr.engine.changes import Change, Changes, EngineStep, Op, PathChange, fold_steps
from dr.guard.rules import CLUSTER, Violation
from dr.preview.report import LIMIT, PreviewReport, as_markdown, failure_as_markdown, recovery_seconds
from tests.support.builders import NOW, RECOVERED_HOST, SOURCE_HOST, a_record, a_recovered, an_entry

PATCH = "kubernetes:core/v1:ServicePatch"


def change(op: Op, kind: str = CLUSTER, name: str = "postgres-prod-recovered", **more: Any) -> Change:
    return Change(op=op, type=kind, urn=f"urn:pulumi:prod::postgres-dr::{kind}::{name}", **more)


def switching() -> Change:
    def pointing(host: str) -> dict[str, Any]:
        return {"metadata": {"name": "prod-postgres", "namespace": "data"}, "spec": {"externalName": host}}

    path = PathChange(path="spec.externalName", kind="update", before=SOURCE_HOST, after=RECOVERED_HOST)
    before, after = pointing(SOURCE_HOST), pointing(RECOVERED_HOST)
    return change(Op.UPDATE, PATCH, "traffic", before=before, after=after, paths=(path,))


def report(*changes: Change, **more: Any) -> PreviewReport:
    given = {"limit": 1200.0, **more}
    return PreviewReport(environment="prod", changes=Changes(stack="prod", items=changes), **given)


VIOLATION = Violation(
    rule=Rule.CLUSTER_SERVING, resource="x", cause="the Cluster x would be deleted", remedy="move first"
)


def test_the_exit_code_tells_nothing_a_change_and_a_danger_apart() -> None:
    assert report(change(Op.KEEP)).exit_code == 0
    assert report(change(Op.CREATE)).exit_code == 2
    assert report(change(Op.CREATE), violations=(VIOLATION,)).exit_code == 3
    refused = PreviewReport(environment="prod", changes=Changes(stack="prod", faults=("it is protected",)))
    assert refused.exit_code == 3


def test_the_headline_counts_and_leaves_the_providers_out() -> None:
    provider = change(Op.CREATE, "pulumi:providers:kubernetes", "cluster")
    assert report(change(Op.CREATE), change(Op.KEEP, name="x"), provider).headline == "1 created, 1 kept"
    assert report(provider).headline == "the stack holds nothing"
    assert report(change(Op.DELETE), violations=(VIOLATION,)).headline == "1 deleted; this is dangerous"


def test_a_recovery_is_told_with_where_it_comes_from_and_how_long_it_takes() -> None:
    made = report(change(Op.CREATE, after=a_recovered().manifest), seconds=44.4)
    assert made.words == (
        "Cluster postgres-prod-recovered is created: recovered from postgres-prod to 2026-04-27T09:55:00+00:00",
    )
    assert made.lost == ()
    assert made.takes == "the recovery of a Cluster: 44 s the last time, and at most 20 min"
    assert "never done here yet" in report(change(Op.CREATE, after=a_recovered().manifest)).takes


def test_a_target_that_is_no_time_is_told_too() -> None:
    manifest = deepcopy(dict(a_recovered().manifest))
    manifest["spec"]["bootstrap"]["recovery"]["recoveryTarget"] = {"targetLSN": "0/3000028", "backupID": "b"}
    (said,) = report(change(Op.CREATE, after=manifest)).words
    assert said.endswith("recovered from postgres-prod to targetLSN=0/3000028")


def test_a_switch_is_told_with_both_ends_and_what_stays_behind() -> None:
    switch = report(switching())
    assert switch.words == (f"ServicePatch traffic is changed: from {SOURCE_HOST} to {RECOVERED_HOST}",)
    assert switch.lost == ("nothing is deleted, but what postgres-prod alone has does not come along: it stays there",)


def test_what_goes_comes_first_and_is_told_as_lost() -> None:
    told = report(change(Op.KEEP, name="kept"), change(Op.DELETE, name="gone", protected=True))
    assert told.words[0] == "Cluster gone is deleted: it is protected, so Pulumi refuses"
    assert "volumes of gone" in told.lost[0]


def test_why_something_is_replaced() -> None:
    path = PathChange(path="location", kind="update", replaces=True, before="EU", after="US")
    told = report(change(Op.REPLACE, "gcp:storage/bucket:Bucket", "backups", paths=(path,)))
    assert told.words[0].endswith("because of location")
    assert told.lost == ("Bucket backups, with all that is in it",)


def test_the_last_recovery_says_how_long_one_takes() -> None:
    entry = an_entry("pitr").step_started("recover", NOW)
    done = entry.step_done("healthy", NOW.replace(minute=1)).over(Outcome.DONE, NOW)
    assert recovery_seconds(a_record().with_operation(done)) == 60
    assert recovery_seconds(a_record().with_operation(entry)) is None
    assert recovery_seconds(None) is None


def test_markdown_says_the_verdict_first_and_folds_the_details() -> None:
    text = as_markdown(report(change(Op.CREATE, after=a_recovered().manifest), violations=(VIOLATION,)))
    assert text.startswith("### ⛔ prod: 1 created; this is dangerous")
    assert text.index("cluster-serving") < text.index("**Lost:**") < text.index("<details>")
    assert text.count("<details>") == text.count("</details>") == 1
    assert "+   kind: Cluster" in text


def test_a_change_is_shown_as_a_difference() -> None:
    text = as_markdown(report(switching()))
    assert f'- spec.externalName: "{SOURCE_HOST}"\n+ spec.externalName: "{RECOVERED_HOST}"' in text


@pytest.mark.parametrize("limit", [LIMIT, 5_000, 700])
def test_it_never_becomes_too_long_and_stays_whole(limit: int) -> None:
    many = [change(Op.CREATE, name=f"cluster-{n}", after={"spec": {"text": "x" * 900}}) for n in range(200)]
    text = as_markdown(report(*many), limit=limit)
    assert len(text) <= limit
    assert text.count("<details>") == text.count("</details>")
    assert text.startswith("### ✏️ prod: 200 created")
    if limit == LIMIT:
        assert "more resources are too long for a comment" in text


def test_nothing_in_a_value_is_taken_for_markup() -> None:
    nasty = {"metadata": {"name": "```\n</details><img src=x>"}, "spec": {"note": "@everyone"}}
    step = EngineStep(op="create", urn="urn:pulumi:p::p::k:a:Kind::<b>@ann_*x*", type="k:a:Kind", new=nasty)
    whole = as_markdown(report(*fold_steps([step])))
    text = re.sub(r"(?sm)^(`{3,})diff\n.*?^\1$", "", whole)
    assert "<b>" not in text
    assert "<img" not in text
    assert "@ann" not in text
    assert "\\*x\\*" in text
    assert "\n````diff\n" in whole


def test_what_cannot_be_previewed_is_a_comment_too() -> None:
    error = RefusedError([Problem(code="cutover-too-early", cause="nothing is recovered", remedy="recover")])
    text = failure_as_markdown("prod", error)
    assert text.startswith("### ⛔ prod: no preview")
    assert "cutover-too-early" in text
