"""What all operations have in common: the session, the lease, the record, the journal, the steps and the report."""
