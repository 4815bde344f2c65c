"""O5. The commands that are printed, and that all of them are made in one place."""

import ast
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr.config.load import load_environment
from dr.core.commands import ANY_RUN, CommandLines, command_line, option_words, program, pulumi, words_after_program
from tests.support.builders import an_environment
from tests.support.doubles import write_environment
from tests.support.printed import check_kubectl

ROOT = Path(__file__).resolve().parents[2]
SPACED = CommandLines(
    program="dr", environment="prod", config_dir="/etc/my dr", context="acme prod; true", kubeconfig="/home/ann/it's"
)


def test_a_command_names_the_environment_and_a_folder_that_is_not_the_default() -> None:
    """O5. Without `--config-dir` it meant another prod."""
    assert CommandLines(program="dr", environment="prod").dr("window") == "dr window --env prod"
    assert SPACED.dr("mark", "--", "it's") == "dr mark --env prod --config-dir '/etc/my dr' -- 'it'\"'\"'s'"
    assert ANY_RUN.dr("latest") == "python -m dr latest"


def test_kubectl_has_the_configured_kubeconfig_the_context_and_the_namespace() -> None:
    """O5. It went to the current context, of another kubeconfig."""
    line = SPACED.kubectl("delete", "cluster", "old", namespace="data")
    given = ["--kubeconfig", "/home/ann/it's", "--context", "acme prod; true", "-n", "data"]
    assert shlex.split(line) == ["kubectl", *given, "delete", "cluster", "old"]
    assert SPACED.kubectl("get", "nodes").count("-n ") == 0
    check_kubectl(line, SPACED, namespace="data")


def test_a_plugin_of_kubectl_has_the_options_behind_its_words() -> None:
    """kubectl: "flags cannot be placed before plugin name"."""
    say = CommandLines(context="acme-prod")
    assert say.kubectl("cnpg", "backup", "x", namespace="data") == "kubectl cnpg backup x --context acme-prod -n data"


def test_flux_has_the_cluster_too() -> None:
    say = CommandLines(context="acme-prod", kubeconfig="/k")
    line = "flux --kubeconfig /k --context acme-prod -n flux-system suspend kustomization shop"
    assert say.flux("suspend", "kustomization", "shop", namespace="flux-system") == line


def test_several_kubeconfigs_are_named_as_kubectl_takes_them() -> None:
    several = CommandLines(context="c", kubeconfig=os.pathsep.join(("/a", "/b")))
    assert several.kubectl("get", "nodes") == "KUBECONFIG=/a:/b kubectl --context c get nodes"


def test_a_table_of_words_has_places_for_commands() -> None:
    say = CommandLines(program="dr", environment="dev")
    assert say.fill("see {dr window}") == "see dr window --env dev"
    assert say.fill("{dr finalize --checkout FOLDER}") == "dr finalize --env dev --checkout FOLDER"


def test_other_programs_are_quoted_too() -> None:
    assert command_line("git", "-C", "/a b", "branch", "-D", "x") == "git -C '/a b' branch -D x"
    assert pulumi("file:///a b", "stack", "ls") == "PULUMI_BACKEND_URL='file:///a b' pulumi stack ls"
    assert pulumi("", "stack", "ls") == "pulumi stack ls"


@pytest.mark.parametrize(
    ("started_as", "called"),
    [
        ("/usr/bin/dr", "dr"),
        ("/usr/bin/postgres-dr", "postgres-dr"),
        ("/src/dr/__main__.py", "python -m dr"),
        ("", "python -m dr"),
    ],
)
def test_the_program_is_called_as_it_was_started(started_as: str, called: str) -> None:
    assert program(started_as) == called


def test_a_command_is_read_back_however_the_program_was_started() -> None:
    for start in ("dr", "postgres-dr", "python -m dr"):
        assert words_after_program(f"{start} pitr --env prod") == ["pitr", "--env", "prod"]
        assert option_words(f"{start} pitr --config-dir '/a b' --env prod --exclusive") == ["pitr", "--exclusive"]
    for other in ("rm -rf dr", "kubectl get pods", "", "dr 'x"):
        with pytest.raises(ValueError, match=r"not a command|quotation"):
            words_after_program(other)


def test_an_environment_knows_its_own_commands(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """O5. The folder is named where it is not the one that is looked in anyway."""
    folder = tmp_path / "my configuration"
    folder.mkdir()
    write_environment(folder, Path("~/kube of acme"))
    say = load_environment("prod", folder).commands
    assert (say.environment, say.config_dir, say.context) == ("prod", str(folder), "acme-prod")
    assert say.kubeconfig == str(own_home / "kube of acme")
    monkeypatch.chdir(folder)
    assert load_environment("prod", folder).commands.config_dir == ""
    assert an_environment().said_with(kubeconfig="/x").commands.kubeconfig == "/x"


_COMMAND = re.compile(
    r"\b(kubectl (?!apply|rollout)[a-z]|kubectl$|python -m dr|pulumi (cancel|plugin install|stack (ls|export))|git -C"
    r"|flux (suspend|resume)|uv tool"
    r"|gcloud (auth|compute|container|projects|services|storage)) ?"
)
_ELSEWHERE = {
    "dr/cnpg/recovered.py",  # has a substitution of the shell, which cannot be quoted
    "dr/stacks/platform.py",  # a script that Pulumi runs
}


def _literals(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module that are not docstrings, each with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value


def test_no_command_is_written_elsewhere() -> None:
    """O5. About 30 remedies had no `--context`, and two of them write."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {text}"
        for path in sorted((ROOT / "dr").rglob("*.py"))
        if path.relative_to(ROOT).as_posix() not in {"dr/core/commands.py", *_ELSEWHERE}
        for number, text in _literals(path)
        if _COMMAND.search(text)
    ]
    assert found == []


def test_a_place_for_a_command_is_one_of_this_tool() -> None:
    from dr.main import cli

    found = [
        name
        for path in sorted((ROOT / "dr").rglob("*.py"))
        for _, text in _literals(path)
        for name in re.findall(r"\{dr ([a-z-]+)[ }]", text)
    ]
    assert len(found) > 10
    assert set(found) <= set(cli.list_commands(None))  # type: ignore[arg-type] # it does not look at it
