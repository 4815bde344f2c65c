"""CloudNativePG's objects, and what belongs to its Clusters."""
