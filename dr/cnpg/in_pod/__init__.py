"""Programs that run in the database's pods: text to be put there, never run here."""
