"""The object store: backups, and the texts that are kept beside them."""
