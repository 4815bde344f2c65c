"""PostgreSQL, asked in its own pod with its own programs, and its rules for names."""
