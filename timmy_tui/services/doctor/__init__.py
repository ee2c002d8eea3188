"""``doctor``: what is found, what is missing, and the command that mends it."""
