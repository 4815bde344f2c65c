"""What writes to the database, what wakes the writers, and whether clients reach it."""
