"""Kubernetes objects kept as YAML beside the code that applies them, with `$name` places to fill in."""

from __future__ import annotations

from pathlib import Path
from string import Template

import yaml

from lab.cluster import Document


def read(file: Path, **values: str) -> list[Document]:
    """The documents of a file.

    Raises:
        KeyError: a `$name` in the file has no value.
    """
    return [found for found in yaml.safe_load_all(Template(file.read_text()).substitute(values)) if found]
