"""Image archives as `docker save` writes them: a configuration, layers, and a manifest that names both.

The format is the one of the Docker Image Specification v1.2 (the part on `manifest.json`); containerd imports it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""From the kernel's name of a machine to the image specification's."""


def architecture() -> str:
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs with unless its pod says otherwise."""

    entrypoint: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def document(self, layer_digest: str) -> bytes:
        """The configuration as stored: JSON whose own SHA-256 is the image's id."""
        config = {
            "Entrypoint": list(self.entrypoint) or None,
            "User": self.user,
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
        }
        return json.dumps(
            {
                "architecture": architecture(),
                "os": "linux",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
                "history": [{"created_by": "lab"}],
            },
            sort_keys=True,
        ).encode()


def write_image(archive: Path, tag: str, layer: Path, config: ImageConfig) -> None:
    """Write an image of one layer.

    Args:
        archive: the file to write.
        tag: the image's name, as in `lab.local/pause:1`.
        layer: a tar archive of the root file system, not compressed.
        config: what its containers run with.
    """
    with layer.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    document = config.document(digest)
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        for name, content in ((config_name, document), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        tar.add(layer, "layer.tar")


def write_layer(layer: Path, files: Mapping[str, Path], links: Mapping[str, str]) -> None:
    """Write a root file system of a few executables.

    Args:
        layer: the tar archive to write.
        files: path in the image -> the file to put there; readable and executable by all, owned by root.
        links: path in the image -> what it points to.
    """
    with tarfile.open(layer, "w") as tar:
        for folder in sorted({str(parent) for name in (*files, *links) for parent in Path(name).parents} - {".", "/"}):
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755
            tar.addfile(entry)
        for name, source in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = source.stat().st_size
            entry.mode = 0o755
            with source.open("rb") as stream:
                tar.addfile(entry, stream)
        for name, destination in links.items():
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.SYMTYPE
            entry.linkname = destination
            tar.addfile(entry)
