"""One Kubernetes cluster: the connection, programs run in pods, and what any namespace has."""
