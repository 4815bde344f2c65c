"""The commands that the tool prints: each is made here, so that it does what it says in the shell where it is pasted.

A command of this tool has the environment and the configuration's folder that this run has, one of kubectl has the
kubeconfig and the context of the environment, never the current ones. Every word is quoted for a POSIX shell. Pure.
"""

import os
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import PurePath

_MODULE = ("python", "-m", "dr")
_INSTALLED = ("dr", "postgres-dr")
_ANY_COMMAND = re.compile(r"(^|[\s(`])(python -m dr|dr|postgres-dr|kubectl|flux|gcloud|git|pulumi|terraform) [a-z-]")
_PLACE = re.compile(r"\{dr ([a-z-]+(?: [^{}]+)?)\}")
_OF_THE_RUN = ("--env", "--config-dir")
ANY_PROGRAM = " ".join(_MODULE)
"""For what is kept and compared: it must not change with how this process was started."""


def program(started_as: str | None = None) -> str:
    """How this tool is started: ``dr`` or ``postgres-dr`` where it runs as the installed command of that name, else
    ``python -m dr``.

    ``started_as`` is the program's path, by default that of this process.
    """
    path = sys.argv[0] if started_as is None else started_as
    name = PurePath(path).name
    return name if name in _INSTALLED else ANY_PROGRAM


def words_after_program(command: str) -> list[str]:
    """The words of a command of this tool without the program, however that was started. Raises ValueError where it is
    none, or is quoted wrongly.
    """
    words = shlex.split(command)
    for started in (_MODULE, *((name,) for name in _INSTALLED)):
        if tuple(words[: len(started)]) == started:
            return words[len(started) :]
    raise ValueError(f"{command!r} is not a command of this tool")


def option_words(command: str) -> list[str]:
    """The words of a command of this tool on an environment, without the program, ``--env`` and ``--config-dir``, which
    another run may have otherwise. Raises ValueError as :func:`words_after_program`.
    """
    words = iter(words_after_program(command))
    return [word for word in words if word not in _OF_THE_RUN or next(words, None) is None]


def has_command(text: str) -> bool:
    """Whether a command may stand in ``text``, which has to stay one line to be pasted."""
    return _ANY_COMMAND.search(text) is not None


def command_line(*words: str) -> str:
    """A command of another program, such as git or gcloud."""
    return shlex.join(words)


def pulumi(backend: str, *words: str) -> str:
    """A command of Pulumi on the state in ``backend``, a URL; empty where it is not known."""
    where = f"PULUMI_BACKEND_URL={shlex.quote(backend)} " if backend else ""
    return where + command_line("pulumi", *words)


@dataclass(frozen=True, kw_only=True)
class CommandLines:
    """What the commands of one run have in common. An empty value is one that need not be said, or is not known.

    ``program`` is how this tool is started, ``environment`` the name for ``--env``, ``config_dir`` the configuration's
    folder, an absolute path; ``kubeconfig`` is the file that the environment names.
    """

    program: str = field(default_factory=program)
    environment: str = ""
    config_dir: str = ""
    context: str = ""
    kubeconfig: str = ""

    def dr(self, command: str, *words: str) -> str:
        """``command`` of this tool, on this environment: ``python -m dr pitr --env prod --target-lsn 0/3000028``."""
        given = _options({"--env": self.environment, "--config-dir": self.config_dir})
        return f"{self.program} {shlex.join([command, *given, *words])}"

    def fill(self, text: str) -> str:
        """``text`` with each ``{dr NAME}``, options after the name or none, replaced by that command: for words that
        stand in a table.
        """
        return _PLACE.sub(lambda found: self.dr(*found[1].split()), text)

    def kubectl(self, *words: str, namespace: str = "") -> str:
        """``kubectl`` on the environment's cluster; without ``namespace`` for what is in none."""
        # kubectl refuses options before a plugin's name (HandlePluginCommand in its cmd.go).
        behind = words[:1] == ("cnpg",)
        return self._on_cluster("kubectl", *words, namespace=namespace, behind=behind)

    def flux(self, *words: str, namespace: str = "") -> str:
        """``flux`` on the environment's cluster; without ``namespace`` for Flux's own."""
        return self._on_cluster("flux", *words, namespace=namespace)

    def _on_cluster(self, program: str, *words: str, namespace: str, behind: bool = False) -> str:
        several = os.pathsep in self.kubeconfig
        given = _options(
            {"--kubeconfig": "" if several else self.kubeconfig, "--context": self.context, "-n": namespace}
        )
        command = shlex.join([program, *words, *given] if behind else [program, *given, *words])
        return f"KUBECONFIG={shlex.quote(self.kubeconfig)} {command}" if several else command


ANY_RUN = CommandLines(program=ANY_PROGRAM)
"""For where no environment is known."""


def _options(values: dict[str, str]) -> list[str]:
    return [word for option, value in values.items() if value for word in (option, value)]
