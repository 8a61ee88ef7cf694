"""Looks after whole sweeps: renamed, deleted, shared, exported, retried, examined."""
