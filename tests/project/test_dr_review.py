"""The script of the workflow, without GitHub: its API is a double, and so are the previews."""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.doubles import Asked, Wire, serving

ROOT = Path(__file__).resolve().parents[2]
COMMENTS = "/repos/acme/platform/issues/7/comments"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dr_review", ROOT / "docs" / "github" / "dr_review.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class GitHubDouble(Wire):
    """GitHub's comments of one pull request, a page of which has two."""

    comments: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        if asked.headers.get("authorization") != "Bearer t0ken":
            return 401, b"{}"
        answer: Any
        if asked.method == "GET":
            page = int(asked.query["page"])
            answer = self.comments[(page - 1) * 2 : page * 2]
        elif asked.method == "POST":
            answer = {"id": 100 + len(self.comments), "html_url": "new", "body": asked.body["body"]}
            self.comments.append(answer)
        else:
            number = int(asked.path.rsplit("/", 1)[1])
            answer = next(one for one in self.comments if one["id"] == number)
            answer |= {"body": asked.body["body"], "html_url": "updated"}
        return 200, json.dumps(answer).encode()


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubDouble]:
    (tmp_path / "event.json").write_text(json.dumps({"pull_request": {"number": 7}}))
    with serving(GitHubDouble()) as github:
        for name, value in {
            "GITHUB_API_URL": github.url,
            "GITHUB_TOKEN": "t0ken",
            "GITHUB_REPOSITORY": "acme/platform",
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }.items():
            monkeypatch.setenv(name, value)
        yield github


def answering(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, dict[str, Any]]]
) -> list[int]:
    """Let ``dr preview`` answer so. Returns the limits that it was asked to keep."""
    limits: list[int] = []

    def preview(env: str, limit: int, more: Sequence[str]) -> tuple[int, dict[str, Any]]:
        limits.append(limit)
        return answers[env]

    monkeypatch.setattr(script, "preview", preview)
    return limits


def said(text: str, *manifests: dict[str, Any]) -> dict[str, Any]:
    return {"markdown": text, "manifests": list(manifests)}


def test_one_comment_is_made_and_then_kept_up_to_date(
    script: ModuleType, github: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.comments += [{"id": number, "body": "by somebody"} for number in range(5)]
    answering(script, monkeypatch, {"dev": (2, said("### dev: 1 created")), "prod": (0, said("### prod: 1 kept"))})
    assert script.main(["--env", "dev", "--env", "prod"]) == 0
    assert script.main(["--env", "dev", "--env", "prod"]) == 0
    ours = [one for one in github.comments if script.MARK in one["body"]]
    assert len(ours) == 1
    assert ours[0]["html_url"] == "updated"
    assert "### dev: 1 created" in ours[0]["body"]
    assert "### prod: 1 kept" in ours[0]["body"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((0, said("kept")), 0),
        ((2, said("changed")), 0),
        ((3, said("dangerous")), 1),
        ((1, {"problems": [{"code": "unreachable", "cause": "no answer", "remedy": "look"}]}), 1),
    ],
)
def test_it_fails_on_a_danger_and_on_what_could_not_be_found_out(
    script: ModuleType,
    github: GitHubDouble,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, dict[str, Any]],
    code: int,
) -> None:
    answering(script, monkeypatch, {"prod": answer})
    assert script.main(["--env", "prod"]) == code
    assert len(github.comments) == 1


def test_all_environments_together_fit_into_one_comment(
    script: ModuleType, github: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"env{number}" for number in range(4)]
    limits = answering(script, monkeypatch, {name: (2, said("x" * 14_000)) for name in names})
    script.main([word for name in names for word in ("--env", name)])
    assert sum(limits) <= script.LONGEST
    assert len(github.comments[0]["body"]) <= script.LONGEST


def test_wrong_manifests_fail_and_are_named(
    script: ModuleType,
    github: GitHubDouble,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
    definition = {
        "kind": "CustomResourceDefinition",
        "spec": {
            "group": "db.test",
            "names": {"kind": "Base"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}],
        },
    }
    (tmp_path / "crds.yaml").write_text(yaml.safe_dump(definition))
    (tmp_path / "k8s").mkdir()
    wrong = {"apiVersion": "db.test/v1", "kind": "Base", "metadata": {"name": "in-git"}, "spec": {"b": 1}}
    options = ["--env", "prod", "--schemas", str(tmp_path / "crds.yaml"), "--manifests", str(tmp_path / "k8s")]
    answering(script, monkeypatch, {"prod": (2, said("changed", {**wrong, "metadata": {"name": "rendered"}}))})
    assert script.main(options) == 1
    assert "Base rendered: spec: " in github.comments[0]["body"]
    answering(script, monkeypatch, {"prod": (2, said("changed"))})
    assert script.main(options) == 0
    (tmp_path / "k8s" / "base.yaml").write_text(yaml.safe_dump(wrong))
    assert script.main(options) == 1
    assert "Base in-git: spec: " in github.comments[0]["body"]


def test_outside_of_github_it_prints(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_TOKEN", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    answering(script, monkeypatch, {"prod": (0, said("### prod: 1 kept"))})
    assert script.main(["--env", "prod"]) == 0
    assert "### prod: 1 kept" in capsys.readouterr().out


def test_the_real_preview_is_asked_and_a_failure_of_it_is_told(script: ModuleType, tmp_path: Path) -> None:
    code, document = script.preview("nowhere", 1000, ["--config-dir", str(tmp_path)])
    assert (code, document["problems"][0]["code"]) == (1, "env-unknown")


def test_the_workflows_name_files_and_commands_that_exist() -> None:
    for path in sorted((ROOT / "docs" / "github").glob("*.yml")):
        text = path.read_text()
        assert yaml.safe_load(text)["jobs"]
        for line in text.splitlines():
            if "uses:" in line:
                version = line.split("@")[1].split("#")[0].strip()
                assert len(version) == 40 or version.count(".") == 2, f"{path.name} does not pin {line.strip()}"
            if "docs/github/dr_review.py" in line:
                assert (ROOT / "docs" / "github" / "dr_review.py").exists()
