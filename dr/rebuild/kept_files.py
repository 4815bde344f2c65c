"""Files that a rebuild keeps on this machine: what an operation inside of it reads, or the operator takes to Git."""

from dr.engine.backend import state_folder
from dr.rebuild.kept_text import kept_text


def keep_file(name: str, text: str) -> str:
    """Write the file, over an earlier one, and return where it lies. Raises AccessError."""
    kept = kept_text(f"file://{state_folder() / 'rebuild'}", name)
    before = kept.read()
    kept.write(text, over=before[1] if before else None)
    return kept.where
