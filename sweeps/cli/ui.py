"""`sweeps ui`: MLflow's own server on the store of a home, until Ctrl-C."""

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
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from sweeps.cli.options import HomeOption, NewestSweepArgument
from sweeps.errors import UsageError
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.reading import locate, server_address
from sweeps.tracking.view import charts_address, view_address
from sweeps.workspace.addresses import redacted

START_TIMEOUT_SECONDS: Final = 180
STOP_TIMEOUT_SECONDS: Final = 10
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_OWN_NAMES: Final = (
    *("127.0.0.1", "localhost", "[::1]"),
    *("127.0.0.1:*", "localhost:*", "[[]::1]:*"),  # any port: it may be forwarded
)
"""The only names that the server answers to. By default MLflow answers to every name that begins
like an address of a private network. A stranger can own such a name (`10.example.com`), by which a
page in a browser here reaches the server."""
_ENVIRONMENT: Final = {
    # Its job runner starts seven more processes, needs 15 s and outlives a Ctrl-C.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def ui(
    name: NewestSweepArgument = None,
    home: HomeOption = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow store, if not the home's own.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--no-browser",
            help="Open the page in a browser (default: in a terminal on a machine with a screen).",
        ),
    ] = None,
) -> None:
    """Open the MLflow UI on a sweep: its trials, its charts."""
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri, sqlite_path

    found = Home.resolve(home)
    uri = resolve_tracking_uri(found.path, tracking_uri)
    info = None
    if name is not None:
        from sweeps.tracking.sync import require_store

        info = found.get(name)
        require_store(uri)
    database = sqlite_path(uri)
    if database is not None and database.is_relative_to(found.path):
        found.check_writable()  # MLflow writes into its database as soon as it starts
    open_browser = wants_browser(browser)
    raise typer.Exit(
        run_ui(found.path, uri, host=host, port=port, open_browser=open_browser, info=info)
    )


def run_ui(
    home: Path,
    tracking_uri: str,
    *,
    host: str,
    port: int,
    open_browser: bool,
    info: SweepInfo | None = None,
) -> int:
    """Serve the MLflow UI until Ctrl-C.

    Args:
        home: The sweeps' home; files of runs lie under it.
        tracking_uri: From `resolve_tracking_uri`. An MLflow server has a UI already: its address
            is printed, and nothing is started.
        host: Interface to listen on.
        port: Port to listen on.
        open_browser: Whether to open the page once it answers.
        info: Sweep to show; None for that of the newest run.

    Returns:
        Exit code: 0 after Ctrl-C, 1 if the server ended by itself.

    Raises:
        UsageError: There is nothing to show yet, or the port or host cannot be used.
    """
    if tracking_uri.startswith("http"):
        _announce(server_address(tracking_uri, info), open_browser=open_browser)
        return 0
    experiment, sweep = locate(tracking_uri, info)
    _check_port(host, port)
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    base = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    _say(f"starting the MLflow UI on {redacted(tracking_uri)}, about 20 s ...")
    if host not in LOOPBACK:
        _say(f"anyone who can reach {host}:{port} can read and delete runs: there is no password")
    options = ["--host", host, "--port", str(port), "--workers", "1"]
    options += ["--allowed-hosts", ",".join(_OWN_NAMES)] if host in LOOPBACK else []
    options += ["--default-artifact-root", (home / "artifacts").absolute().as_uri()]

    def announce() -> None:
        _announce(view_address(base, experiment, sweep), open_browser=open_browser)
        if experiment and sweep:
            _say(f"its charts: {charts_address(base, experiment, sweep)}")

    return _serve(options, tracking_uri, base=base, announce=announce)


def _serve(options: Sequence[str], uri: str, *, base: str, announce: Callable[[], None]) -> int:
    with tempfile.TemporaryFile() as log, _server_process(options, uri, log) as server:
        try:
            if _wait_until_healthy(server, base):
                announce()
                _say("Ctrl-C stops it")
                server.wait()
        except KeyboardInterrupt:
            _say("stopped")
            return 0
        log.seek(0)
        tail = "\n".join(log.read().decode(errors="replace").splitlines()[-15:])
        print(f"error: the MLflow server ended; its last lines:\n{tail}", file=sys.stderr)
        return 1


def _check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, and name one that can."""
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
    options: Sequence[str], tracking_uri: str, log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `mlflow server`; on any exit, stop it and everything it started.

    The store's address goes through the environment, so that no list of processes shows a password.
    """
    environment = {**os.environ, **_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": tracking_uri}
    with _signals_exit(), tempfile.TemporaryDirectory(prefix="sweeps-server-") as folder:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-m", "mlflow", "server", *options],
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
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_TIMEOUT_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)  # what is left of its session
            server.wait()


@contextlib.contextmanager
def _signals_exit() -> Iterator[None]:
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
        try:
            with opener.open(f"{base}/health", timeout=5) as answer:
                if answer.status == 200:
                    return True
        except urllib.error.HTTPError as error:
            error.close()  # it is the connection as well
        except OSError:  # it does not listen yet
            pass
        time.sleep(0.2)
    return False


def wants_browser(asked: bool | None) -> bool:
    """Return what was asked for; by default, whether stdout is a terminal beside a screen."""
    if asked is not None:
        return asked
    has_screen = sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return has_screen and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


def _announce(address: str, *, open_browser: bool) -> None:
    _say(f"MLflow UI: {address}")
    if open_browser:
        webbrowser.open(address)


def _say(text: str) -> None:
    print(text, flush=True)  # at once, also into a pipe
