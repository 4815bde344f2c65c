"""CloudNativePG's objects: Clusters as seen, as derived, as watched while they recover, and what belongs to them."""
