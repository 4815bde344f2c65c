"""The Pulumi engine, through the Automation API: the only package that imports ``pulumi.automation``."""
