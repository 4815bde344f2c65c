"""The images that hold one static binary: CNPG's operator and its Barman plugin, and what keeps a pod's namespaces."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import versions
from lab.cache_keys import content_key, publish_file
from lab.images.archive import ImageConfig, architecture, write_image, write_layer
from lab.paths import Cache
from lab.tools.programs import BARMAN_PLUGIN, CNPG, PAUSE, Program
from lab.tools.toolchain import Toolchain


@dataclass(frozen=True)
class BinaryImage:
    """An image of one program."""

    name: str
    tag: str
    program: Program
    path: str
    """Where the program lies in the image."""
    config: ImageConfig
    links: Mapping[str, str] = field(default_factory=dict)

    def archive(self, cache: Cache, toolchain: Toolchain) -> Path:
        links = (f"{name} -> {target}" for name, target in self.links.items())
        key = content_key(self.program.key(toolchain), self.tag, self.path, *links, self.config.document("any"))
        return cache.images / f"{self.name}-{key}.tar"

    def build(self, cache: Cache, toolchain: Toolchain) -> str | None:
        """Have the archive in the cache; the program must be built."""

        def make(target: Path) -> None:
            with tempfile.TemporaryDirectory(dir=cache.images, prefix=f".{self.name}-") as folder:
                layer = Path(folder) / "layer.tar"
                write_layer(layer, {self.path: self.program.binary(cache, toolchain)}, self.links)
                write_image(target, self.tag, layer, self.config)

        return None if publish_file(self.archive(cache, toolchain), make) else "already made"


# The operator copies itself into every instance pod, from a path that names the architecture
# (CNPG's Dockerfile, and `operator/` in `pkg/management/upgrade`).
_MANAGER = f"operator/manager_{architecture()}"

OPERATOR = BinaryImage(
    name="operator",
    tag=versions.OPERATOR_IMAGE,
    program=CNPG,
    path=_MANAGER,
    config=ImageConfig(entrypoint=("/manager",), user="65532:65532"),
    links={"manager": _MANAGER},
)
PLUGIN = BinaryImage(
    name="plugin",
    tag=versions.PLUGIN_IMAGE,
    program=BARMAN_PLUGIN,
    path="manager",
    config=ImageConfig(entrypoint=("/manager",), user="65532:65532"),
)
PAUSE_CONTAINER = BinaryImage(
    name="pause",
    tag=versions.PAUSE_IMAGE,
    program=PAUSE,
    path="pause",
    config=ImageConfig(entrypoint=("/pause",), user="65535:65535"),
)
