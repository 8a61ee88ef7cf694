"""Mistakes of the user: one message, exit code 2, nothing created."""


class UsageError(ValueError):
    """What was asked cannot be done; the message says what was received and how to fix it."""
