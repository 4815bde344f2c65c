"""What is wrong is said before anything is touched: cause, remedy, an exit code, and the lab as it was."""

import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.e2e.cli_runner import CliRunner

REQUEST, CONFIG, REFUSED, ACCESS, ENGINE = 2, 3, 4, 5, 6


@pytest.fixture
def untouched(dev: CliRunner) -> Iterator[CliRunner]:
    before = dev.footprint()
    yield dev
    assert dev.footprint() == before


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kubeconfig_with(runner: CliRunner, folder: Path, *, server: str | None = None, token: str | None = None) -> str:
    """A copy of the lab's kubeconfig, with another server, or with a token in place of the credentials."""
    document = yaml.safe_load(Path(runner.variables["KUBECONFIG"]).read_text())
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    if token:
        document["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@dataclass(frozen=True)
class Case:
    """A configuration key that is wrong for this cluster, and what is said of it."""

    code: str
    keys: Mapping[str, object] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    target: str | None = None
    exit_code: int = REFUSED

    def __str__(self) -> str:
        return self.code


@pytest.mark.parametrize(
    "case",
    [
        Case("source-unknown", {"sourceCluster": "postgres-unknown"}),
        Case("source-missing", arguments=("--source", "postgres-unknown")),
        Case("service-missing", {"service": "no-such-service"}),
        Case("workload-missing", {"workloads": {"namespace": "dev", "deployments": ["no-such-deployment"]}}),
        Case(
            "backup-place-differs",
            {"backup": {"bucket": "tomoda-db-backups-development-485000", "path": "prod"}},
        ),
        Case("bucket-missing", {"backup": {"bucket": "no-such-bucket", "path": "dev"}}, exit_code=ACCESS),
        Case("target-before-first-backup", target="2020-01-01T00:00:00Z"),
        Case("timeline-missing", arguments=("--timeline", "9")),
        Case("backup-missing", arguments=("--backup-id", "20200101T000000")),
        Case("name-impossible", arguments=("--recovered-name", "p" * 51), exit_code=REQUEST),
        Case("name-is-the-source", arguments=("--recovered-name", "postgres-dev")),
        Case("target-time-without-zone", target="2026-04-27T09:55:00", exit_code=REQUEST),
        Case("target-time-malformed", target="yesterday", exit_code=REQUEST),
        Case("context-not-the-environments", arguments=("--context", "lab-prod"), exit_code=REQUEST),
        Case("config-unknown-key", {"sourceClutser": "postgres-dev"}, exit_code=CONFIG),
        Case("confirmation-impossible", exit_code=REQUEST),
    ],
    ids=str,
)
def test_a_wrong_request_or_configuration_is_refused(untouched: CliRunner, tmp_path: Path, case: Case) -> None:
    runner = untouched.with_config(tmp_path, **case.keys)
    agreed = () if case.code == "confirmation-impossible" else ("--yes",)

    outcome = runner.pitr(case.target or runner.database_time(), *agreed, *case.arguments)

    assert (outcome.code, outcome.problem_codes[0]) == (case.exit_code, case.code), outcome
    assert outcome.document["changed"] is False
    assert outcome.document["problems"][0]["remedy"]


def test_a_target_in_the_future_is_refused(untouched: CliRunner) -> None:
    outcome = untouched.pitr((datetime.now(UTC) + timedelta(hours=1)).isoformat(), "--yes")
    assert (outcome.code, outcome.problem_codes) == (REQUEST, ["target-time-in-the-future"])


def test_an_unknown_environment_is_refused_and_the_known_ones_are_named(untouched: CliRunner) -> None:
    outcome = untouched.dr("pitr", "--env", "staging", "--target-time", "2026-04-27T09:55:00Z")
    assert (outcome.code, outcome.problem_codes) == (CONFIG, ["env-unknown"])
    assert "dev, prod" in outcome.document["problems"][0]["remedy"]


def test_an_expired_token_is_told_from_a_dead_server(untouched: CliRunner, tmp_path: Path) -> None:
    token = untouched.kubectl("create", "token", "default", "-n", "dev")
    kubeconfig = kubeconfig_with(untouched, tmp_path, token=f"{token[:-8]}AAAAAAAA")  # the API server refuses it alike
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables={"KUBECONFIG": kubeconfig})
    assert (outcome.code, outcome.problem_codes) == (ACCESS, ["token-expired"])


