"""Parameters of a space, from a file or a Python function: walked, replayed, enumerated."""
