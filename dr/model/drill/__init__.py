"""A drill: a disaster recovery, tried beforehand."""
