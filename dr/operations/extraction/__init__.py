"""One table back."""
