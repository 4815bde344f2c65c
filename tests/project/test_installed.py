"""The wheel: what is in it, what it asks for, and that it works where there is no checkout."""

import json
import subprocess
import sys
import tomllib
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.support.builders import config_document
from tests.support.doubles import EMPTY_STATE, closed_port, write_environment, write_kubeconfig, write_pulumi
from tests.support.infra_fixtures import durable_document, platform_document
from tests.support.installed import ROOT, Installed, build_wheel, install

TEST_TOOLS = {"pytest"}
HEAVY = {"pulumi", "pulumi_kubernetes", "kubernetes", "google", "pydantic", "rich", "barman", "yaml"}

PROGRAM = """
import json, runpy, sys
from importlib.resources import files
import pulumi
from pulumi.runtime.mocks import Mocks
import dr.program.declare as program
from dr.stacks.declaration import Declaration

class Echo(Mocks):
    def new_resource(self, args):
        print(args.typ, args.name)
        return args.name, args.inputs
    def call(self, args):
        return {}

pulumi.runtime.set_mocks(Echo(), project="postgres-dr", stack="prod", preview=True)
pulumi.runtime.set_all_config(json.load(sys.stdin))
program.declared = lambda environment, preview, announce: Declaration(external_name="recovered.test")
pulumi.runtime.test(lambda: runpy.run_path(str(files("dr.program")), run_name="__main__") and None)()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Without any extra."""
    return install(wheel, tmp_path_factory.mktemp("installed") / "venv")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def test_every_file_of_the_package_is_in_it_and_nothing_else(wheel: Path) -> None:
    ours = {
        str(path.relative_to(ROOT)) for path in (ROOT / "dr").rglob("*.*") if path.suffix != ".pyc" and path.is_file()
    }
    with ZipFile(wheel) as file:
        assert {name for name in file.namelist() if ".dist-info/" not in name} == ours


def test_it_asks_for_what_the_repository_pins(wheel: Path) -> None:
    text = "\n".join((ROOT / name).read_text() for name in ("requirements.txt", "requirements-stores.txt"))
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    listed = {Requirement(line) for line in lines if line and not line.startswith("-r ")}
    asked = {Requirement(text) for text in metadata(wheel).get_all("Requires-Dist", [])}
    plain = {Requirement(f"{one.name}{one.specifier}") for one in asked if one.name != "postgres-dr"}
    assert plain == {one for one in listed if one.name not in TEST_TOOLS}


def test_only_its_extras_ask_for_what_a_recovery_does_not_need(wheel: Path) -> None:
    asked = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist", [])]
    by_extra = {
        extra: {one.name for one in asked if one.marker and one.marker.evaluate({"extra": extra})}
        for extra in metadata(wheel).get_all("Provides-Extra", [])
    }
    assert by_extra == {
        "infrastructure": {"pulumi-gcp", "pulumi-command"},
        "policy": {"pulumi-policy"},
        "s3": {"boto3"},
        "azure": {"azure-identity", "azure-storage-blob"},
        "all": {"postgres-dr"},
    }
    assert next(one for one in asked if one.name == "postgres-dr").extras == {
        "infrastructure",
        "policy",
        "s3",
        "azure",
    }


def test_it_is_for_python_3_11_to_3_14(wheel: Path) -> None:
    wanted = SpecifierSet(str(metadata(wheel)["Requires-Python"]))
    assert [minor for minor in range(8, 17) if f"3.{minor}.4" in wanted] == [11, 12, 13, 14]
    classifiers = metadata(wheel).get_all("Classifier", [])
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= set(classifiers)


@pytest.mark.parametrize(("python", "refused"), [("3.10", True), ("3.11", False), ("3.14", False), ("3.15", True)])
def test_another_python_is_refused_by_pip(python: str, refused: bool, wheel: Path, tmp_path: Path) -> None:
    words = ["--no-deps", "--no-index", "--only-binary=:all:", "--python-version", python]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *words, "-d", str(tmp_path), str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is refused, done.stderr
    assert ("requires a different Python" in done.stderr) is refused


def test_the_checkout_cannot_be_imported_and_the_test_tools_are_not_there(installed: Installed, place: Path) -> None:
    script = (
        "import importlib.util as u; print([n for n in ('lab', 'tests', 'pytest', 'pulumi_gcp') if u.find_spec(n)])"
    )
    assert installed.run("python", "-c", script, cwd=place).stdout == "[]\n"
    found = installed.run("python", "-c", "import dr; print(dr.__file__)", cwd=place).stdout
    assert found.startswith(str(installed.folder))


@pytest.mark.parametrize("name", ["dr", "postgres-dr"])
def test_both_names_are_commands(name: str, installed: Installed, place: Path) -> None:
    assert installed.run(name, "--version", cwd=place).stdout == "dr, version 0.1.0\n"
    said = installed.run(name, "--help", cwd=place)
    assert (said.returncode, said.stderr) == (0, "")
    assert "pitr" in said.stdout


