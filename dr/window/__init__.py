"""From when until when the database can be recovered."""
