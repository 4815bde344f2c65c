"""Whether a recovery would succeed, and how long it would take."""
