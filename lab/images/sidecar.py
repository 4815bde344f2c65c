"""The image of what the Barman plugin puts beside PostgreSQL: its program, on the database image, which has barman.

Upstream's has a Python of its own with barman in it (its `containers/Dockerfile.sidecar`); the barman here is the same
for both ways of archiving, and 880 MB need not be loaded twice.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab import versions
from lab.cache_keys import content_key, publish_file
from lab.images import postgres
from lab.images.archive import ImageConfig, write_image_on, write_layer
from lab.paths import Cache
from lab.tools.programs import BARMAN_PLUGIN
from lab.tools.toolchain import Toolchain

CONFIG = ImageConfig(entrypoint=("/manager",), user=postgres.CONFIG.user, environment=postgres.CONFIG.environment)


def archive(cache: Cache, toolchain: Toolchain) -> Path:
    made_of = (BARMAN_PLUGIN.key(toolchain), postgres.key(), versions.PLUGIN_SIDECAR_IMAGE, CONFIG.document("any"))
    return cache.images / f"plugin-sidecar-{content_key(*made_of)}.tar"


def build(cache: Cache, toolchain: Toolchain) -> str | None:
    """Have the archive in the cache; the program and the database image must be built."""

    def make(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache.images, prefix=".plugin-sidecar-") as folder:
            layer = Path(folder) / "layer.tar"
            write_layer(layer, {"manager": BARMAN_PLUGIN.binary(cache, toolchain)}, {})
            write_image_on(target, versions.PLUGIN_SIDECAR_IMAGE, postgres.archive(cache), layer, CONFIG)

    return None if publish_file(archive(cache, toolchain), make) else "already made"
