"""A TCP proxy before a real server, with the faults of networks, switched at any moment."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
import time
from typing import Literal

Fault = Literal["none", "refuse", "drop", "blackhole", "unavailable", "unauthorized"]

_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\nConnection: close\r\n\r\nnot now\n"
)
# What MLflow's `--app-name basic-auth` answers (mlflow.server.auth, make_basic_auth_response).
_UNAUTHORIZED = (
    b'HTTP/1.1 401 UNAUTHORIZED\r\nWWW-Authenticate: Basic realm="mlflow"\r\n'
    b"Content-Length: 26\r\nConnection: close\r\n\r\nYou are not authenticated."
)


class Proxy:
    """Forwards HTTP/1.1 connections to a port on this machine.

    Attributes:
        address: Where to connect to; stays the same whatever happens.
        replies: First lines of the requests whose reply has come back from the server, in order,
            lost ones included.
        delay_seconds: How long each request waits before it is forwarded.
        errs_each: Each so many-th request is answered 503; 0: none.
        caught: Set once the request of `hold_back` is here.
        let_go: Sends it on to the server, once it is set.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream = ("127.0.0.1", upstream_port)
        self._fault: Fault = "none"
        self._lose: int | None = None
        self._password: str | None = None
        self._kept: tuple[str, int] | None = None
        self.caught, self.let_go = threading.Event(), threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.replies: list[str] = []
        self.delay_seconds = 0.0
        self.errs_each = self._asked = 0
        self.port = 0
        self._listen()
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._close_listener()

    def set(self, fault: Fault) -> None:
        """Begin a fault, or end it with `none`; connections that are open meet it as well."""
        self._fault = fault
        if fault == "refuse":
            self._close_listener()
        elif self._listener is None:
            self._listen()

    def lose_reply(self, number: int) -> None:
        """Cut the connection once the server has replied to the `number`-th request from now on.

        The server has done by then what it was asked to; who asked never hears of it.
        """
        with self._lock:
            self._lose = number

    def hold_back(self, text: str, number: int = 1) -> None:
        """Keep the `number`-th request from now on whose first line has this text."""
        with self._lock:
            self._kept = (text, number)

    def require(self, user: str, password: str) -> None:
        """Answer 401 to whoever does not send this password."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._password = f"Authorization: Basic {token}"

    @property
    def has_lost(self) -> bool:
        """Whether the reply of `lose_reply` has come and was lost."""
        return self._lose is None

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _close_listener(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, contextlib.ExitStack() as stack:
            self._forward(client, stack)

    def _forward(self, client: socket.socket, stack: contextlib.ExitStack) -> None:
        server = stack.enter_context(socket.create_connection(self._upstream))
        asked: str | None = None  # first line of the request that waits for its reply
        while not self._stopped.is_set() and self._fault not in {"refuse", "drop"}:
            ready, _, _ = select.select([client, server], [], [], 0.05)
            if client in ready:
                data = client.recv(1 << 16)
                if not data or not self._may_pass(client, data, is_first=asked is None):
                    return
                if asked is None:
                    asked = data.split(b"\r\n", 1)[0].decode(errors="replace")
                    if self._is_kept(asked):
                        self._keep()
                        server.close()  # the server has closed it, idle as it was
                        server = stack.enter_context(socket.create_connection(self._upstream))
                server.sendall(data)
            if server in ready:
                data = server.recv(1 << 16)
                if not data or (asked is not None and self._is_lost(asked)):
                    return
                asked = None
                client.sendall(data)

    def _may_pass(self, client: socket.socket, data: bytes, *, is_first: bool) -> bool:
        """Whether a request, or the rest of one, reaches the server; answer it here if not."""
        if self._fault == "blackhole":
            while self._fault == "blackhole" and not self._stopped.is_set():
                time.sleep(0.05)
            return False
        if self._fault == "unavailable":
            return self._answer(client, _UNAVAILABLE)
        if is_first and self._password is not None and self._password not in data.decode("latin-1"):
            return self._answer(client, _UNAUTHORIZED)
        if is_first and self.errs_each:
            with self._lock:
                self._asked += 1
                errs = self._asked % self.errs_each == 0
            if errs:
                return self._answer(client, _UNAVAILABLE)
        if is_first:
            time.sleep(self.delay_seconds)
        return self._fault not in {"refuse", "drop"}

    def _answer(self, client: socket.socket, reply: bytes) -> bool:
        # Take in the rest of the request first: closing with unread bytes resets the connection.
        while select.select([client], [], [], 0.05)[0] and client.recv(1 << 16):
            pass
        client.sendall(reply)
        return False

    def _keep(self) -> None:
        time.sleep(0.2)  # for the rest of it: who asked may be stopped from now on
        self.caught.set()
        while not (self.let_go.wait(0.05) or self._stopped.is_set()):
            pass

    def _is_kept(self, request: str) -> bool:
        with self._lock:
            if self._kept is None or self._kept[0] not in request:
                return False
            text, number = self._kept
            self._kept = (text, number - 1) if number > 1 else None
            return self._kept is None

    def _is_lost(self, request: str) -> bool:
        with self._lock:
            self.replies.append(request)
            if self._lose is None:
                return False
            self._lose -= 1
            if self._lose > 0:
                return False
            self._lose = None
            return True
