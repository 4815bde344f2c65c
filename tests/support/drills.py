"""Values of a drill as the tests need them: everything in order, to be changed by a key."""

from dataclasses import replace
from typing import Any

from dr.drill.plan import DrillRequest, DrillSituation
from tests.support.builders import a_situation

NAME = "postgres-prod-drill"


def a_drill_request(**changes: Any) -> DrillRequest:
    """To the end of the WAL."""
    return replace(DrillRequest(target=None, source="postgres-prod"), **changes)


def a_drill_situation(**changes: Any) -> DrillSituation:
    """Everything in order for :func:`a_drill_request`."""
    return replace(DrillSituation(recovery=a_situation(workloads={}), name=NAME), **changes)
