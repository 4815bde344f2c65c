"""The guard, and the changes that it judges."""
