"""The last commit in an archive: read from its end, and only where that can be."""

from dataclasses import replace

import pytest

from dr.archive.reader import OpenArchive, open_archive
from dr.archive.wal_lines import read_commit
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from dr.core.wal_names import name_of
from dr.kube.api import KubernetesApi
from dr.window.observe import last_commit
from dr.window.report import WindowReport
from tests.support.archives import SEGMENT, at, backup, put_backup, put_wal, wal
from tests.support.builders import BUCKET, a_source
from tests.support.doubles import ObjectStoreDouble, in_pods, said
from tests.support.pages import COMMIT_1039

SERVER = "postgres-prod"
EMPTY = "T|0|\nS|{}\n"
WITH_COMMIT = f"T|1|{COMMIT_1039}\nS|x\n"


@pytest.fixture
def opened(store: ObjectStoreDouble) -> OpenArchive:
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal(range(1, 12)))
    return open_archive(BackupLocation(bucket=BUCKET, path="prod"), SERVER)


def _commit_time() -> object:
    commit = read_commit(COMMIT_1039)
    assert commit
    return commit.time


def test_the_last_segments_are_gone_back_through_to_one_with_a_commit(
    api: KubernetesApi, opened: OpenArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [EMPTY, EMPTY, WITH_COMMIT]
    ran = in_pods(monkeypatch, lambda _: said(answers[len(ran) - 1]))
    end = last_commit(api, a_source(), opened)
    assert end is not None
    assert (end.segment, end.archived, end.last_commit) == (name_of(1, 11, SEGMENT), at(110), _commit_time())
    sent = [one.standard_input.split(b" ")[0].decode() for one in ran]
    assert sent == [name_of(1, number, SEGMENT) for number in (11, 10, 9)]
    # AND the report's window has it, of the serving archive only
    report = WindowReport(
        environment="prod",
        place="gs://x",
        seen_at=at(200),
        archives=(opened.archive, replace(opened.archive, server_name="other")),
        serving=SERVER,
        silence="",
        end=end,
    )
    told = [archive["windows"][0]["to"]["lastCommit"] for archive in report.as_json()["archives"]]
    assert told == ["2026-11-23T09:17:40.186859+00:00", None]


def test_on_a_database_that_is_quiet_for_longer_it_is_not_known(
    api: KubernetesApi, opened: OpenArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, lambda _: said(EMPTY))
    assert last_commit(api, a_source(), opened) is None
    assert len(ran) == 4


def test_without_a_pod_that_answers_it_is_not_known_and_no_error(
    api: KubernetesApi, opened: OpenArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pods(monkeypatch, lambda _: AccessError("not-found", "there is no such pod", "look"))
    assert last_commit(api, a_source(), opened) is None
    assert last_commit(api, replace(a_source(), primary=None), opened) is None
