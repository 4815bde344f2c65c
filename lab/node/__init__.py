"""The one node of the cluster: its network, its container runtime and its Kubernetes programs, all plain processes."""
