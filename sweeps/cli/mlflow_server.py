"""An MLflow server as the child of a command: started, waited for, stopped with all it began."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Final

from sweeps.errors import UsageError

START_TIMEOUT_SECONDS: Final = 180
STOP_TIMEOUT_SECONDS: Final = 10
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_OWN_NAMES: Final = (
    *("127.0.0.1", "localhost", "[::1]"),
    *("127.0.0.1:*", "localhost:*", "[[]::1]:*"),  # any port: it may be forwarded
)
_ENVIRONMENT: Final = {
    # Its job runner starts seven more processes, needs 15 s and outlives a Ctrl-C.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def say(text: str, file: IO[str] | None = None) -> None:
    """Print at once, also into a pipe."""
    print(text, file=file, flush=True)


def answering_to(names: Sequence[str] = ()) -> list[str]:
    """Return options of `mlflow server`: it answers to this machine's own names, and to these.

    By default it answers to all that begins like an address of a private network, and so to names
    of anybody's, such as `10.example.com`, by which a page in a browser here can get at it.
    """
    return ["--allowed-hosts", ",".join([*_OWN_NAMES, *names])]


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, and name one that can.

    Raises:
        UsageError: It is taken, or no port.
    """
    if not 0 < port < 65536:
        raise UsageError(f"--port {port}: give a number from 1 to 65535")
    problem = _bind_error(host, port)
    if problem is None:
        return
    free = next((p for p in range(port + 1, port + 50) if _bind_error(host, p) is None), None)
    advice = f"--port {free}" if free else "another --port, or --host 127.0.0.1"
    raise UsageError(f"port {port} on {host} cannot be used ({problem}); try {advice}")


def _bind_error(host: str, port: int) -> str | None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


@contextlib.contextmanager
def _server_process(
    options: Sequence[str], host: str, port: int, tracking_uri: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `mlflow server`; stop it and everything it started on the way out, whatever the way.

    The store's address goes through the environment: a password in it is in no list of processes.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    environment = {**os.environ, **_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": tracking_uri}
    with signals_exit(), tempfile.TemporaryDirectory(prefix="sweeps-server-") as folder:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [*command, *options],
            cwd=folder,  # MLflow leaves files where it is started
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us only; we stop the server in order
        )
        try:
            yield server
        finally:
            _stop(server)


def serve(
    options: Sequence[str],
    host: str,
    port: int,
    tracking_uri: str,
    announce: Callable[[], None],
) -> int:
    """Run an MLflow server until Ctrl-C.

    Args:
        options: More of `mlflow server`.
        host: Interface to listen on.
        port: Port to listen on.
        tracking_uri: Its store.
        announce: Called once it answers.

    Returns:
        Exit code: 0 after Ctrl-C, 1 if the server ended by itself.
    """
    with (
        tempfile.TemporaryFile() as log,
        _server_process(options, host, port, tracking_uri, log) as server,
    ):
        try:
            if _wait_until_healthy(server, f"http://{name_in_url(host)}:{port}"):
                announce()
                say("Ctrl-C stops it")
                server.wait()
        except KeyboardInterrupt:
            say("stopped")
            return 0
        say(f"error: the MLflow server ended; its last lines:\n{_tail(log)}", file=sys.stderr)
        return 1


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(STOP_TIMEOUT_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # what is left of its session
    server.wait()


@contextlib.contextmanager
def signals_exit() -> Iterator[None]:
    """Turn SIGTERM and a closed terminal into an exit that passes through `finally`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_until_healthy(server: subprocess.Popen[bytes], base: str) -> bool:
    """Return True once the server answers, False if it has ended or does not answer in time."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), opener.open(f"{base}/health", timeout=5) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.2)
    return False


def name_in_url(host: str) -> str:
    """Return how a host that is listened on is called in an address."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{reachable}]" if ":" in reachable else reachable


def _tail(log: IO[bytes]) -> str:
    """Return the last lines of a server's log."""
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-15:])
