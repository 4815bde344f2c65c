"""What every package may know: errors, plans, history, recovery targets, WAL names, numbers in words. Pure."""
