"""The checks of ``dr health`` by name, in the order in which they are told."""

CHECKS = (
    *("cluster", "replication", "volumes", "clock", "operation", "leftovers"),
    *("archiving", "wal-lag", "wal-holes", "wal-readable", "window", "databases"),
    *("base-backup", "backup-objects", "backup-size", "backup-runs", "schedule", "claims"),
    *("bucket", "retention", "bucket-location", "credentials", "identity"),
    *("operator", "operator-version", "archive-method", "plugin", "argocd"),
    "rto",
)
