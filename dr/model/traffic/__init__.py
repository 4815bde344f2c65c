"""Who reaches the database: the Service, the workloads that write, what wakes them, and Argo CD."""
