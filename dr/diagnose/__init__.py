"""From symptoms to the row of the failure table."""
