"""`sweeps dashboard`: Optuna Dashboard on a copy of the studies, which is refreshed."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer

from sweeps.cli.console import BrowserOption, open_page, wants_browser
from sweeps.cli.options import HomeOption
from sweeps.cli.servers import LOOPBACK, check_port, name_in_url, say, signals_exit
from sweeps.errors import UsageError
from sweeps.wording import install_command

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from sweeps.home import Home

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
    make_app = _dashboard_app()
    if not found.optuna_db.exists():
        raise UsageError(
            f"nothing to show: no sweep in {found.path}; begin with: `sweeps run smoke`"
        )
    check_port(host, port)
    with signals_exit(), tempfile.TemporaryDirectory(prefix="sweeps-dashboard-") as folder:
        copy = Path(folder) / "optuna.db"
        count = _refresh(found, copy)
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
