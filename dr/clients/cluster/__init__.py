"""Everything else in the Kubernetes cluster: workloads, Argo CD, nodes, and what this tool keeps there."""
