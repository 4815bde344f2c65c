"""What the database lives on at Google: what is declared, what survives, what is adopted."""
