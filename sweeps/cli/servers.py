"""Servers until Ctrl-C: `sweeps ui`, `serve-tracking`, `dashboard`, `cluster start`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import IO, TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from sweeps.cli.console import BrowserOption, open_page, wants_browser
from sweeps.cli.options import (
    HomeOption,
    NewestSweepArgument,
    TrustOption,
    parse_resources,
    pasteable,
)
from sweeps.config.policies import usable_cores
from sweeps.errors import UsageError
from sweeps.executors.dask.fleet import in_words
from sweeps.records.record import SweepInfo
from sweeps.tracking.reading import locate, server_address
from sweeps.tracking.view import charts_address, view_address
from sweeps.wording import counted, install_command
from sweeps.workspace.addresses import redacted
from sweeps.workspace.databases import DatabaseRetry

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sweeps.executors.dask.fleet import Certificates, LocalPlan
    from sweeps.home import Home


# Starts an MLflow server as a child process, waits for it, and stops it with all that it started.


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
    """Return options that make `mlflow server` answer only to this machine's names and to `names`.

    By default it answers to every name that begins like an address of a private network. A stranger
    can own such a name (`10.example.com`), by which a page in a browser here reaches the server.
    """
    return ["--allowed-hosts", ",".join([*_OWN_NAMES, *names])]


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, and name one that can.

    Raises:
        UsageError: The port is taken, or its number is not one of a port.
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
    """Start `mlflow server`; on any exit, stop it and everything it started.

    The store's address goes through the environment, so that no list of processes shows a password.
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
        options: More options of `mlflow server`.
        host: Interface to listen on.
        port: Port to listen on.
        tracking_uri: Its store.
        announce: Called when the server answers.

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


def name_in_url(host: str) -> str:
    """Return the name, for an address, of a host that is listened on."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{reachable}]" if ":" in reachable else reachable


def _tail(log: IO[bytes]) -> str:
    """Return the last lines of a server's log."""
    log.seek(0)
    return "\n".join(log.read().decode(errors="replace").splitlines()[-15:])


# `sweeps serve-tracking`: runs an MLflow server for a team, safe by default, until Ctrl-C.


_STORES: Final = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


def serve_tracking(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for its files and SQLite database.")
    ] = Path("mlflow-server"),
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            envvar="SWEEPS_TRACKING_STORE",
            help="Database, such as postgresql+psycopg://user@host/mlflow (default: SQLite).",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            metavar="NAME",
            help="A name by which other machines call it; needed if it serves them.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that answer requests.", min=1)] = 2,
) -> None:
    """Run an MLflow server for `--tracking-uri http://...`.

    It takes runs and their files. It listens on this machine only, unless told otherwise, and
    checks the name by which it is called. It stores files in DIR, so that clients need no access to
    that folder.
    """
    if store is not None and not store.startswith(_STORES):
        raise UsageError(f"--store {redacted(store)!r}: allowed are {', '.join(_STORES)}...")
    if host not in LOOPBACK and not allowed_hosts:
        raise UsageError(
            f"--host {host}: name it as others call it, with the port, or any page they have open "
            f"could talk to it: --allowed-host NAME:{port}"
        )
    check_port(host, port)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: nothing can be written into it; give another folder")
    uri = store or f"sqlite:///{folder.absolute() / 'mlflow.db'}"
    raise typer.Exit(_run(folder.absolute(), uri, host, port, allowed_hosts or [], workers))


def _run(
    folder: Path, uri: str, host: str, port: int, allowed_hosts: list[str], workers: int
) -> int:
    options = ["--workers", str(workers), "--serve-artifacts"]
    options += ["--artifacts-destination", (folder / "artifacts").as_uri()]
    options += answering_to(allowed_hosts)
    base = f"http://{name_in_url(host)}:{port}"
    say(f"starting an MLflow server on {redacted(uri)}, about 20 s ...")
    if host not in LOOPBACK:
        say(
            "anyone who can reach it can read and delete runs: put a proxy with passwords before it"
        )

    def announce() -> None:
        say(f"MLflow server: {base}")
        sync = pasteable(f"`sweeps sync --to {base}`")
        say(f"`sweeps run SPACE --tracking-uri {base}`; what exists: {sync}")

    return serve(options, host, port, uri, announce)


def ui(
    name: NewestSweepArgument = None,
    home: HomeOption = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow store, if not the home's own.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    browser: BrowserOption = None,
) -> None:
    """Open the MLflow UI on a sweep: its trials, its charts."""
    from sweeps.home import Home
    from sweeps.tracking.address import resolve_tracking_uri, sqlite_path

    found = Home.resolve(home)
    info = None if name is None else found.get(name)
    uri = resolve_tracking_uri(found.path, tracking_uri)
    database = sqlite_path(uri)
    if database is not None and database.is_relative_to(found.path):
        found.check_writable()  # MLflow writes into its database as soon as it starts
    raise typer.Exit(run_ui(found.path, uri, host, port, wants_browser(browser), info))


