"""A drill at work."""
