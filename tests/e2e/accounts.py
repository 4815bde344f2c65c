"""Service accounts that are allowed exactly what ``deploy/rbac/`` says, and what is run under them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from tests.e2e.cli_runner import CliRunner
from tests.support.rbac import GROUPS, for_environment


@dataclass(frozen=True)
class Accounts:
    """The accounts of one environment."""

    runner: CliRunner
    folder: Path

    @classmethod
    def made(cls, runner: CliRunner, folder: Path) -> "Accounts":
        """Apply the manifests for the environment, and write a kubeconfig for each account."""
        runner.apply(for_environment(runner.env))
        accounts = cls(runner, folder)
        words = ("config", "view", "--raw", "--minify", "-o", "json")
        admins = json.loads(runner.kubectl(*words))
        for group in GROUPS:
            token = runner.kubectl("create", "token", f"postgres-dr-{group}", "-n", "data", "--duration=8h")
            context = admins["contexts"][0]
            document = {
                **admins,
                "contexts": [{**context, "context": {**context["context"], "user": group}}],
                "users": [{"name": group, "user": {"token": token}}],
            }
            accounts.kubeconfig(group).write_text(yaml.safe_dump(document))
        return accounts

    def kubeconfig(self, group: str) -> Path:
        """That of the account which may do what ``group`` does; it has no other user's credentials."""
        return self.folder / f"{group}.kubeconfig"

    def tokens(self) -> dict[str, str]:
        """Each account's token, by what it is."""
        documents = {group: yaml.safe_load(self.kubeconfig(group).read_text()) for group in GROUPS}
        return {f"token of {group}": document["users"][0]["user"]["token"] for group, document in documents.items()}

    def under(self, group: str) -> CliRunner:
        """The seat of somebody who may do that, and no more."""
        return replace(
            self.runner, variables={**self.runner.variables, "KUBECONFIG": str(self.kubeconfig(group))}, started=[]
        )

    def remove(self) -> None:
        """Take all of it away again."""
        self.runner.delete(for_environment(self.runner.env))
