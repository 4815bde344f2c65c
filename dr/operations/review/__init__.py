"""Previews, the guard at work, and `pulumi up` by hand."""
