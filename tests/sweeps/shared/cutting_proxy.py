"""A connection to a database that is cut just after a COMMIT went out: nobody hears the answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_CHUNK = 65536
LATE_SECONDS = 0.3
"""The server gets the COMMIT when the client may have begun to look for another way."""


class CuttingProxy:
    """Passes everything on to a port of loopback; every `nth` COMMIT ends its connection."""

    def __init__(self, port: int, nth: int) -> None:
        self._port, self._nth = port, nth
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self._commits = 0
        self._sockets: list[socket.socket] = [self._listener]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """End all connections, also one that is just being made."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets.append(server)
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, looks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if looks and b"COMMIT" in data and self._is_due():
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)  # the client hears nothing more
                    time.sleep(LATE_SECONDS)
                    target.sendall(data)  # and the server commits
                    break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_WR if one is target and looks else socket.SHUT_RDWR)

    def _is_due(self) -> bool:
        self._commits += 1
        return self._commits % self._nth == 0
