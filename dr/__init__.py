"""Disaster recovery for PostgreSQL on CloudNativePG and GKE.

The layers, each importing only those to its left: ``model`` < ``clients`` < ``stacks`` < ``engine`` < ``operations``
< ``cli``. ``tests/unit/test_layers.py`` holds the code to it.
"""

__version__ = "0.1.0"
