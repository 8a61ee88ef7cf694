"""What ends a command with one message: a mistake of the user (2), workers that fail (1)."""


class UsageError(ValueError):
    """What was asked cannot be done; the message says what was received and how to fix it."""


class WorkersError(RuntimeError):
    """No worker process can be started, or go on; the message says why."""
