"""A full rebuild: from what survived to an application that answers."""
