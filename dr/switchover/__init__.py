"""Moving the traffic to a recovered Cluster, and back."""
