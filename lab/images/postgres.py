"""The database image: Debian's PostgreSQL and PostGIS with barman, as CNPG expects an operand image to be.

The rules for an operand image: CNPG documentation, "Image requirements" (`docs/src/container_images.md`):
PostgreSQL's programs and `barman-cloud-*` in the PATH, and user and group 26. The lab's API and worker run from it too:
it has Python and psycopg2, and one image less is to be made and loaded.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab import versions
from lab.cache_keys import content_key, publish_file
from lab.images.archive import ImageConfig, write_image
from lab.paths import Cache
from lab.shell import output, run
from lab.steps import Task

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER / "barman-requirements.txt"
PACKAGES = (
    f"postgresql-{versions.POSTGRES}",
    f"postgresql-{versions.POSTGRES}-postgis-{versions.POSTGIS}",
    "ca-certificates",
    "python3-pip",
    "python3-psycopg2",
)
LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    f"/usr/lib/postgresql/{versions.POSTGRES}/lib/bitcode/*",
)
PYTHON = "3.11"
"""Debian bookworm's."""

CONFIG = ImageConfig(
    user=f"{versions.POSTGRES_UID}:{versions.POSTGRES_UID}",
    environment={
        "PATH": f"/usr/lib/postgresql/{versions.POSTGRES}/bin:"
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
    },
)

_ID = versions.POSTGRES_UID
_BEFORE_PACKAGES = f"""
set -eu
# Debian gives group 26 to tape, and PostgreSQL's packages would take the next free ids.
sed -i /^tape:/d "$1/etc/group"
echo postgres:x:{_ID}: >> "$1/etc/group"
echo postgres:x:{_ID}:{_ID}:PostgreSQL:/var/lib/postgresql:/bin/bash >> "$1/etc/passwd"
mkdir -p "$1/etc/postgresql-common"
echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"
"""
_AFTER_PACKAGES = f"""
set -eu
chroot "$1" python3 -m pip install --quiet --no-cache-dir --break-system-packages --root-user-action ignore \\
    --no-index --no-deps --find-links /wheels -r /wheels/requirements.txt
rm -rf "$1/wheels"
# PostgreSQL does without just-in-time compilation when its library is missing; it is a fifth of the image.
rm -f "$1"/usr/lib/postgresql/{versions.POSTGRES}/lib/llvmjit.so "$1"/usr/lib/*/libLLVM-*.so.*
"""


def key() -> str:
    """Of everything that the image is made from, but for Debian's own updates."""
    recipe = [versions.DEBIAN, *PACKAGES, "without", *LEFT_OUT, _BEFORE_PACKAGES, _AFTER_PACKAGES, os.uname().machine]
    return content_key(*recipe, REQUIREMENTS, CONFIG.document("any"))


def archive(cache: Cache) -> Path:
    return cache.images / f"postgis-{key()}.tar"


def build(cache: Cache, task: Task) -> str | None:
    """Have the image's archive in the cache.

    Raises:
        LabError: a package could not be fetched or installed.
    """

    def make(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache.images, prefix=".postgis-") as folder:
            scratch = Path(folder)
            scratch.chmod(0o755)  # apt fetches as a user of its own
            wheels = scratch / "wheels"
            task.note = "fetching barman"
            _fetch_wheels(wheels, task)
            task.note = "installing Debian packages"
            layer = scratch / "layer.tar"
            _make_root(layer, wheels, scratch, task)
            task.note = "packing"
            write_image(target, versions.POSTGRES_IMAGE, layer, CONFIG)

    return None if publish_file(archive(cache), make) else "already made"


def _fetch_wheels(folder: Path, task: Task) -> None:
    """Fetched out here, where the machine's own pip settings hold, and installed in there without a network."""
    folder.mkdir()
    shutil.copyfile(REQUIREMENTS, folder / "requirements.txt")
    machine = os.uname().machine
    platforms = [f"--platform={policy}_{machine}" for policy in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
            *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *platforms),
            *("--dest", folder, "--requirement", REQUIREMENTS),
        ],
        what="fetching barman from PyPI",
        remedy="check that pip can reach its index (`pip config list`)",
        log=task.log,
        cancelled=task.cancelled,
    )


def _make_root(layer: Path, wheels: Path, scratch: Path, task: Task) -> None:
    run(
        [
            *("mmdebstrap", "--mode=root", "--variant=essential", "--format=tar", "--skip=cleanup/reproducible"),
            *(f"--aptopt={line}" for line in apt_settings()),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
            f"--include={','.join(PACKAGES)}",
            f"--essential-hook={_BEFORE_PACKAGES}",
            f"--customize-hook=copy-in {wheels} /",
            f"--customize-hook={_AFTER_PACKAGES}",
            *(versions.DEBIAN, layer),
            *sources(versions.DEBIAN),
        ],
        what="making the PostgreSQL image from Debian packages",
        remedy="check that apt can reach its mirror (`apt-get update`)",
        log=task.log,
        env={"TMPDIR": str(scratch)},
        cancelled=task.cancelled,
    )


def apt_settings() -> list[str]:
    """The proxy and certificate settings of this machine's apt; used while building, not kept in the image."""
    remedy = "the lab needs a Debian or Ubuntu machine"
    dumped = output(["apt-config", "dump"], what="reading apt's settings", remedy=remedy)
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::ForceIPv4", "Acquire::Retries")
    return [line for line in dumped.splitlines() if line.startswith(wanted)]


def sources(wanted: str) -> list[str]:
    """The Debian mirrors of this machine, if it uses the release `wanted`. With none, mmdebstrap takes Debian's own."""
    listed = output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Identifier: Packages"],
        what="reading apt's sources",
        remedy="the lab needs a Debian or Ubuntu machine",
    )
    return [
        f"deb {uri} {release} {component}"
        for uri, release, component in (line.split() for line in sorted(set(listed.splitlines())))
        if release.split("-")[0] == wanted and component == "main" and "debian" in uri
    ]
