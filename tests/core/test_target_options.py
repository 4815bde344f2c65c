"""From the command line's options to one target: every combination, and every value that is none."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

import pytest

from dr.core.errors import RequestError
from dr.core.target import LsnTarget, NameTarget, RecoveryTarget, XidTarget
from dr.core.target_options import TargetOptions
from dr.recovery.command import pitr

NOW = datetime(2026, 4, 27, 12, 0, tzinfo=UTC)
TARGETS: dict[str, Any] = {
    "target_time": "2026-04-27T09:55:00Z",
    "target_lsn": "0/3000028",
    "target_xid": "742",
    "target_name": "before",
    "target_immediate": True,
}
MODIFIERS: dict[str, Any] = {"backup_id": "20260427T030000", "timeline": "2", "exclusive": True}
NEED_A_BACKUP = {"target_xid", "target_name", "target_immediate"}
NOT_BY_COMMIT = {"target_name", "target_immediate"}


def _combinations() -> Iterator[tuple[frozenset[str], dict[str, Any]]]:
    everything = {**TARGETS, **MODIFIERS}
    for chosen in product((False, True), repeat=len(everything)):
        options = {key: value for (key, value), on in zip(everything.items(), chosen, strict=True) if on}
        yield frozenset(options), options


def _code(names: frozenset[str]) -> str | None:
    """What has to be said of options of good values; None where they make a target."""
    targets = names & set(TARGETS)
    if not targets:
        return "target-missing"
    if len(targets) > 1:
        return "targets-exclude-each-other"
    if targets & NEED_A_BACKUP and "backup_id" not in names:
        return "target-needs-backup-id"
    return "exclusive-without-effect" if targets & NOT_BY_COMMIT and "exclusive" in names else None


def _failure(**options: Any) -> RequestError:
    with pytest.raises(RequestError) as refused:
        TargetOptions(**options).target(now=NOW)
    assert refused.value.remedy
    return refused.value


def test_every_kind_of_target_has_an_option_and_a_field_of_its_own() -> None:
    kinds = get_args(RecoveryTarget)
    options = {option for parameter in pitr.params for option in parameter.opts}
    assert {kind.option for kind in kinds} <= options
    assert {kind.option.removeprefix("--").replace("-", "_") for kind in kinds} == set(TARGETS)
    assert {kind.field for kind in kinds} == {
        "targetTime", "targetLSN", "targetXID", "targetName", "targetImmediate"
    }  # fmt: skip
    assert {kind.option.removeprefix("--").replace("-", "_") for kind in kinds if kind.needs_backup_id} == NEED_A_BACKUP


def test_every_combination_makes_a_target_or_is_refused_by_name() -> None:
    made = 0
    # GIVEN each of the 256 combinations
    for names, options in _combinations():
        code = _code(names)
        if code is not None:
            assert _failure(**options).code == code, names
            continue
        # THEN those that make a target are sent with exactly what was given
        made += 1
        target = TargetOptions(**options).target(now=NOW)
        sent = {
            "target_time": ("targetTime", "2026-04-27T09:55:00+00:00"),
            "target_lsn": ("targetLSN", "0/3000028"),
            "target_xid": ("targetXID", "742"),
            "target_name": ("targetName", "before"),
            "target_immediate": ("targetImmediate", True),
            "backup_id": ("backupID", "20260427T030000"),
            "timeline": ("targetTLI", "2"),
            "exclusive": ("exclusive", True),
        }
        assert target.manifest == dict(sent[name] for name in names)
        # AND the words that ask for it again give the same one
        assert _again(target) == target
    # Of a time and an LSN all 8 each, of a transaction 4, of a restore point and of immediate 2 each.
    assert made == 24


def _again(target: RecoveryTarget) -> RecoveryTarget:
    words = shlex.split(shlex.join(target.options))
    options: dict[str, Any] = {}
    while words:
        key = words.pop(0).removeprefix("--").replace("-", "_")
        options[key] = True if key in {"target_immediate", "exclusive"} else words.pop(0)
    return TargetOptions(**options).target(now=NOW)


def test_several_targets_are_named() -> None:
    refused = _failure(target_time=TARGETS["target_time"], target_immediate=True)
    assert "--target-time and --target-immediate" in refused.cause


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0/3000028", 0x3000028),
        ("1/0", 2**32),
        ("ffffffff/FFFFFFFF", 2**64 - 1),
        (" 0/1 ", 1),
        ("0/03000028", 0x3000028),
    ],
)
def test_an_lsn_is_read(text: str, position: int) -> None:
    assert TargetOptions(target_lsn=text).target(now=NOW) == LsnTarget(position)


@pytest.mark.parametrize(
    "text", ["", "3000028", "0/", "/1", "0/1/2", "0/123456789", "0/g", "0x1/2", "0/_1", "-1/0", "0/ 1"]
)
def test_what_is_no_lsn_is_refused(text: str) -> None:
    assert _failure(target_lsn=text).code == "target-lsn-malformed"


@pytest.mark.parametrize("text", ["3", "742", "4294967295", "00742"])
def test_a_transaction_is_read(text: str) -> None:
    assert TargetOptions(target_xid=text, backup_id="b").target(now=NOW) == XidTarget(int(text), backup_id="b")


@pytest.mark.parametrize("text", ["", "0", "2", "-7", "7.0", "x", "1_000", " 742", "٧٤٢", "9" * 30])
def test_what_is_no_transaction_is_refused(text: str) -> None:
    assert _failure(target_xid=text, backup_id="b").code == "target-xid-malformed"


def test_a_transaction_with_an_epoch_is_refused_with_what_to_give() -> None:
    # GIVEN what pg_current_xact_id() returns in the second epoch
    refused = _failure(target_xid=str(2**32 + 742), backup_id="b")
    assert refused.code == "target-xid-malformed"
    assert "--target-xid 742" in refused.remedy


@pytest.mark.parametrize("text", ["before", "x" * 63, "ü" * 31, "-x", "a 'b' \"c\"", "latest"])
def test_a_restore_point_is_read_and_asked_for_again(text: str) -> None:
    target = TargetOptions(target_name=text, backup_id="b").target(now=NOW)
    assert target == NameTarget(text, backup_id="b")
    assert _again(target) == target


@pytest.mark.parametrize("text", ["", "x" * 64, "ü" * 32, "a\nb", "a\x00", "a\x7f"])
def test_what_is_no_restore_points_name_is_refused(text: str) -> None:
    assert _failure(target_name=text, backup_id="b").code == "target-name-malformed"


@pytest.mark.parametrize("text", ["", " ", "-x", "a b", "a/b"])
def test_what_is_no_backups_id_is_refused(text: str) -> None:
    assert _failure(target_immediate=True, backup_id=text).code == "backup-id-malformed"


@pytest.mark.parametrize(("text", "timeline"), [("1", 1), ("27", 27), ("4294967295", 2**32 - 1), ("latest", None)])
def test_a_timeline_is_read(text: str, timeline: int | None) -> None:
    assert TargetOptions(target_lsn="0/1", timeline=text).target(now=NOW).timeline == timeline


@pytest.mark.parametrize("text", ["", "0", "-1", "current", "00000002x", "4294967296", "1.5", "LATEST"])
def test_what_is_no_timeline_is_refused(text: str) -> None:
    assert _failure(target_lsn="0/1", timeline=text).code == "timeline-malformed"
