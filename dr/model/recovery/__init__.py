"""A recovery, from what was asked for and what was seen to a plan and the Cluster that it declares."""
