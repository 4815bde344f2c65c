"""Where the time went: the steps and what was seen of the recovery, without gaps and without counting twice."""

from datetime import datetime, timedelta

from dr.cnpg.progress import Stage
from dr.core.history import StepEntry
from dr.core.plan import RECOVER, Phase, Step
from dr.reports.phases import TITLES, Span, StageReached, spans, split, whole_incident
from tests.support.builders import NOW, a_step


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


PHASES = {
    "stop-writers": Phase.PREPARATION,
    RECOVER: Phase.KUBERNETES,
    "verify": Phase.VERIFICATION,
    "settle": Phase.ENGINE,
    "switch": Phase.TRAFFIC,
}


def step(key: str, began: float, ended: float | None) -> tuple[StepEntry, Step]:
    entry = StepEntry(key=key, started=at(began), ended=None if ended is None else at(ended))
    return entry, a_step(key, phase=PHASES[key])


MARKS = [
    StageReached(Stage.WAITING, at(8)),
    StageReached(Stage.BASE_BACKUP, at(10)),
    StageReached(Stage.REPLAY, at(20)),
    StageReached(Stage.STARTING, at(50)),
    StageReached(Stage.HEALTHY, at(55)),
]
STEPS = [step("stop-writers", 2, 4), step(RECOVER, 4, 55), step("verify", 55, 57), step("settle", 57, 58)]


def whole(**changes: bool) -> tuple[Span, ...]:
    return spans(NOW, STEPS, MARKS, until=at(58), by_engine=changes.get("by_engine", True))


def test_a_recovery_is_divided_by_what_was_seen_of_it() -> None:
    assert [(span.phase, span.seconds) for span in whole()] == [
        (Phase.ENGINE, 2),
        (Phase.PREPARATION, 2),
        (Phase.ENGINE, 4),
        (Phase.KUBERNETES, 2),
        (Phase.BASE_BACKUP, 10),
        (Phase.WAL_REPLAY, 30),
        (Phase.KUBERNETES, 5),
        (Phase.VERIFICATION, 2),
        (Phase.ENGINE, 1),
    ]


def test_the_spans_have_no_gaps() -> None:
    found = whole()
    ends = [span.started + timedelta(seconds=span.seconds) for span in found]
    assert [span.started for span in found] == [NOW, *ends[:-1]]
    assert ends[-1] == at(58)


def test_the_time_until_the_cluster_is_there_is_the_engines_only_where_there_is_one() -> None:
    assert whole(by_engine=False)[2].phase is Phase.KUBERNETES


def test_the_rto_ends_with_its_step_and_is_split_in_the_order_of_the_phases() -> None:
    found = split(whole(), last="verify")
    assert list(found.items()) == [
        (Phase.PREPARATION, 2),
        (Phase.ENGINE, 6),
        (Phase.KUBERNETES, 7),
        (Phase.BASE_BACKUP, 10),
        (Phase.WAL_REPLAY, 30),
        (Phase.VERIFICATION, 2),
    ]
    assert sum(found.values()) == 57


def test_an_attempt_that_began_anew_counts_for_its_phases_again() -> None:
    marks = [*MARKS[:3], StageReached(Stage.BASE_BACKUP, at(30)), StageReached(Stage.REPLAY, at(40)), *MARKS[3:]]
    found = split(spans(NOW, STEPS, marks, until=at(58), by_engine=True), last=RECOVER)
    assert (found[Phase.BASE_BACKUP], found[Phase.WAL_REPLAY]) == (20, 20)


def test_a_step_that_did_not_end_lasts_until_the_operation_does() -> None:
    found = spans(NOW, [step("verify", 0, None)], [], until=at(9), by_engine=True)
    assert [(span.phase, span.seconds) for span in found] == [(Phase.VERIFICATION, 9)]


def test_a_recovery_of_which_nothing_was_seen_is_one_span() -> None:
    found = spans(NOW, [step(RECOVER, 0, 9)], [], until=at(9), by_engine=True)
    assert [(span.phase, span.what, span.seconds) for span in found] == [(Phase.KUBERNETES, "Recover", 9)]


def test_the_phase_of_a_step_is_its_own() -> None:
    assert spans(NOW, [step("switch", 0, 1)], [], until=at(1), by_engine=True)[0].phase is Phase.TRAFFIC


def test_every_phase_has_a_name_for_people() -> None:
    assert set(TITLES) == set(Phase)


def test_a_switchover_ends_the_whole_incident_with_the_time_between_told_as_waiting() -> None:
    recovery = {Phase.ENGINE: 5.0, Phase.WAL_REPLAY: 30.0}
    found = whole_incident(recovery, {Phase.ENGINE: 2.0, Phase.TRAFFIC: 8.0}, before=95)
    assert found == {Phase.ENGINE: 7, Phase.WAL_REPLAY: 30, Phase.WAITING: 60, Phase.TRAFFIC: 8}
    assert Phase.WAITING not in whole_incident(recovery, {Phase.TRAFFIC: 8.0}, before=35)
