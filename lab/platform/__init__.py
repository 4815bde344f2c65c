"""What the cluster offers to the things that run in it: DNS, object storage, volumes, and the CNPG operator."""
