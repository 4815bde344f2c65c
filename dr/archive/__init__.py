"""What the backups are: base backups, WAL, timelines, the windows that they leave open, and who reads them."""