def run_ui(
    home: Path,
    tracking_uri: str,
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
        StoreError: The server that is asked for a sweep does not answer.
    """
    if info is not None:
        from sweeps.tracking.sync import require_store

        require_store(tracking_uri)
    if tracking_uri.startswith("http"):
        _announce(server_address(tracking_uri, info), open_browser)
        return 0
    experiment, sweep = locate(tracking_uri, info)
    check_port(host, port)
    base = f"http://{name_in_url(host)}:{port}"
    say(f"starting the MLflow UI on {redacted(tracking_uri)}, about 20 s ...")
    options = ["--workers", "1"]
    if host in LOOPBACK:
        options += answering_to()
    else:
        say(f"anyone who can reach {host}:{port} can read and delete runs: there is no password")
    artifacts = (home / "artifacts").absolute().as_uri()
    options += ["--default-artifact-root", artifacts]

    def announce() -> None:
        _announce(view_address(base, experiment, sweep), open_browser)
        if experiment and sweep:
            say(f"its charts: {charts_address(base, experiment, sweep)}")

    return serve(options, host, port, tracking_uri, announce)


def _announce(address: str, open_browser: bool) -> None:
    say(f"MLflow UI: {address}")
    if open_browser:
        open_page(address)


# `sweeps dashboard`: Optuna Dashboard on a copy of the studies, which is refreshed.


REFRESH_SECONDS: Final = 3.0


def dashboard(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    browser: BrowserOption = None,
) -> None:
    """Open Optuna Dashboard on a copy of the studies.

    The copy is refreshed while sweeps run. Its buttons change the copy only, and each study there
    says so in its name.
    """
    from sweeps.home import Home
    from sweeps.wording import counted

    found = Home.resolve(home)
    if found.shared is not None:
        raise UsageError(
            f"the studies are in {found.shared.server}: open them with  optuna-dashboard ADDRESS"
            "  (its buttons change them)"
        )
    found.check_writable()  # SQLite's write-ahead log needs that even to read
    make_app = _dashboard_app()
    if not found.optuna_db.exists():
        raise UsageError(
            f"nothing to show: no sweep in {found.path}; begin with: `sweeps run smoke`"
        )
    check_port(host, port)
    with signals_exit(), tempfile.TemporaryDirectory(prefix="sweeps-dashboard-") as folder:
        copy = Path(folder) / "optuna.db"
        count = DatabaseRetry().run(found.optuna_db, lambda: _refresh(found, copy))
        app = _for_own_pages(make_app(copy), {*LOOPBACK, host})
        server = make_server(host, port, app, _Server, _Silent)
        with server, _refreshing(found, copy), contextlib.suppress(KeyboardInterrupt):
            address = f"http://{name_in_url(host)}:{port}/dashboard"
            say(f"Optuna Dashboard, on a copy of {counted(count, 'study', 'studies')}: {address}")
            say("changes by its buttons are lost; sweeps are not touched. Ctrl-C stops it")
            if wants_browser(browser):
                open_page(address)
            server.serve_forever()
    say("stopped")


def _dashboard_app() -> Callable[[Path], Any]:
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise UsageError(
            f"Optuna Dashboard is not installed: {install_command('dashboard')}"
        ) from None
    return lambda copy: wsgi(f"sqlite:///{copy}")


def _for_own_pages(app: WSGIApplication, names: Collection[str]) -> WSGIApplication:
    """Answer only requests that go to one of these host names, and come from pages of these hosts.

    Any page that is open in a browser here can send requests to this port, and any host name can
    be made to lead to it (DNS rebinding). A body must be JSON, as the dashboard's pages send it:
    foreign pages can send everything else unasked, and the dashboard's code fails at it.
    """
    own = f"this page is for {', '.join(sorted(names))} only"

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = [f"//{environ.get('HTTP_HOST', '')}"]
        if "HTTP_ORIGIN" in environ:
            asked.append(environ["HTTP_ORIGIN"])
        if not all(_name_of(address) in names for address in asked):
            return refuse(start_response, "403 Forbidden", own)
        if environ["REQUEST_METHOD"] in ("POST", "PUT"):
            if environ.get("CONTENT_LENGTH") in (None, "", "0"):
                environ = environ | _EMPTY | {"wsgi.input": BytesIO(b"{}")}
            elif (
                environ.get("CONTENT_TYPE", "").partition(";")[0].lower() != _EMPTY["CONTENT_TYPE"]
            ):
                needed = f"send JSON, with  Content-Type: {_EMPTY['CONTENT_TYPE']}"
                return refuse(start_response, "415 Unsupported Media Type", needed)
        return app(environ, start_response)

    def refuse(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/plain")])
        return [f"{text}\n".encode()]

    return answer


_EMPTY: Final = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2"}


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _refresh(home: Home, copy: Path) -> int:
    from sweeps.study.copies import take_snapshot

    shown = [i for i in home.sweeps(lambda line: None) if not home.store(i.id).is_archived]
    return take_snapshot(home.optuna_db, copy, {info.study_name: info.name for info in shown})


@contextlib.contextmanager
def _refreshing(home: Home, copy: Path) -> Iterator[None]:
    """Take the copy anew, in a thread, whenever the studies have changed."""
    over = threading.Event()

    def refresh() -> None:
        seen = _changed_at(home.optuna_db)
        while not over.wait(REFRESH_SECONDS):
            now = _changed_at(home.optuna_db)
            if now != seen:
                with contextlib.suppress(Exception):  # locked for long, or away: next time
                    _refresh(home, copy)
                    seen = now

    thread = threading.Thread(target=refresh, name="sweeps-snapshot", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _changed_at(database: Path) -> list[float]:
    wal = database.with_name(f"{database.name}-wal")
    return [path.stat().st_mtime for path in (database, wal) if path.exists()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Log no request."""


# `sweeps cluster start`, and the options of `sweeps run` about clusters.


PemOption = Annotated[Path | None, typer.Option(metavar="FILE", help="In PEM format.")]

app = typer.Typer(
    help="A Dask cluster for `sweeps run --executor`.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """A Dask cluster for `sweeps run --executor`."""


@app.command()
def start(
    workers: Annotated[
        int | None, typer.Option(help="Worker processes (default: the cores, by --threads).")
    ] = None,
    threads: Annotated[int, typer.Option(help="Trials that a worker trains at once.")] = 1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the scheduler.")] = 8786,
    allowed_failures: Annotated[
        int | None,
        typer.Option(metavar="K", help="Deaths of its worker that a trial survives (default 2)."),
    ] = None,
    resources: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AMOUNT,...", help="Resources of each worker, such as GPU=1."),
    ] = None,
    tls_ca: PemOption = None,
    tls_cert: PemOption = None,
    tls_key: PemOption = None,
    trust_cluster: TrustOption = False,
) -> None:
    """Run a Dask scheduler and workers on this machine, until Ctrl-C."""
    _at_least("--workers", workers, 1)
    _at_least("--threads", threads, 1)
    _at_least("--allowed-failures", allowed_failures, 0)
    certificates = _certificates(tls_ca, tls_cert, tls_key)
    if host not in LOOPBACK and certificates is None and not trust_cluster:
        raise UsageError(
            f"--host {host}: Dask sends pickles, so whoever can reach this port can run code here; "
            "give --tls-ca, --tls-cert and --tls-key, or --trust-cluster"
        )
    check_port(host, port)
    from sweeps.executors.dask.fleet import ALLOWED_FAILURES, LocalPlan, local_cluster

    plan = LocalPlan(
        workers=workers or max(1, usable_cores() // threads),
        threads=threads,
        host=host,
        port=port,
        allowed_failures=ALLOWED_FAILURES if allowed_failures is None else allowed_failures,
        certificates=certificates,
        resources=parse_resources(resources or []),
    )
    try:
        with signals_exit():
            say(f"starting a Dask scheduler and {counted(plan.workers, 'worker')} ...")
            with local_cluster(plan) as address:
                _announce_cluster(plan, address)
                threading.Event().wait()
    except KeyboardInterrupt:
        say("stopped")


def _at_least(option: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"{option} {value}: give a whole number from {least} on")


def _certificates(ca: Path | None, cert: Path | None, key: Path | None) -> Certificates | None:
    from sweeps.executors.dask.fleet import Certificates

    files = {"--tls-ca": ca, "--tls-cert": cert, "--tls-key": key}
    missing = [option for option, file in files.items() if file is None]
    if len(missing) == len(files):
        return None
    if ca is None or cert is None or key is None:
        raise UsageError(f"TLS needs three files; give {' and '.join(missing)} as well")
    for option, file in files.items():
        if file is not None and not file.is_file():
            raise UsageError(f"{option} {file}: there is no such file")
    return Certificates(ca.resolve(), cert.resolve(), key.resolve())


def _announce_cluster(plan: LocalPlan, address: str) -> None:
    is_encrypted = plan.certificates is not None
    survived = counted(plan.allowed_failures, "death")
    say(
        f"Dask cluster: {address}, {counted(plan.workers, 'worker')}, "
        f"{counted(plan.threads, 'trial')} at once each; a trial survives {survived} of its worker"
    )
    if plan.host not in LOOPBACK and not is_encrypted:
        say("whoever can reach it can run code here")
    uri = f"{'dask+tls' if is_encrypted else 'dask'}://{name_in_url(plan.host)}:{plan.port}"
    taken = f" --resources {in_words(plan.resources)}" if plan.resources else ""
    say(f"{_tls_variables(plan)}sweeps run SPACE --executor {uri}{taken}")
    say("Ctrl-C stops it")


def _tls_variables(plan: LocalPlan) -> str:
    """Return the environment variables by which `sweeps run` finds its certificates."""
    files = plan.certificates
    if files is None:
        return ""
    prefix = "DASK_DISTRIBUTED__COMM__TLS__"
    named = {"CA_FILE": files.ca, "CLIENT__CERT": files.cert, "CLIENT__KEY": files.key}
    return "".join(f"{prefix}{name}={shlex.quote(str(file))} " for name, file in named.items())
