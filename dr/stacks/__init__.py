"""What Pulumi declares. Programs only: nothing here runs an engine, reads a file or asks an API."""
