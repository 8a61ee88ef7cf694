"""The application, served on this machine until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["ADDRESS", "listen", "serve"]

ADDRESS: Final = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine only.

    Raises:
        ValueError: The port is taken, or none; names one that is free.
    """
    if not 0 < port < 65536:
        raise ValueError(f"--port {port}: give a number from 1 to 65535")
    try:
        return socket.create_server((ADDRESS, port), backlog=128)
    except OSError as error:
        free = next((p for p in range(port + 1, min(port + 50, 65536)) if _is_free(p)), None)
        advice = f"--port {free}" if free else "another --port"
        why = error.strerror or str(error)
        raise ValueError(f"port {port} on {ADDRESS} cannot be used ({why}); try {advice}") from None


def _is_free(port: int) -> bool:
    try:
        socket.create_server((ADDRESS, port)).close()
    except OSError:
        return False
    return True


def serve(app: Any, listening: socket.socket, announce: Callable[[], None]) -> None:
    """Serve a WSGI application until Ctrl-C or SIGTERM, which return.

    Args:
        app: The application.
        listening: From `listen`; closed in the end.
        announce: Called once requests are answered.
    """
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay: an answer costs one round trip

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Say nothing of requests."""

    port = int(listening.getsockname()[1])
    with listening:
        server = make_server(
            ADDRESS, port, app, threaded=True, request_handler=Silent, fd=listening.fileno()
        )
        server.daemon_threads = True  # type: ignore[attr-defined]  # of its ThreadingMixIn
        with _until_told(), contextlib.suppress(KeyboardInterrupt):
            announce()
            server.serve_forever()
        server.server_close()


@contextlib.contextmanager
def _until_told() -> Iterator[None]:
    """Have SIGTERM and a closed terminal end it as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
