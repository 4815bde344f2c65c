"""Which Pulumi and which Go the lab takes, and what it says of itself to those who use it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import versions
from lab.environment import environment
from lab.errors import LabError
from lab.paths import Cache, State
from lab.steps import Task
from lab.tools import programs, pulumi
from lab.tools.toolchain import Toolchain, toolchain
from lab.up import link_programs


def script(file: Path, body: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def where(tmp_path: Path) -> State:
    return State(tmp_path / "state")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return Task(tmp_path / "log", threading.Event())


@pytest.fixture
def go(tmp_path: Path) -> Toolchain:
    return Toolchain("1.26.6", tmp_path / "no-go", Cache(tmp_path / "cache"))


def own_pulumi(folder: Path, version: str, plugins: str = "[]") -> None:
    script(folder / "pulumi", f"case $1 in version) echo {version};; plugin) [ $2 = ls ] && echo '{plugins}';; esac")


def provide(where: State, go: Toolchain, task: Task) -> pulumi.Pulumi:
    pulumi.provide(where, go.cache, go, task)
    found = pulumi.chosen(where)
    assert found is not None
    return found


def pretend_built(go: Toolchain) -> None:
    for program in pulumi.BUILT:
        script(program.binary(go.cache, go), "")
    script(programs.PULUMI_LANGUAGE.folder(go.cache, go) / pulumi.LANGUAGE_EXEC, "")


def test_own_pulumi_that_has_the_provider_is_used(
    where: State, go: Toolchain, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_pulumi(tmp_path / "own", "v3.251.0", json.dumps([{"name": "kubernetes", "kind": "resource"}]))
    monkeypatch.setenv("PATH", f"{tmp_path / 'own'}:/usr/bin:/bin")
    found = provide(where, go, task)
    assert found == pulumi.Pulumi("the machine's own", {"pulumi": str(tmp_path / "own" / "pulumi")})


@pytest.mark.parametrize("version", ["v2.25.0", "v4.0.0", "nonsense"])
def test_own_pulumi_of_another_major_version_is_not_used(
    version: str, where: State, go: Toolchain, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_pulumi(tmp_path / "own", version)
    script(tmp_path / "own" / "pulumi-resource-kubernetes", "")
    monkeypatch.setenv("PATH", f"{tmp_path / 'own'}:/usr/bin:/bin")
    pretend_built(go)
    assert provide(where, go, task).origin == "built from modules"


def test_what_is_built_is_not_asked_for_on_the_network(
    where: State, go: Toolchain, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(pulumi, "_installed", lambda *_: pytest.fail("went to the network"))
    pretend_built(go)
    found = provide(where, go, task)
    assert set(found.programs) == {*(program.name for program in pulumi.BUILT), pulumi.LANGUAGE_EXEC}
    assert pulumi.provide(where, go.cache, go, task) == "Pulumi is here (built from modules)"


def test_the_labs_own_links_are_not_taken_for_the_machines(
    where: State, go: Toolchain, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_pulumi(where.bin, "v3.250.0", json.dumps([{"name": "kubernetes", "kind": "resource"}]))
    monkeypatch.setenv("PATH", f"{where.bin}:/usr/bin:/bin")
    pretend_built(go)
    assert provide(where, go, task).origin == "built from modules"


def test_pulumi_that_was_removed_is_chosen_anew(
    where: State, go: Toolchain, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    pretend_built(go)
    provide(where, go, task)
    programs.PULUMI.binary(go.cache, go).unlink()
    assert pulumi.chosen(where) is None


def test_links_follow_what_is_chosen(
    where: State, go: Toolchain, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    pretend_built(go)
    provide(where, go, task)
    where.bin.mkdir(parents=True)
    (where.bin / "stale").symlink_to("/nowhere")
    link_programs(where, script(tmp_path / "kube", 'echo "$@" in $KUBECACHEDIR'))
    link_programs(where, tmp_path / "kube")
    assert (where.bin / "pulumi").resolve() == programs.PULUMI.binary(go.cache, go).resolve()
    assert not (where.bin / "stale").is_symlink()
    said = subprocess.run(
        [where.bin / "kubectl", "get", "two words"], check=True, capture_output=True, text=True
    ).stdout
    assert said == f"kubectl get two words in {where.root}/kubectl-cache\n"


@pytest.mark.parametrize(
    ("printed", "used"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.30 linux/amd64", True),
        ("go version go1.25.9 linux/amd64", False),
        ("go version devel", False),
    ],
)
def test_go_of_the_machine_is_used_if_new_enough(
    printed: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = script(tmp_path / "own" / "go", f"echo {printed}")
    monkeypatch.setenv("PATH", f"{own.parent}:/usr/bin:/bin")
    found = toolchain(Cache(tmp_path / "cache"))
    assert (found.binary == own) is used
    if not used:
        assert found.version == versions.GO


def test_program_that_does_not_compile_says_so(go: Toolchain, tmp_path: Path, task: Task) -> None:
    broken = Toolchain("1.26.6", script(tmp_path / "go", "echo main.go:1: syntax error; exit 1"), go.cache)
    with pytest.raises(LabError, match="building pause") as caught:
        programs.PAUSE.build(broken.cache, broken, task.log, task.cancelled)
    assert "syntax error" in caught.value.why
    assert not programs.PAUSE.folder(broken.cache, broken).exists()


def test_environment_can_be_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DR_LAB_STATE", "/nowhere")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    once = environment()
    assert once["PATH"] == f"/nowhere/bin:{Path(sys.executable).parent}:/usr/bin:/bin"
    assert once["KUBECONFIG"] == "/nowhere/kubeconfig"
    for name, value in once.items():
        monkeypatch.setenv(name, value)
    assert environment() == once


def test_requests_to_the_lab_go_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DR_LAB_STATE", "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    listed = environment()["NO_PROXY"].split(",")
    assert listed[0] == "intranet.example"
    assert {"10.88.0.1", "10.96.100.11", "127.0.0.1"} <= set(listed)
