"""What is on the machine that the tool runs on: files, checkouts, processes."""
