"""Attempts on this machine: worker processes from a fork server, or the calling process."""
