"""The seat of an operator at the lab: the commands a person would type, and a look at what they changed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab import paths
from tests.support.waiting import HANG_SECONDS, wait_for

PROJECT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 4 * HANG_SECONDS
"""The limit of a whole command, which has limits of its own."""


@dataclass(frozen=True)
class Outcome:
    """How a ``dr`` command ended: its exit code, its JSON document, and what it said on stderr."""

    code: int
    document: dict[str, Any]
    stderr: str

    @property
    def problem_codes(self) -> list[str]:
        return [problem["code"] for problem in self.document.get("problems", ())]


@dataclass
class CliRunner:
    """One environment of the lab, and the variables that make the tools work on it."""

    env: str
    variables: Mapping[str, str]
    config_dir: Path
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    @property
    def source(self) -> str:
        return f"postgres-{self.env}"

    @property
    def recovered(self) -> str:
        return f"postgres-{self.env}-recovered"

    @property
    def journal(self) -> Path:
        """The journal that ``dr`` keeps of this environment on this machine."""
        return Path(self.variables["DR_STATE_DIR"]) / "journal" / f"{self.env}.jsonl"

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start ``python -m dr`` with --json, as one does from the project's folder."""
        process = subprocess.Popen(
            [sys.executable, "-m", "dr", *arguments, "--json"],
            cwd=PROJECT,
            env={**os.environ, **self.variables, "DR_CONFIG_DIR": str(self.config_dir), **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def finish(self, process: "subprocess.Popen[str]", seconds: float = COMMAND_SECONDS) -> Outcome:
        with process:
            try:
                output, errors = process.communicate(timeout=seconds)
            finally:
                process.kill()  # where it hangs; it has ended otherwise
        return Outcome(process.returncode, json.loads(output) if output.strip() else {}, errors)

    def dr(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Outcome:
        return self.finish(self.start(*arguments, variables=variables))

    def move(self, *arguments: str) -> Outcome:
        """A move of the traffic that is agreed to in advance, and once more with its final number where workloads have
        added to what stays behind.
        """
        outcome = self.dr(*arguments)
        return self.dr(*arguments) if outcome.problem_codes == ["more-left-behind"] else outcome

    def pitr(self, target: str, *arguments: str, variables: Mapping[str, str] | None = None) -> Outcome:
        return self.dr("pitr", "--env", self.env, "--target-time", target, *arguments, variables=variables)

    def health(self) -> dict[str, str]:
        """The state of each check of ``dr health``."""
        (environment,) = self.dr("health", "--env", self.env).document["environments"]
        return {check["name"]: check["state"] for check in environment["checks"]}

    def with_config(self, folder: Path, **keys: object) -> "CliRunner":
        """The same seat with some configuration keys changed, in a copy of the configuration below ``folder``."""
        for path in self.config_dir.glob("Pulumi*.yaml"):
            document = yaml.safe_load(path.read_text())
            if path.name == f"Pulumi.{self.env}.yaml":
                document["config"] |= {f"postgres-dr:{key}": value for key, value in keys.items()}
            (folder / path.name).write_text(yaml.safe_dump(document))
        return replace(self, config_dir=folder)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, env={**os.environ, **self.variables}, cwd=PROJECT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-4000:]}{done.stderr}"
        return done.stdout.strip()

    def kubectl(self, *words: str) -> str:
        return self.run("kubectl", "--context", f"lab-{self.env}", *words)

    def preview_by_hand(self) -> str:
        """What ``pulumi preview`` says of the recovery stack, which must have nothing to change."""
        config = self.config_dir / f"Pulumi.{self.env}.yaml"
        backend = yaml.safe_load(config.read_text())["config"]["postgres-dr:stateBackend"]
        by_hand = {"PULUMI_BACKEND_URL": backend, "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
        words = ("--non-interactive", "--stack", f"organization/postgres-dr/{self.env}", "--config-file", str(config))
        runner = CliRunner(self.env, {**self.variables, **by_hand}, self.config_dir)
        return runner.run("pulumi", "preview", "--cwd", str(PROJECT), *words, "--expect-no-changes")

    @contextmanager
    def no_more_volumes(self) -> Iterator[None]:
        """A quota that allows the volumes that are there, and no other."""
        volumes = len(self.kubectl("get", "pvc", "-n", "data", "-o", "name").splitlines())
        hard = f"--hard=persistentvolumeclaims={volumes}"
        self.kubectl("create", "quota", "no-more-volumes", "-n", "data", hard)
        try:
            used = "jsonpath={.status.used}"
            wait_for(lambda: self.kubectl("get", "quota", "no-more-volumes", "-n", "data", "-o", used))
            yield
        finally:
            self.kubectl("delete", "quota", "no-more-volumes", "-n", "data")

    def psql(self, cluster: str, sql: str) -> str:
        return self.kubectl(
            "exec", f"{cluster}-1", "-n", "data", "-c", "postgres", "--", "psql", "-XqAtd", "tomoda", "-c", sql
        )

    def psql_lines(self, cluster: str, *scripts: str) -> list[str]:
        """The output lines of several scripts, each a command of its own as psql sends them."""
        commands = [word for script in scripts for word in ("-c", script)]
        words = ("exec", f"{cluster}-1", "-n", "data", "-c", "postgres", "--", "psql", "-XqAtd", "tomoda", *commands)
        return self.kubectl(*words).splitlines()

    def apply(self, manifest: str, *options: str) -> str:
        """``kubectl apply`` of a manifest; returns what it prints."""
        return self._fed("apply", manifest, *options)

    def delete(self, manifest: str) -> str:
        """``kubectl delete`` of what a manifest names; returns what it prints."""
        return self._fed("delete", manifest, "--ignore-not-found")

    def _fed(self, verb: str, manifest: str, *options: str) -> str:
        words = ["kubectl", "--context", f"lab-{self.env}", verb, *options, "-f", "-"]
        done = subprocess.run(
            words, env={**os.environ, **self.variables}, input=manifest, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def await_archived(self, segment: str) -> None:
        """Wait until the source says that this segment, or a later one, is archived."""
        asked = f"SELECT left(last_archived_wal, 24) >= '{segment}' FROM pg_stat_archiver"
        wait_for(lambda: self.psql(self.source, asked) == "t")

    def try_psql(self, cluster: str, sql: str) -> "subprocess.CompletedProcess[str]":
        """SQL that may fail."""
        return self.in_pod(f"{cluster}-1", "psql", "-XqAtd", "tomoda", "-c", sql)

    def in_pod(self, pod: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """A program in a database's pod, that may fail."""
        return subprocess.run(
            ["kubectl", "--context", f"lab-{self.env}", "exec", pod, "-n", "data", "-c", "postgres", "--", *words],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def health_url(self) -> str:
        """The API's own address, reached from this machine."""
        address = self.kubectl("get", "service", "tomoda-api", "-n", self.env, "-o", "jsonpath={.spec.clusterIP}")
        return f"http://{address}/health"

    def await_step(self, operation: str, key: str) -> None:
        """Wait until the newest operation, which has to be ``operation``, has begun its step ``key``."""

        def begun() -> bool:
            where = ("configmap", f"postgres-dr-{self.env}", "-n", "data", "--ignore-not-found")
            text = self.kubectl("get", *where, "-o", r"jsonpath={.data.record\.json}")
            if not text:
                return False  # the first operation on a fresh lab has not begun
            newest = json.loads(text)["operations"][-1]
            keys = [step["key"] for step in newest["steps"]]
            return newest["operation"] == operation and newest["outcome"] == "running" and key in keys

        wait_for(begun, seen=lambda: f"{operation} did not come to {key}")

    def database_time(self) -> str:
        """The database's clock, as a target for ``--target-time``."""
        return self.database_time_of(self.source)

    def database_time_of(self, cluster: str) -> str:
        """The clock of one database."""
        seconds = float(self.psql(cluster, "SELECT extract(epoch FROM clock_timestamp())"))
        return datetime.fromtimestamp(seconds, UTC).isoformat()

    def still_tries(self, cluster: str) -> bool:
        """Whether CloudNativePG's own Job has not given up recovering ``cluster`` yet, but tries again."""
        path = "jsonpath={.status.conditions[*].type}"
        return "Failed" not in self.kubectl("get", "job", f"{cluster}-1-full-recovery", "-n", "data", "-o", path)

    def replicas(self) -> dict[str, int]:
        found = json.loads(self.kubectl("get", "deployments", "-n", self.env, "-o", "json"))
        return {item["metadata"]["name"]: item["spec"]["replicas"] for item in found["items"]}

    def cluster(self, name: str) -> dict[str, Any] | None:
        text = self.kubectl("get", "cluster", name, "-n", "data", "--ignore-not-found", "-o", "json")
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def footprint(self) -> dict[str, Any]:
        """Everything that ``dr`` could change, to see that it did not: versions of objects, counts, names."""
        names = "{range .items[*]}{.kind}/{.metadata.name} {end}"
        return {
            "data": self.kubectl(
                "get", "cluster,service,secret,configmap,pvc", "-n", "data", "-o", f"jsonpath={names}"
            ),
            "spec": {
                name: (self.cluster(name) or {}).get("metadata", {}).get("generation")
                for name in (self.source, self.recovered)
            },
            "replicas": self.replicas(),
            "service": self.external_names(),
        }

    def external_names(self) -> str:
        return self.kubectl("get", "service", "-n", "data", "-o", "jsonpath={.items[*].spec.externalName}")

    def delete_recovered(self) -> None:
        """Take away what a test has recovered, with the record of it, and start the workloads again."""
        self.kubectl("delete", "configmap", f"postgres-dr-{self.env}", "-n", "data", "--ignore-not-found")
        self.kubectl("delete", "cluster", self.recovered, "-n", "data", "--ignore-not-found")
        volumes = ("pvc", "-n", "data", "-l", f"cnpg.io/cluster={self.recovered}", "-o", "name")
        wait_for(lambda: not self.kubectl("get", *volumes), seen=lambda: "its volumes do not go")
        self.kubectl(
            "delete", "secret", f"{self.recovered}-app", f"{self.recovered}-ca", "-n", "data", "--ignore-not-found"
        )
        self.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", self.env, "--replicas=2")

    def end_started(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def lab(*words: str) -> str:
    """A command of the lab; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def clone_of_git() -> Path:
    """The working tree of what Argo CD reads, while ``gitops`` is on."""
    return Path(json.loads(lab("gitops", "status", "--json"))["clone"])


@contextmanager
def put_back(runner: CliRunner) -> Iterator[CliRunner]:
    """``seat`` with nothing recovered and its writers at work, whatever was done to it before or is done within."""
    runner.delete_recovered()
    runner.kubectl("rollout", "status", "deployment/tomoda-api", "-n", runner.env, "--timeout=300s")
    yield runner
    runner.delete_recovered()


def fresh_dev(variables: Mapping[str, str]) -> CliRunner:
    """Dev with fresh data: reset, unless nothing was done to it since the reset at the start of all tests."""
    dev = CliRunner("dev", variables, Path(variables["DR_CONFIG_DIR"]))
    if dev.journal.exists():
        lab("reset")
    return dev


def await_health(url: str, status: int) -> httpx.Response:
    """The answer, once it has the wanted status."""
    answers: list[httpx.Response] = []

    def wanted() -> bool:
        # A Service without a ready pod refuses connections, and one that leads to a lost pod does not answer.
        with suppress(httpx.TransportError):
            answers.append(httpx.get(url, timeout=30))
        return bool(answers) and answers[-1].status_code == status

    wait_for(wanted, seen=lambda: f"{url} answers {answers[-1].text if answers else 'nothing'}, not {status}")
    return answers[-1]


def engine_processes() -> list[str]:
    """The command lines of the Pulumi processes that work on the lab's state: the engine and its plugins."""
    backend = f"PULUMI_BACKEND_URL=file://{paths.state().pulumi}".encode()
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if Path(words[0].decode(errors="replace")).name.startswith("pulumi") and backend in variables:
            found.append(b" ".join(words).decode(errors="replace"))
    return found
