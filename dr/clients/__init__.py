"""What is observed and done outside Pulumi: Kubernetes, CloudNativePG, SQL, the object store, files.

Third-party exceptions end here: what leaves this package is a :class:`dr.model.errors.DrError`.
"""
