"""The report as it is kept: its published shape, and reading it back."""

import json
from pathlib import Path

import pytest

from dr.core.errors import AccessError
from dr.reports.document import ReportDocument, schema_text
from tests.support.reports import a_report

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"


def test_the_published_schema_is_the_one_of_the_code() -> None:
    assert PUBLISHED.read_text() == schema_text(), "write it again, from schema_text()"


def test_what_is_written_reads_back_as_the_same() -> None:
    report = a_report()
    assert ReportDocument.parse(json.dumps(report.as_json()), where="x") == report


def test_the_names_are_those_of_the_schema_and_the_phases_are_plain() -> None:
    told = a_report().as_json()
    assert told["schemaVersion"] == 1
    assert told["rto"]["phases"]["baseBackup"] == 10.0
    assert told["sizes"]["walSegments"] == 60
    properties = json.loads(PUBLISHED.read_text())["properties"]
    assert set(told) == set(properties)


def test_what_a_later_release_adds_is_passed_over() -> None:
    told = a_report().as_json() | {"weather": "fine"}
    assert ReportDocument.parse(json.dumps(told), where="x") == a_report()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schemaVersion": 2}', json.dumps(a_report().as_json() | {"schemaVersion": 2})]
)
def test_what_is_no_report_of_this_version_is_said_so(text: str) -> None:
    with pytest.raises(AccessError) as failed:
        ReportDocument.parse(text, where="/state/x.json")
    assert failed.value.code == "report-unreadable"
    assert "/state/x.json" in failed.value.cause
