"""A port of this machine for a server that a test starts."""

import socket


def free_port() -> int:
    """Return a port that nothing listens on, at 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
