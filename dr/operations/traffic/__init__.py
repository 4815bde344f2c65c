"""Moving the traffic, and keeping writers and Argo CD away while it moves."""