def test_an_unreachable_api_server_is_named(untouched: CliRunner, tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{closed_port()}"
    kubeconfig = kubeconfig_with(untouched, tmp_path, server=server)
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables={"KUBECONFIG": kubeconfig})
    assert (outcome.code, outcome.problem_codes) == (ACCESS, ["api-unreachable"])
    assert server in outcome.document["problems"][0]["cause"]


def test_no_kubeconfig_is_said(untouched: CliRunner, tmp_path: Path) -> None:
    variables = {"KUBECONFIG": str(tmp_path / "none")}
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables=variables)
    assert (outcome.code, outcome.problem_codes) == (ACCESS, ["kubeconfig-missing"])


def test_the_current_context_is_never_used(untouched: CliRunner, tmp_path: Path) -> None:
    kubeconfig = Path(kubeconfig_with(untouched, tmp_path))
    document = yaml.safe_load(kubeconfig.read_text())
    document["contexts"] = [entry for entry in document["contexts"] if entry["name"] != "lab-dev"]
    document["current-context"] = "lab-prod"
    kubeconfig.write_text(yaml.safe_dump(document))

    outcome = untouched.pitr(untouched.database_time(), "--yes", variables={"KUBECONFIG": str(kubeconfig)})

    assert (outcome.code, outcome.problem_codes) == (ACCESS, ["context-missing"])


def test_a_volume_that_the_quota_forbids_is_refused(untouched: CliRunner) -> None:
    with untouched.no_more_volumes():
        outcome = untouched.pitr(untouched.database_time(), "--yes")
    assert (outcome.code, outcome.problem_codes) == (REFUSED, ["volume-refused"])
    assert "exceeded quota" in outcome.document["problems"][0]["cause"]


def test_an_unreachable_bucket_is_said(untouched: CliRunner) -> None:
    variables = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{closed_port()}"}
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables=variables)
    assert (outcome.code, outcome.problem_codes) == (ACCESS, ["bucket-unreachable"])


def test_a_missing_pulumi_is_said(untouched: CliRunner, tmp_path: Path) -> None:
    variables = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables=variables)
    assert (outcome.code, outcome.problem_codes) == (ENGINE, ["pulumi-missing"])


def test_a_pulumi_of_another_major_version_is_said(untouched: CliRunner, tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\necho v2.25.0\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    variables = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    outcome = untouched.pitr(untouched.database_time(), "--yes", variables=variables)
    assert (outcome.code, outcome.problem_codes) == (ENGINE, ["pulumi-wrong-version"])


def test_a_missing_passphrase_is_said(untouched: CliRunner) -> None:
    without = {key: value for key, value in untouched.variables.items() if key != "PULUMI_CONFIG_PASSPHRASE"}
    runner = CliRunner(untouched.env, without, untouched.config_dir)
    outcome = runner.pitr(untouched.database_time(), "--yes")
    assert (outcome.code, outcome.problem_codes) == (ENGINE, ["passphrase-missing"])


def test_a_stack_that_another_run_holds_is_said_with_its_holder(untouched: CliRunner, tmp_path: Path) -> None:
    locks = tmp_path / "state" / ".pulumi" / "locks" / "organization" / "postgres-dr" / "dev"
    locks.mkdir(parents=True)
    lock = {"pid": 4711, "username": "ann", "hostname": "desk", "timestamp": "2026-04-27T09:55:00Z"}
    (locks / "a.json").write_text(json.dumps(lock))
    runner = untouched.with_config(tmp_path, stateBackend=f"file://{tmp_path / 'state'}")

    outcome = runner.pitr(untouched.database_time(), "--yes")

    assert (outcome.code, outcome.problem_codes) == (ENGINE, ["state-locked"])
    assert "4711 of ann on desk" in outcome.document["problems"][0]["cause"]


def test_a_dry_run_shows_the_plan_and_changes_nothing(untouched: CliRunner) -> None:
    outcome = untouched.pitr(untouched.database_time(), "--dry-run")
    assert outcome.code == 0
    keys = [step["key"] for step in outcome.document["plan"]["steps"]]
    assert keys == ["remember", "stop-writers", "seal-wal", "credentials", "recover", "verify", "settle"]
