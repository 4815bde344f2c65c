"""Argo CD listens to nobody from outside, takes over as a whole, and lets go without a trace."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import gitops, processes, status
from lab.errors import LabError
from lab.gitops import Application
from lab.paths import State
from lab.platform import argocd

Document = dict[str, Any]


@pytest.fixture
def where(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def commands(where: State) -> dict[str, list[str]]:
    return {
        name: list(map(str, words)) for name, words in argocd.commands(where, Path("/argocd"), Path("/kube")).items()
    }


def flags(command: list[str]) -> dict[str, str]:
    return {word: after for word, after in pairwise(command) if word.startswith("--")}


def test_every_process_is_in_the_status(commands: dict[str, list[str]]) -> None:
    assert set(commands) <= set(status.PARTS)


def test_what_can_listen_on_one_address_does_so_on_loopback(commands: dict[str, list[str]]) -> None:
    assert flags(commands[argocd.REDIS])["--port"] == "0"
    repositories = flags(commands[argocd.REPOSITORIES])
    assert repositories["--address"] == repositories["--metrics-address"] == "127.0.0.1"
    sets = flags(commands[argocd.APPLICATION_SETS])
    assert sets["--metrics-addr"].startswith("127.0.0.1:")
    assert sets["--webhook-addr"].startswith("127.0.0.1:")
    assert sets["--probe-addr"] == "0"


def test_processes_find_one_another(commands: dict[str, list[str]]) -> None:
    repositories, controller = flags(commands[argocd.REPOSITORIES]), flags(commands[argocd.CONTROLLER])
    redis = flags(commands[argocd.REDIS])["--unixsocket"]
    assert controller["--redis"] == repositories["--redis"] == redis
    assert controller["--repo-server"] == f"{repositories['--address']}:{repositories['--port']}"
    assert flags(commands[argocd.APPLICATION_SETS])["--argocd-repo-server"] == controller["--repo-server"]


def test_second_drift_is_undone_as_soon_as_the_first(commands: dict[str, list[str]]) -> None:
    controller = flags(commands[argocd.CONTROLLER])
    assert controller["--self-heal-backoff-timeout-seconds"] == "0"
    assert int(controller["--app-resync"]) <= 15


def test_everything_it_keeps_lies_in_the_state(where: State) -> None:
    told = argocd.environment(where)
    for name in (
        "TMPDIR",
        "KUBECONFIG",
        "KUBECACHEDIR",
        *(name for name in told if name.endswith(("PATH", "SOCK", "HOME"))),
    ):
        assert Path(told[name]).is_relative_to(where.root), name


def test_settings_of_upstream_go_into_its_namespace(tmp_path: Path) -> None:
    for name, kind in (
        ("crds/application-crd.yaml", "CustomResourceDefinition"),
        ("config/argocd-cm.yaml", "ConfigMap"),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump({"kind": kind, "metadata": {"name": file.stem}}))
    found = [
        (item["kind"], item["metadata"]["name"], item["metadata"].get("namespace")) for item in argocd.objects(tmp_path)
    ]
    assert found == [
        ("CustomResourceDefinition", "application-crd", None),
        ("Namespace", "argocd", None),
        ("AppProject", "default", "argocd"),
        ("ConfigMap", "argocd-cm", "argocd"),
    ]


def test_missing_redis_names_its_package(where: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LabError, match="finding Redis") as caught:
        argocd._redis_program()
    assert "redis-tools" in caught.value.remedy


def made(name: str = "dev-apps", **status_fields: Any) -> Document:
    return {
        "apiVersion": argocd.API,
        "kind": "Application",
        "metadata": {"name": name, "namespace": argocd.NAMESPACE},
        "spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": True}}},
        "status": {
            "sync": {"status": "Synced", "revision": "abc"},
            "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded"},
            **status_fields,
        },
    }


def test_settled_is_synced_to_the_head_healthy_and_at_rest() -> None:
    assert Application.of(made()).settled("abc")
    assert not Application.of(made()).settled("def"), "an older commit counted"
    assert not Application.of(made(sync={"status": "OutOfSync", "revision": "abc"})).settled("abc")
    assert not Application.of(made(health={"status": "Progressing"})).settled("abc")
    assert not Application.of(made(operationState={"phase": "Running"})).settled("abc")
    assert not Application.of({**made(), "operation": {"sync": {}}}).settled("abc"), "what is about to run is no rest"
    assert not Application.of({**made(), "status": {}}).settled("abc")


@pytest.mark.parametrize(
    ("policy", "automated"),
    [
        ({"automated": {}}, True),
        ({"automated": {"enabled": True}}, True),
        ({"automated": {"enabled": False}}, False),
        ({"automated": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_pause_is_seen(policy: Document | None, automated: bool) -> None:
    found = made()
    found["spec"]["syncPolicy"] = policy
    assert Application.of(found).automated is automated


def test_message_is_what_went_wrong() -> None:
    conditions = [{"type": "ComparisonError", "message": "no such path"}]
    failed = made(conditions=conditions, operationState={"phase": "Failed", "message": "refused"})
    assert Application.of(failed).message == "no such path; refused"
    assert Application.of(made(operationState={"phase": "Succeeded", "message": "all well"})).message == ""


class Cluster:
    """Applications as a dictionary; a running one is at rest after it was looked at a few times."""

    def __init__(self, *found: Document) -> None:
        self.found = {item["metadata"]["name"]: item for item in found}
        self.did: list[tuple[str, str]] = []
        self.running_for = 3

    def list(self, _api: str, kind: str, _namespace: str) -> list[Document]:
        return [item for item in self.found.values() if item["kind"] == kind]

    def get(self, _api: str, _kind: str, name: str, _namespace: str) -> Document | None:
        self.running_for -= 1
        if self.running_for < 0:
            for item in self.found.values():
                item["status"]["operationState"] = {"phase": "Succeeded"}
        return self.found.get(name)

    def patch(self, found: Document, change: Document) -> bool:
        self.did.append(("stop", found["metadata"]["name"]))
        self.found[found["metadata"]["name"]]["spec"].update(change["spec"])
        self.found[found["metadata"]["name"]]["metadata"].update(change["metadata"])
        return True

    def delete(self, _api: str, kind: str, name: str, _namespace: str, *, orphan: bool = False) -> None:
        application = self.found.pop(name)
        if kind == "ApplicationSet":
            assert orphan, "its Applications would go with it, and with them what they keep"
            self.did.append(("delete", name))
            return
        assert not application["metadata"].get("finalizers"), "deleting it would delete what it keeps"
        self.did.append(("delete at rest" if not Application.of(application).running else "delete", name))

    def pause(self, _seconds: float) -> None:
        pass


def retire(where: State, cluster: Cluster) -> str | None:
    return gitops._retire(where, cluster)  # type: ignore[arg-type]


def test_makers_go_first_and_nobody_goes_while_syncing(where: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitops, "_controller_runs", lambda _: True)
    busy = made("dev-apps", operationState={"phase": "Running"})
    busy["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    cluster = Cluster(busy, made("root"), {"kind": "ApplicationSet", "metadata": {"name": "set"}, "spec": {}})
    assert retire(where, cluster) is None
    assert cluster.did == [
        ("delete", "set"),
        ("stop", "root"),
        ("delete at rest", "root"),
        ("stop", "dev-apps"),
        ("delete at rest", "dev-apps"),
    ]


def test_dead_controller_is_not_waited_for(where: State) -> None:
    cluster = Cluster(made(operationState={"phase": "Running"}))
    cluster.running_for = 10**6
    assert processes.read(where, argocd.CONTROLLER) is None
    retire(where, cluster)
    assert cluster.did == [("stop", "dev-apps"), ("delete", "dev-apps")]


def test_controller_that_does_not_stop_is_named(where: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitops, "_controller_runs", lambda _: True)
    monkeypatch.setattr(gitops, "AT_REST_WITHIN", 0.0)
    cluster = Cluster(made(operationState={"phase": "Running"}))
    with pytest.raises(LabError, match="stopping Application dev-apps"):
        retire(where, cluster)


def test_nothing_to_turn_off(where: State) -> None:
    assert retire(where, Cluster()) == "there are none"


def test_marks_and_claims_are_removed_and_all_else_stays() -> None:
    own, theirs = {"manager": "lab", "operation": "Apply"}, {"manager": "argocd-controller", "operation": "Update"}
    found = {
        "metadata": {
            "resourceVersion": "7",
            "annotations": {gitops.TRACKING: "dev-apps:apps/Deployment:dev/tomoda-api", "kept": "yes"},
            "managedFields": [own, theirs],
        }
    }
    assert gitops.unmarked(found) == {
        "metadata": {
            "annotations": {gitops.TRACKING: None, gitops.LAST_APPLIED: None},
            "managedFields": [own],
            "resourceVersion": "7",
        }
    }


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {gitops.LAST_APPLIED: "{}"}}])
def test_what_argo_cd_never_had_is_left_alone(metadata: Document) -> None:
    assert gitops.unmarked({"metadata": metadata}) is None


class Namespaces:
    """Objects of one namespace; the first change of each comes too late."""

    def __init__(self, *names: str) -> None:
        self.marked = dict.fromkeys(names, 2)

    def list_all(self, namespace: str) -> list[Document]:
        annotations = {name: {gitops.TRACKING: "x"} if left else {} for name, left in self.marked.items()}
        found = [
            {"kind": "Service", "metadata": {"name": name, "annotations": marks, "resourceVersion": "1"}}
            for name, marks in annotations.items()
        ]
        return found if namespace == "data" else []

    def patch(self, found: Document, _change: Document) -> bool:
        self.marked[found["metadata"]["name"]] -= 1
        return self.marked[found["metadata"]["name"]] == 0


def test_marks_are_looked_for_until_none_is_found(where: State) -> None:
    there = Namespaces("one", "two")
    assert gitops._unmark(where, there) is None  # type: ignore[arg-type]
    assert there.marked == {"one": 0, "two": 0}
    assert gitops._unmark(where, there) == "there are none"  # type: ignore[arg-type]


def test_marks_that_stay_are_named(where: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitops, "UNMARKED_WITHIN", 0.0)
    with pytest.raises(LabError, match="removing Argo CD's marks") as caught:
        gitops._unmark(where, Namespaces("one"))  # type: ignore[arg-type]
    assert "Service one" in caught.value.why
