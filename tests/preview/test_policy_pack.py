"""Each rule of the guard, tried to be broken in each of the three ways: by ``dr``, by the policy pack, and in the
workflow. Pulumi is a double that tells the change by its events, or by its state.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.config.environment import Rule
from dr.core.errors import RefusedError
from dr.engine.preview import read_events
from dr.guard.check import judge
from dr.guard.rules import BUCKET, CLUSTER
from dr.main import run
from dr.preview import policy_pack
from dr.preview.policy_pack import PackGuard
from dr.run.session import Session
from tests.support.builders import (
    NOW,
    SOURCE_HOST,
    a_holder,
    a_record,
    a_recovered,
    an_environment,
    cluster_object,
    config_map_of,
    object_of,
)
from tests.support.doubles import LAST_EVENT, ObjectStoreDouble, Wire, write_environment, write_kubeconfig, write_pulumi

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
PATCH = "kubernetes:core/v1:ServicePatch"
ACCOUNT = "gcp:serviceaccount/account:Account"
NAMESPACE = "kubernetes:core/v1:Namespace"
SUMMARY: dict[str, Any] = {"maybeCorrupt": False, "durationSeconds": 1, "resourceChanges": {}, "PolicyPacks": {}}

KEPT = {"name": "acme", "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]}
SOONER = {"name": "acme", "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 7}}]}


def pointing(host: str) -> dict[str, Any]:
    return {"metadata": {"name": "prod-postgres", "namespace": "data"}, "spec": {"externalName": host}}


def recovered(name: str = "third", server_name: str = "third") -> dict[str, Any]:
    return json.loads(json.dumps(a_recovered(name, server_name).manifest))  # type: ignore[no-any-return]


def source() -> dict[str, Any]:
    return {key: value for key, value in cluster_object().items() if key != "status"}


# The rule, the type, the inputs before and after; None where there are none.
BREAKING: list[tuple[Rule, str, dict[str, Any] | None, dict[str, Any] | None]] = [
    (Rule.BACKUP_BUCKET, BUCKET, KEPT, None),
    (Rule.BACKUP_BUCKET, BUCKET, KEPT, {**KEPT, "forceDestroy": True}),
    (Rule.BACKUP_RETENTION, BUCKET, KEPT, SOONER),
    (Rule.BACKUP_ACCESS, ACCOUNT, {"accountId": "backup"}, None),
    (Rule.BACKUP_ACCESS, ACCOUNT, {"accountId": "backup"}, {"accountId": "backup", "disabled": True}),
    (Rule.CLUSTER_SERVING, CLUSTER, source(), None),
    (Rule.CLUSTER_LAST, CLUSTER, source(), None),
    (Rule.CLUSTER_PLATFORM, NAMESPACE, {"metadata": {"name": "data"}}, None),
    (Rule.TRAFFIC_UNPROVEN, PATCH, pointing(SOURCE_HOST), pointing("third-rw.data.svc.cluster.local")),
    (Rule.TRAFFIC_UNPROVEN, PATCH, None, pointing("postgres-prod-recovered-rw.data.svc.cluster.local")),
    (Rule.TWO_WRITERS, CLUSTER, None, recovered(server_name="postgres-prod")),
    (Rule.TARGET_OUTSIDE, CLUSTER, None, recovered()),
]
EACH = pytest.mark.parametrize(("rule", "kind", "before", "after"), BREAKING)


def urn(kind: str) -> str:
    return f"urn:pulumi:prod::postgres-dr::{kind}::it"


def step(kind: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    def state(inputs: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "urn": urn(kind), "inputs": inputs}

    op = "delete" if after is None else "create" if before is None else "update"
    given = {"old": state(before)} if before is not None else {}
    asked = {"new": state(after)} if after is not None else {}
    return {"op": op, "urn": urn(kind), "type": kind, "provider": "", **given, **asked}


@pytest.fixture
def place(place: Path, wire: Wire, bucket: ObjectStoreDouble) -> Path:
    """An environment whose source serves, with a recovered Cluster that was never verified and is not healthy. Its
    bucket has a base backup of long ago, and no WAL.
    """
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, **pointing(SOURCE_HOST)})
    wire.on(CLUSTERS, {"items": [cluster_object(), object_of(a_recovered(), healthy=False)]})
    wire.on("/api/v1/namespaces/data/configmaps/postgres-dr-prod", config_map_of(a_record(a_recovered())))
    bucket.objects = {path: content for path, content in bucket.objects.items() if "/wals/" not in path}
    return place


def engine(folder: Path, told: dict[str, Any]) -> None:
    events = [{"resourcePreEvent": {"metadata": told}}, {"summaryEvent": SUMMARY}]
    lines = [*({"sequence": 1, "timestamp": 1, **event} for event in events), LAST_EVENT]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    code = (
        'if arguments[0] == "preview":\n'
        f'    pathlib.Path(arguments[arguments.index("--event-log") + 1]).write_text({text!r})\n'
    )
    write_pulumi(folder / "bin", code, version="v3.200.0")


@EACH
def test_by_dr_it_is_refused_before_anything_is_done(
    rule: Rule, kind: str, before: Any, after: Any, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(place, step(kind, before, after))
    assert run(["preview", "--config-dir", str(place), "--env", "prod", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert rule in [violation["rule"] for violation in document["dangers"]]


@EACH
def test_by_an_operation_it_is_refused_as_guarded(
    rule: Rule, kind: str, before: Any, after: Any, place: Path, wire: Wire
) -> None:
    from pulumi.automation.events import EngineEvent

    from dr.kube.api import KubernetesApi

    access = {"context": "acme-prod", "kubeconfig": str(write_kubeconfig(place / "kube", {"acme-prod": wire.url}))}
    environment = an_environment(kubernetes=access)
    session = Session(
        environment=environment, api=KubernetesApi(environment.kubernetes), holder=a_holder(), clock=lambda: NOW
    )
    event = {"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": step(kind, before, after)}}
    with pytest.raises(RefusedError) as refused:
        judge(session, pytest.fail)(read_events("prod", [EngineEvent.from_json(event)]))
    assert any(f"(rule {rule}:" in problem.cause for problem in refused.value.problems)


@EACH
def test_by_pulumi_up_with_the_pack_it_is_a_violation(
    rule: Rule, kind: str, before: Any, after: Any, place: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_environment(place, write_kubeconfig(place / "kube", {"acme-prod": wire.url}))
    resources = [] if before is None else [{"urn": urn(kind), "type": kind, "inputs": before}]
    monkeypatch.setattr(policy_pack, "export_state", lambda stack: {"resources": resources})
    guard = PackGuard(place)
    stack = "urn:pulumi:prod::postgres-dr::pulumi:pulumi:Stack::postgres-dr-prod"
    said = guard.of_stack({stack}) if after is None else guard.of_resource(urn(kind), kind, after)
    assert any(text.startswith(f"{rule}: ") for text in said)


@EACH
def test_in_the_workflow_it_fails_the_run(
    rule: Rule,
    kind: str,
    before: Any,
    after: Any,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = importlib.util.spec_from_file_location("dr_review", ROOT / "docs" / "github" / "dr_review.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in ("GITHUB_TOKEN", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    engine(place, step(kind, before, after))

    def preview(env: str, limit: int, more: list[str]) -> tuple[int, dict[str, Any]]:
        # The same command, without another process for each of these.
        code = run(["preview", "--env", env, "--format", "json", "--limit", str(limit), *more])
        return code, json.loads(capsys.readouterr().out)

    monkeypatch.setattr(script, "preview", preview)
    assert script.main(["--env", "prod", "--config-dir", str(place)]) == 1
    assert f"**{rule}**" in capsys.readouterr().out


def test_every_rule_is_tried() -> None:
    assert {rule for rule, *_ in BREAKING} == set(Rule)


def test_an_override_in_the_file_lets_the_pack_pass_it_and_is_written_into_the_journal(
    place: Path, wire: Wire, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_environment(place, write_kubeconfig(place / "kube", {"acme-prod": wire.url}))
    document = yaml.safe_load(path.read_text())
    document["config"]["postgres-dr:overrides"] = [
        {
            "rule": "backup-retention",
            "resource": "it",
            "reason": "the law wants it shorter",
            "until": "2999-01-01T00:00:00Z",
        }
    ]
    path.write_text(yaml.safe_dump(document))
    known = [{"urn": urn(BUCKET), "type": BUCKET, "inputs": KEPT}]
    monkeypatch.setattr(policy_pack, "export_state", lambda stack: {"resources": known})
    assert PackGuard(place).of_resource(urn(BUCKET), BUCKET, SOONER) == []
    (line,) = (own_home / "state" / "journal" / "prod.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert (written["event"], written["reason"]) == ("guard-overridden", "the law wants it shorter")
    assert written["danger"]["rule"] == "backup-retention"
