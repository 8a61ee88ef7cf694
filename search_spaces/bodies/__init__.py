"""Parameters of a space, from a file or a Python function; walks, replays and enumerates them."""