@pytest.mark.parametrize("words", ["['--help']", "['completion', 'zsh']", "['window', '--help']"])
def test_asking_for_help_or_a_completion_imports_nothing_heavy(words: str, installed: Installed, place: Path) -> None:
    script = f"from dr.main import run; run({words})"
    ended = installed.run("python", "-X", "importtime", "-c", script, cwd=place)
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ended.stderr.splitlines()}
    assert "click" in imported, "the list of imports was not read rightly"
    assert imported & HEAVY == set()


def test_it_tells_the_version_of_each_part(installed: Installed, place: Path) -> None:
    said = installed.run("dr", "version", cwd=place)
    assert said.returncode == 0, said.stderr
    told = dict(line.split("  ", 1) for line in said.stdout.splitlines())
    assert {"postgres-dr", "Python", "Pulumi SDK", "Pulumi engine", "barman", "CloudNativePG"} <= {*told}
    assert "pulumi-gcp is not installed" in told["extra infrastructure"]
    assert told["program"].strip().startswith(str(installed.folder))


def test_without_a_configuration_it_says_where_it_looked(installed: Installed, place: Path) -> None:
    said = installed.run("dr", "window", "--env", "prod", cwd=place)
    assert said.returncode == 3
    assert f"{place} has no Pulumi.prod.yaml" in said.stderr


def test_the_configuration_is_found_in_the_current_folder(installed: Installed, place: Path) -> None:
    (place / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config_document()))
    nowhere = {"STORAGE_EMULATOR_HOST": closed_port()}
    said = installed.run("dr", "window", "--env", "prod", "--json", cwd=place, variables=nowhere)
    (problem,) = json.loads(said.stdout)["problems"]
    assert (said.returncode, problem["code"]) == (5, "bucket-unreachable")


def test_a_cluster_that_does_not_answer_is_no_access(installed: Installed, place: Path) -> None:
    write_environment(place, write_kubeconfig(place / "kube", {"acme-prod": closed_port()}))
    said = installed.run("dr", "status", "--config-dir", str(place), "--env", "prod", cwd=place.parent)
    assert said.returncode == 5, said.stdout + said.stderr
    assert "access: could not" in said.stderr
    assert "127.0.0.1" in said.stderr


def test_a_shell_is_offered_environments(installed: Installed, place: Path) -> None:
    (place / "Pulumi.prod.yaml").write_text("config: {}")
    asked = {"_DR_COMPLETE": "bash_complete", "COMP_WORDS": "dr window --env ", "COMP_CWORD": "3"}
    assert installed.run("dr", cwd=place, variables=asked).stdout == "plain,prod\n"
    assert "complete" in installed.run("dr", "completion", "fish", cwd=place).stdout


@pytest.mark.parametrize("kind", ["environment", "durable"])
def test_the_recovery_stacks_program_is_found_in_the_package_and_needs_no_extra(
    kind: str, installed: Installed, place: Path
) -> None:
    document = config_document() if kind == "environment" else durable_document()
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}
    script = place / "under_mocks.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [installed.program("python"), str(script)],
        input=json.dumps(given),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    if kind == "environment":
        assert done.returncode == 0, done.stderr
        assert "ServicePatch" in done.stdout
    else:
        assert "'postgres-dr[infrastructure]'" in done.stderr


def test_a_command_of_the_infrastructure_names_its_extra(installed: Installed, place: Path) -> None:
    kubeconfig = write_kubeconfig(place / "kube", {"acme-prod": closed_port()})
    access = {"context": "acme-prod", "kubeconfig": str(kubeconfig)}
    document = config_document(kubernetes=access, infrastructure={})
    (place / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document))
    (place / "Pulumi.durable.yaml").write_text(yaml.safe_dump(durable_document()))
    (place / "Pulumi.platform.yaml").write_text(yaml.safe_dump(platform_document()))
    program = write_pulumi(place / "bin", EMPTY_STATE)
    said = installed.run(
        "dr",
        *("preview", "--env", "prod", "--of", "durable", "--json"),
        cwd=place,
        variables={"PATH": str(program.parent), "PULUMI_CONFIG_PASSPHRASE": ""},
    )
    assert "extra-missing" in said.stdout, said.stdout + said.stderr


def test_the_project_for_pulumi_up_is_written_and_names_its_environment(installed: Installed, place: Path) -> None:
    said = installed.run("dr", "project", cwd=place)
    assert said.returncode == 0, said.stderr
    project = yaml.safe_load((place / "Pulumi.yaml").read_text())
    assert project["runtime"]["options"]["virtualenv"] == str(installed.folder)
    assert (place / "policy" / "PulumiPolicy.yaml").is_file()


def test_the_locks_versions_are_those_that_it_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = (ROOT / "requirements.lock").read_text().lower()
    assert all(f"\n{one.lower()} " in f"\n{locked}" for one in project["dependencies"])
