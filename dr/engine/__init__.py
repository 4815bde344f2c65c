"""The Pulumi engine, through the Automation API: the only place that imports ``pulumi.automation``."""
