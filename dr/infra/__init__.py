"""What the database lives on at Google: what is declared, what is there, and the keys to it."""
