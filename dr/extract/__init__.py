"""One table as it was at a moment, into the live database."""
