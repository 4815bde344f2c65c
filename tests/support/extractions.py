"""Values of an extraction as the tests need them: everything in order, to be changed by a key."""

import base64
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from dr.cli.progress import reporter_for
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import DrError
from dr.extract import observe
from dr.extract.plan import ExtractDecision, decide_extraction
from dr.extract.preconditions import ExtractRequest, ExtractSituation
from dr.extract.report import ExtractReport
from dr.extract.run import Extract
from dr.extract.table_facts import LiveSeen, Part, TableFacts
from dr.kube.api import KubernetesApi
from dr.postgres.table_name import TableName
from dr.recovery.scratch import Scratch
from dr.run import operation
from dr.run.journal import Journal
from dr.run.operation import OperationContext
from dr.run.session import Session
from tests.support.builders import NOW, TARGET, a_holder, a_recovered, a_situation, a_source, an_environment, as_seen
from tests.support.doubles import Impatient, RecordsDouble, Wire, in_pods
from tests.support.postgres import Servers

SCRATCH = "postgres-prod-scratch"
USERS = TableName("public", "users")


def a_table(**changes: Any) -> TableFacts:
    """A plain table with nothing hanging on it."""
    good = TableFacts(
        oid=16400,
        kind="r",
        owner="keeper",
        is_partition=False,
        inherits=False,
        temporary_or_unlogged=False,
        rows=1000,
        size=2**20,
        parts=(Part(kind="TABLE", table_schema="public", name="users"),),
        sequences=(),
        keys_out=(),
        keys_in=(),
        views=(),
        others=(),
        publications=(),
        rights=(),
        guards=(),
        traits=(),
        columns={},
        uniques=(),
        calls=(),
        object_columns=(),
        tablespaces=(),
    )
    return good.model_copy(update=changes)


def live_seen(**changes: Any) -> LiveSeen:
    """The table was dropped; nothing else is there."""
    good = LiveSeen(schema_exists=True, staged=False, table=None, recovered=None, kept=None)
    return good.model_copy(update=changes)


def an_extract_situation(seen: LiveSeen | None = None, **changes: Any) -> ExtractSituation:
    """Everything in order for :func:`an_extract_request`."""
    good = ExtractSituation(
        recovery=a_situation(),
        scratch_name="postgres-prod-scratch",
        live=a_source(),
        live_seen=seen or live_seen(),
    )
    return replace(good, **changes)


def an_extract_request(**changes: Any) -> ExtractRequest:
    """``public.users`` at :data:`TARGET`, beside the present one."""
    return replace(ExtractRequest(table=USERS, target=TARGET, source="postgres-prod"), **changes)


def extraction_by(
    servers: Servers, wire: Wire, api: KubernetesApi, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> "Extracting":
    """Extractions whose databases are real, and whose scratch Cluster is there from the start."""
    scratch = replace(as_seen(a_recovered(SCRATCH)), primary=f"{SCRATCH}-1")
    monkeypatch.setattr(Scratch, "recover", lambda _: scratch)
    monkeypatch.setattr(Scratch, "find", lambda _: scratch)
    monkeypatch.setattr(Scratch, "remove", lambda _: f"{SCRATCH} is gone")
    monkeypatch.setattr(Scratch, "see_end", lambda *_: None)
    monkeypatch.setattr(operation, "held", lambda *_, **__: nullcontext())
    monkeypatch.setattr(operation, "save_report", lambda *_, **__: None)
    clusters = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
    wire.on(f"{clusters}/{SCRATCH}", {}, method="PATCH")
    secret = {"metadata": {}, "data": {"password": base64.b64encode(b"s").decode()}}
    wire.on(f"/api/v1/namespaces/data/secrets/{SCRATCH}-superuser", secret)
    in_pods(monkeypatch, servers.answer)
    return Extracting(servers=servers, api=api, folder=folder, scratch=scratch)


@dataclass(frozen=True, kw_only=True)
class Extracting:
    """Extractions by the real statements, from what is in the one server's database into the other's."""

    servers: Servers
    api: KubernetesApi
    folder: Path
    scratch: ClusterSnapshot

    def decide(self, table: str, *, swap: bool = False) -> ExtractDecision:
        """Look at the live database, and decide. Raises RefusedError."""
        request = an_extract_request(table=TableName.parse(table), swap=swap, seal=False)
        session, source = self._session, a_source()
        situation = an_extract_situation(
            live_seen=observe._look_at_live(session, request, a_source()),
            found=observe._look_at_scratch(session, request, self.scratch, source),
            recovery=a_situation(source=source),
        )
        return decide_extraction(an_environment(), request, situation)

    def run(self, table: str, *, swap: bool = False) -> ExtractReport:
        """Decide, and do all steps. Raises a DrError."""
        decision = self.decide(table, swap=swap)
        stack = MagicMock()
        journal = Journal(path=self.folder / "prod.jsonl", common={}, records=RecordsDouble(), user="ann@ops-1")
        extraction = Extract(decision)
        with reporter_for(extraction.plan, quiet=True) as reporter:
            return extraction.run(
                OperationContext(session=self._session, stack=stack, journal=journal, reporter=reporter)
            )

    def failure(self, table: str, *, swap: bool = False) -> DrError:
        """How it ends, where it has to fail."""
        with pytest.raises(DrError) as failed:
            self.run(table, swap=swap)
        return failed.value

    @property
    def _session(self) -> Session:
        environment = an_environment()
        return Session(environment=environment, api=self.api, holder=a_holder(), clock=lambda: NOW, stop=Impatient())
