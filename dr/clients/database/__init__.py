"""PostgreSQL, asked in its own pod with its own programs."""
