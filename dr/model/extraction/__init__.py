"""One table back: when it was dropped, what it is, and what brings it into the live database."""
