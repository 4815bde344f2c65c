"""What Pulumi declares, as programs and as the values that they follow: nothing here runs an engine."""
