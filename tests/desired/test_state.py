"""What the configuration asks for, against what the record has."""

from typing import Any

import pytest

from dr.config.environment import Environment
from dr.core.errors import ConfigError
from dr.desired.state import DesiredState, asked_for, read_desired
from dr.run.record import Record
from tests.support.builders import RECOVERED_HOST, SOURCE_HOST, TARGET, a_record, a_recovered, an_environment

NAME = "postgres-prod-recovered"


def asking(cutover: bool | None = None, target: str = "2026-04-27T09:55:00Z") -> Environment:
    more: dict[str, Any] = {} if cutover is None else {"cutover": cutover}
    return an_environment(recovery={"targetTime": target, **more})


def switched(record: Record) -> Record:
    return record.leaving(SOURCE_HOST, towards=RECOVERED_HOST).pointing_to(RECOVERED_HOST)


def test_without_a_wish_there_is_nothing_to_do() -> None:
    seen = read_desired(an_environment(), a_record(a_recovered()), {NAME})
    assert (seen.state, seen.recover, seen.move, seen.back) == (DesiredState.NOTHING, False, False, False)


def test_the_time_is_read_in_any_form_that_the_command_line_takes() -> None:
    environment = asking(target="2026-04-27 11:55 Europe/Oslo")
    assert environment.recovery is not None
    assert environment.recovery.target_time == TARGET.value
    assert asking(target="latest").recovery is not None


@pytest.mark.parametrize("target", ["2026-04-27 09:55", "yesterday", "", 7])
def test_a_time_that_could_mean_two_is_refused(target: object) -> None:
    with pytest.raises(ConfigError, match="targetTime"):
        asking(target=target)  # type: ignore[arg-type]


def test_a_target_that_nothing_was_recovered_to_is_to_be_recovered() -> None:
    assert read_desired(asking(), None, set()).recover
    seen = read_desired(asking(), a_record(a_recovered("other")), set())
    assert (seen.state, seen.recover, seen.target) == (DesiredState.PENDING, True, TARGET)


def test_what_an_operation_has_recovered_is_not_recovered_again() -> None:
    seen = read_desired(asking(), a_record(a_recovered()), {NAME})
    assert (seen.state, seen.recover, seen.cluster) == (DesiredState.PENDING, False, NAME)


def test_the_traffic_follows_the_file_where_it_is_new() -> None:
    record = a_record(a_recovered())
    assert read_desired(asking(cutover=True), record, {NAME}).move
    assert not read_desired(asking(cutover=True), switched(record), {NAME}).move
    assert read_desired(asking(cutover=False), switched(record), {NAME}).back
    assert not read_desired(asking(cutover=False), record, {NAME}).back
    nothing = read_desired(asking(), switched(record), {NAME})
    assert (nothing.move, nothing.back) == (False, False)


def test_what_was_applied_is_not_acted_on_again_when_an_operation_has_moved_on() -> None:
    environment = asking(cutover=True)
    record = a_record(a_recovered()).with_applied(asked_for(environment.recovery))
    seen = read_desired(environment, record.pointing_to(SOURCE_HOST), {NAME})
    assert (seen.state, seen.move) == (DesiredState.SUPERSEDED, False)
    assert read_desired(environment, switched(record), {NAME}).state is DesiredState.APPLIED


def test_what_was_applied_and_is_not_there_is_asked_for_still() -> None:
    environment = asking()
    record = a_record(a_recovered()).with_applied(asked_for(environment.recovery))
    seen = read_desired(environment, record, set())
    assert (seen.state, seen.recover) == (DesiredState.PENDING, True)


def test_after_the_end_of_an_incident_its_wish_brings_nothing_back() -> None:
    environment = asking(cutover=True)
    record = switched(a_record(a_recovered())).with_applied(asked_for(environment.recovery)).closed(NAME)
    seen = read_desired(environment, record, {NAME})
    assert (seen.state, seen.recover, seen.move) == (DesiredState.SUPERSEDED, False, False)


def test_a_wish_that_was_taken_out_undoes_nothing() -> None:
    record = switched(a_record(a_recovered())).with_applied(asked_for(asking(cutover=True).recovery))
    seen = read_desired(an_environment(), record, {NAME})
    assert (seen.recover, seen.move, seen.back) == (False, False, False)


def test_it_is_told_for_people() -> None:
    assert str(read_desired(asking(cutover=True), None, set())) == (
        f"recovery to {TARGET.value}, with the traffic: not applied yet"
    )
