"""Where an environment stands, what to do next, and what operations have left behind."""
