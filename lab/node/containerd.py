"""A containerd of the lab's own: own root, own state, own socket; a containerd of the machine is never touched."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from lab import processes, versions
from lab.cache_keys import replace_text
from lab.errors import LabError, last_lines
from lab.node import namespace
from lab.paths import State
from lab.shell import output, run
from lab.steps import Task

NAME = "containerd"
ANSWERS_WITHIN = 30.0


def up(where: State) -> str | None:
    """Have containerd answer.

    Raises:
        LabError: it did not answer in time.
    """
    config = _config(where)
    replace_text(where.node / "containerd.toml", config)
    command: list[str | Path] = [*namespace.inside(where), "containerd", "--config", where.node / "containerd.toml"]
    started = processes.ensure(where, NAME, command, settings=[config, namespace.identity(where)])
    deadline = time.monotonic() + ANSWERS_WITHIN
    while shutil.which("ctr") is None or not _answers(where):
        if time.monotonic() > deadline:
            log = processes.log_path(where, NAME)
            raise LabError("starting containerd", last_lines(log), "see its log; is CAP_SYS_ADMIN there?", log)
        time.sleep(0.1)
    return None if started else "is up"


def load(where: State, archive: Path, task: Task) -> str | None:
    """Have the image of this archive in containerd.

    Raises:
        LabError: containerd refused it.
    """
    mark = where.node / "images" / archive.name
    if mark.exists():
        return "already loaded"
    run(
        [*_ctr(where), "images", "import", "--digests", archive],
        what=f"loading {archive.name}",
        remedy="see the log; is the disk full? `df -h`",
        log=task.log,
        cancelled=task.cancelled,
    )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return None


def _answers(where: State) -> bool:
    try:
        output([*_ctr(where), "version"], what="asking containerd", remedy="")
    except LabError:
        return False
    return True


def _ctr(where: State) -> list[str]:
    return ["ctr", "--address", str(where.containerd_socket), "--namespace", "k8s.io", "--connect-timeout", "2s"]


def _config(where: State) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower a score, and dies of trying with
    # "can't get final child's PID from pipe: EOF".
    return f"""version = 2
root = "{where.node}/containerd"
state = "{where.node}/run"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{where.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "{versions.PAUSE_IMAGE}"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{where.node}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""
