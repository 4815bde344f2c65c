"""A person at the plain Pulumi CLI, and the guard's policy pack beside them."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.cli_runner import PROJECT, CliRunner

_STARTER = f"""#!/bin/sh
exec {PROJECT}/.venv/bin/python -u -m pulumi.policy "$1" "$2"
"""


def put_pack(folder: Path) -> Path:
    """Copy the policy pack into ``folder``, and give back the folder for the PATH that has what starts it.

    Pulumi's language host starts a pack of the runtime ``python``. The lab's host is older than its engine and does
    not: so the pack has another runtime's name here, and a program starts it in the way in which the host would.
    """
    shutil.copytree(PROJECT / "policy", folder / "policy", ignore=shutil.ignore_patterns("__pycache__"))
    pack = folder / "policy" / "PulumiPolicy.yaml"
    pack.write_text(pack.read_text().replace("name: python", "name: started-by-hand"))
    starter = folder / "bin" / "pulumi-analyzer-policy-started-by-hand"
    starter.parent.mkdir()
    starter.write_text(_STARTER)
    starter.chmod(0o755)
    return starter.parent


class Checkout:
    """A checkout of a person who uses the plain Pulumi CLI, on one ``stack`` that can be changed."""

    def __init__(self, folder: Path, stack: str, configuration: Path, variables: Mapping[str, str]) -> None:
        """``configuration`` is the folder that the stack's file is copied from."""
        self.folder = folder
        self.stack = f"organization/postgres-dr/{stack}"
        (folder / "dr").symlink_to(PROJECT / "dr")
        (folder / ".venv").symlink_to((PROJECT / ".venv").resolve())
        shutil.copy(PROJECT / "__main__.py", folder)
        for name in ("Pulumi.yaml", f"Pulumi.{stack}.yaml"):
            shutil.copy(configuration / name, folder)
        self._variables = {
            **variables,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PATH": f"{put_pack(folder)}:{variables['PATH']}",
        }

    def pulumi(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["pulumi", *words, "--stack", self.stack, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self._variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )

    def there_is_a_stack(self) -> None:
        """Where nobody has made one yet, a person makes it by ``pulumi stack init``."""
        if self.pulumi("stack").returncode != 0:
            made = self.pulumi("stack", "init")
            assert made.returncode == 0, made.stderr


class Hand(Checkout):
    """A person at the plain Pulumi CLI, with the lab's configuration of one environment."""

    def __init__(self, runner: CliRunner, folder: Path) -> None:
        document = yaml.safe_load((runner.config_dir / f"Pulumi.{runner.env}.yaml").read_text())
        self.runner = runner
        self.backend = str(document["config"]["postgres-dr:stateBackend"])
        by_hand = {"PULUMI_BACKEND_URL": self.backend, "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
        super().__init__(folder, runner.env, runner.config_dir, {**os.environ, **runner.variables, **by_hand})

    def ask_for(self, **desired: Any) -> None:
        """Write into the file what is wanted."""
        path = self.folder / f"Pulumi.{self.runner.env}.yaml"
        document = yaml.safe_load(path.read_text())
        document["config"].pop("postgres-dr:recovery", None)
        if desired:
            document["config"]["postgres-dr:recovery"] = desired
        path.write_text(yaml.safe_dump(document))

    def up(self, *words: str) -> str:
        done = self.pulumi("up", "--yes", "--refresh", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sees_no_difference(self) -> None:
        done = self.pulumi("preview", "--expect-no-changes")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Outputs:" not in done.stdout, done.stdout
        preview = self.preview()
        assert preview.code == 0, preview

    def preview(self) -> Any:
        """``dr preview`` from the same checkout."""
        here = CliRunner(self.runner.env, self.runner.variables, self.folder)
        return here.dr("preview", "--env", self.runner.env)

    def output(self, name: str) -> str:
        return str(json.loads(self.pulumi("stack", "output", "--json").stdout)[name])
