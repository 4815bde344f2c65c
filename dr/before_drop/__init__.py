"""When a table was dropped, found in the catalog's file and in the WAL."""
