"""Whether what exists would be taken over as it is.

Some of a resource's fields live in Pulumi's state alone and are sent to no API. Read back at an import they have the
provider's default, so that they always differ: that is no change to what exists.
"""

from dr.engine.changes import Change, Changes, Op

_STATE_ONLY = {"deletionPolicy", "deletionProtection", "forceDestroy"}


def not_unchanged(changes: Changes) -> tuple[Change, ...]:
    """The imports that would change what they import: Pulumi imports, and updates in the same run (pulumi#19339)."""
    return tuple(change for change in changes.of(Op.IMPORT) if differences(change))


def differences(change: Change) -> tuple[str, ...]:
    """The paths that an import would change in what exists."""
    return tuple(path.path for path in change.paths if path.path not in _STATE_ONLY)
