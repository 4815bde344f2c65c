"""What the backups are: base backups, WAL segments, timelines, and the windows that they leave open."""
