"""Named restore points."""
