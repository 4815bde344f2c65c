"""A whole platform on one machine, so that a recovery is tried on the real parts and not on doubles of them.

Real Kubernetes, the real CNPG operator, real PostgreSQL with PostGIS, real barman and a GCS server: what `dr` does on
GKE it does here, and what fails there fails here. Each part has one room; `lab/README.md` is the map.
"""
