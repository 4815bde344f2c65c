"""What the configuration asks for, and what ``pulumi up`` does about it."""
