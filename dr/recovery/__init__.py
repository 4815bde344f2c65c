"""A recovery into a new Cluster, the broken one untouched, to a point in time or to the newest state."""
