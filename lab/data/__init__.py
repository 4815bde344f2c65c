"""What the lab is for: two environments with a database, its backups, and the workloads that read and write it."""
