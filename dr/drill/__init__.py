"""A drill: the recovery of a disaster, tried in advance."""
