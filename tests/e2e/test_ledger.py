"""Nothing that was acknowledged is missing without having been announced in numbers, whatever happens meanwhile.

Clients write numbered rows through the application and by direct connections, while random operations meet random
faults: the object store answers 503, 404, late, or breaks a body off; a WAL object is truncated or replaced; kubelet
answers nobody; the command is killed. What was acknowledged is then held against the databases, and against what the
plans had said before they were agreed to.

    LEDGER_SEED=4711 LEDGER_SCHEDULES=2 python -m pytest -s tests/e2e/test_ledger.py     # seeds 4711 and 4712

Without a seed it is another one each time; it is in the test's name. Left out: ``full-rebuild``, which takes the whole
cluster away and so cannot have writers that go on (tests/e2e/test_rebuild.py compares the rows of one that were
archived), and ``finalize`` under Argo CD, where Git has to be merged by a person first (tests/e2e/test_story.py).
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_runner import fresh_dev
from tests.e2e.ledger_story import Story, Told
from tests.support.ledger import API, STAYS, Operation, Schedule, schedule

pytestmark = pytest.mark.long

SEED = int(os.environ.get("LEDGER_SEED") or random.SystemRandom().randrange(10**6))
SCHEDULES = int(os.environ.get("LEDGER_SCHEDULES") or 4)

PLAYED: list[Told] = []


@pytest.fixture(scope="module", autouse=True)
def note(record_testsuite_property: Callable[[str, object], None]) -> Iterator[None]:
    """The sum of all schedules, for the report."""
    yield
    words = (
        f"{len(PLAYED)} schedules, {sum(told.acknowledged for told in PLAYED)} rows acknowledged, "
        f"{sum(told.announced for told in PLAYED)} left behind as announced, "
        f"{sum(len(told.lost) for told in PLAYED)} other losses"
    )
    record_testsuite_property("ledger", words)
    print(f"\nledger: {words}")


def play(variables: dict[str, str], chosen: Schedule, folder: Path) -> Told:
    print(f"\n{chosen}")
    runner = fresh_dev(variables)
    try:
        told = Story(runner, chosen, folder).play()
    finally:
        runner.end_started()
    print(f"\n{told}")
    PLAYED.append(told)
    return told


@pytest.mark.parametrize("seed", range(SEED, SEED + SCHEDULES))
def test_nothing_acknowledged_is_lost_unannounced(lab_variables: dict[str, str], tmp_path: Path, seed: int) -> None:
    told = play(lab_variables, schedule(seed), tmp_path)
    assert told.acknowledged
    assert told.lost == [], told


@pytest.fixture(scope="module")
def writing_on(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A day without faults on which everybody writes all the while."""
    operations = tuple(Operation(name=name) for name in ("latest", "switchover", "rollback"))
    chosen = Schedule(seed=0, writers=(API, STAYS), operations=operations)
    return play(lab_variables, chosen, tmp_path_factory.mktemp("writing-on"))


def test_who_writes_all_the_while_is_announced_and_all_else_is_where_it_has_to_be(writing_on: Told) -> None:
    """E7, E8."""
    assert writing_on.lost == [], writing_on
    assert writing_on.announced, "nobody has written"
