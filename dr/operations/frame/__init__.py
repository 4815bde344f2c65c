"""What all operations have in common."""
