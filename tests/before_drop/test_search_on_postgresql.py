"""Finding a drop on a real server, by its own pages and WAL."""

from collections.abc import Iterator
from threading import Event

import pytest

from dr.before_drop import search
from dr.before_drop.drops import Drop
from dr.core.errors import RefusedError
from dr.kube.api import KubernetesApi
from dr.postgres.table_name import TableName
from dr.run.session import Session
from tests.support.builders import NOW, a_holder, a_source, an_environment
from tests.support.doubles import in_pods
from tests.support.postgres import Server, Servers, servers

USERS = TableName("public", "users")


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    with servers() as both:
        yield both


@pytest.fixture
def live(both: Servers) -> Server:
    both.fresh()
    both.live.sql("CREATE TABLE users (id int PRIMARY KEY)", "CHECKPOINT")
    return both.live


@pytest.fixture
def session(api: KubernetesApi, both: Servers, monkeypatch: pytest.MonkeyPatch) -> Session:
    in_pods(monkeypatch, both.answer)
    monkeypatch.setattr(search, "find_cluster", lambda *_: a_source())
    return Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Event())


def find(session: Session) -> Drop:
    return search.find_drop(session, "postgres-prod", USERS)


def test_a_table_that_was_renamed_and_dropped_comes_back_under_its_last_name(live: Server, session: Session) -> None:
    """X5. What has the old name by then is the new, empty table, which was taken and "verified"."""
    live.sql("BEGIN; ALTER TABLE users RENAME TO users_old; CREATE TABLE users (id int); COMMIT")
    live.sql("DROP TABLE users_old")
    drop = find(session)
    assert drop.called == TableName("public", "users_old")
    assert "by then it was called public.users_old" in drop.facts["Dropped"]
    assert "there is a table of that name now" in drop.facts["Dropped"]


@pytest.mark.parametrize("how", ["DROP SCHEMA s CASCADE", "DROP TABLE s.users"])
def test_a_table_that_was_moved_and_dropped_is_told_with_its_last_schema(
    live: Server, session: Session, how: str
) -> None:
    """X5."""
    live.sql("CREATE SCHEMA s", "ALTER TABLE users SET SCHEMA s")
    live.sql(how)
    assert find(session).called == TableName("s", "users")


def test_a_table_that_was_changed_and_dropped_had_its_own_name(live: Server, session: Session) -> None:
    live.sql("ALTER TABLE users ADD COLUMN v text", "CREATE INDEX ON users (v)", "DROP TABLE users")
    drop = find(session)
    assert drop.called == USERS
    assert "called" not in drop.facts["Dropped"]


def test_a_rewritten_catalog_is_no_likely_drop(live: Server, session: Session) -> None:
    """X5. The VACUUM itself was offered as the one that had dropped the table."""
    live.sql("DROP TABLE users", "VACUUM FULL pg_class")
    with pytest.raises(RefusedError) as refused:
        find(session)
    (problem,) = refused.value.problems
    assert "rewrote the catalog (VACUUM FULL)" in problem.cause
    assert problem.code == "drop-unknown"
