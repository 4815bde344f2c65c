"""Where a recovery stops: the recovery target in all its forms, and how people write it."""
