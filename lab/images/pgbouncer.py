"""The image of a Pooler: PgBouncer as Debian has it, where CNPG's instance manager looks for it.

Not part of `up`: only a test that wants a Pooler has it made. CNPG writes `auth_dbname`, which PgBouncer knows since
1.19: the release of Debian after the database image's has that. The manager logs in to PgBouncer's own console as the
user that it runs as (`pkg/management/pgbouncer/config`: "local pgbouncer pgbouncer peer").
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lab.cache_keys import content_key, publish_file
from lab.images.archive import ImageConfig, write_image
from lab.images.postgres import apt_settings, sources
from lab.node import containerd
from lab.paths import Cache, State
from lab.shell import run
from lab.steps import Task

TAG = "lab.local/pgbouncer:1"
_DEBIAN = "trixie"
_USER, _GROUP = 998, 996
"""Those that CNPG runs a Pooler's pods as (`pkg/specs/pgbouncer/deployments.go`)."""
_CONFIG = ImageConfig(user=f"{_USER}:{_GROUP}")
_HOOK = f"""
set -eu
echo pgbouncer:x:{_GROUP}: >> "$1/etc/group"
echo pgbouncer:x:{_USER}:{_GROUP}:PgBouncer:/:/bin/sh >> "$1/etc/passwd"
ln -s ../sbin/pgbouncer "$1/usr/bin/pgbouncer"
"""


def have(where: State, cache: Cache, task: Task) -> None:
    """Have the image made and loaded.

    Raises:
        LabError: a package could not be fetched or installed, or containerd refused the image.
    """
    key = content_key(_DEBIAN, _HOOK, _CONFIG.document("any"), os.uname().machine)
    archive = cache.images / f"pgbouncer-{key}.tar"

    def make(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache.images, prefix=".pgbouncer-") as folder:
            Path(folder).chmod(0o755)  # apt fetches as a user of its own
            layer = Path(folder) / "layer.tar"
            run(
                [
                    *("mmdebstrap", "--mode=root", "--variant=essential", "--format=tar", "--include=pgbouncer"),
                    *(f"--aptopt={line}" for line in apt_settings()),
                    *("--skip=cleanup/reproducible", f"--customize-hook={_HOOK}", _DEBIAN, layer),
                    *sources(_DEBIAN),
                ],
                what="making the PgBouncer image from Debian packages",
                remedy="check that apt can reach its mirror (`apt-get update`)",
                log=task.log,
                env={"TMPDIR": folder},
                cancelled=task.cancelled,
            )
            write_image(target, TAG, layer, _CONFIG)

    publish_file(archive, make)
    containerd.load(where, archive, task)
