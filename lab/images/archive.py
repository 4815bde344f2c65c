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
from typing import IO

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""From the kernel's name of a machine to the image specification's."""

_OCI = "application/vnd.oci.image"
_NAME = "io.containerd.image.name"
"""The annotation by which containerd's import names an image."""


def architecture() -> str:
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True)
class ImageConfig:
    """What a container of the image runs with unless its pod says otherwise."""

    entrypoint: tuple[str, ...] = ()
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def document(self, *layer_digests: str) -> bytes:
        """The configuration as stored: JSON whose own SHA-256 is the image's id. The layers are given from the bottom
        up, by their SHA-256.
        """
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
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layer_digests]},
                "history": [{"created_by": "lab"} for _ in layer_digests],
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
    document = config.document(_digest(layer))
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, config_name, document)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        tar.add(layer, "layer.tar")


def write_image_on(archive: Path, tag: str, base: Path, layer: Path, config: ImageConfig) -> None:
    """Write an image of the layer of another one and one more, without the first: where it is loaded, it is already.

    The format is the OCI image layout v1.0.0, which names layers by their digests and so can leave one out.

    Args:
        archive: the file to write.
        tag: the image's name.
        base: what `write_image` wrote.
        layer: a tar archive of what comes on top, not compressed.
        config: what its containers run with.
    """
    with tarfile.open(base) as tar:
        (named,) = json.load(_member(tar, "manifest.json"))
        (below,) = json.load(_member(tar, named["Config"]))["rootfs"]["diff_ids"]
        below_size = tar.getmember(named["Layers"][0]).size
    digest = _digest(layer)
    document = config.document(below.removeprefix("sha256:"), digest)
    layers = [(below, below_size), (f"sha256:{digest}", layer.stat().st_size)]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {"mediaType": f"{_OCI}.config.v1+json", **_descriptor(document)},
            "layers": [
                {"mediaType": f"{_OCI}.layer.v1.tar", "digest": digest, "size": size} for digest, size in layers
            ],
        }
    ).encode()
    named = {"mediaType": f"{_OCI}.manifest.v1+json", **_descriptor(manifest), "annotations": {_NAME: tag}}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
        for blob in (manifest, document):
            _add(tar, _blob(hashlib.sha256(blob).hexdigest()), blob)
        tar.add(layer, _blob(digest))


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


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _descriptor(content: bytes) -> dict[str, str | int]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
