"""Google's own APIs."""
