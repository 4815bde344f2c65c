"""Keeps the tests that take the lab down out of every run that does not ask for just them; a double of Google."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.google import Google


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out, as `-m "not lab_down"` would: a skipped test looks like one that passed."""
    if config.getoption("markexpr") == "lab_down":
        return
    taking_down = [item for item in items if item.get_closest_marker("lab_down")]
    if taking_down:
        config.hook.pytest_deselected(items=taking_down)
        items[:] = [item for item in items if item not in taking_down]


@pytest.fixture
def google(tmp_path: Path) -> "Iterator[Google]":
    """A double of Google over an empty cloud."""
    from tests.support.google import serving_google  # takes a second to import: only where it is used

    with serving_google(tmp_path / "cloud.json") as found:
        yield found
