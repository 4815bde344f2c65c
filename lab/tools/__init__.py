"""The programs the lab is made of: which Go builds them, how, and where the Pulumi ones come from."""
