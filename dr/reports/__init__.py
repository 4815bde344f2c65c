"""What came of an operation, as it is kept and shown, and what that teaches about the next."""
