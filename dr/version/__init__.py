"""``dr version``: what is installed of all that a recovery leans on."""
