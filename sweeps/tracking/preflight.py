"""Asks a tracking server, before anything is created, whether it would take runs.

A mistake (no such host, wrong scheme, wrong password, no MLflow there) is refused at once. An
outage (refused connection, no answer, 5xx) is not a mistake: the sweep goes on without the server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from sweeps.tracking.address import TrackingError, sqlite_path
from sweeps.tracking.store import one_line, quiet
from sweeps.workspace.addresses import redacted

TIMEOUT_SECONDS: Final = 3.0
_QUESTION: Final = "/api/2.0/mlflow/experiments/search?max_results=1"
_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_TRY_LATER: Final = frozenset({408, 425, 429})
_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})
"""EAI_AGAIN is not one of them: a machine that is offline gets it for any host."""


class _Answer(NamedTuple):
    status: int
    body: str
    location: str = ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: that turns a POST into a GET, so that a server would fail only later."""

    def redirect_request(self, *_: Any) -> None:
        return None


def check_store(tracking_uri: str) -> str | None:
    """Make sure that runs can be sent to a store, as far as can be told within seconds.

    Args:
        tracking_uri: From `resolve_tracking_uri`. A SQLite file needs no check.

    Returns:
        Why the server is away, in one line; None if it answers.

    Raises:
        TrackingError: Address or credentials are wrong; nothing was created.
    """
    if sqlite_path(tracking_uri) is not None:
        return None
    if not tracking_uri.startswith("http"):
        import sqlalchemy

        try:
            url = sqlalchemy.create_engine(tracking_uri).url  # connects to nothing yet
        except ImportError as error:
            raise TrackingError(
                f"tracking store {redacted(tracking_uri)!r}: its database driver is missing "
                f"({error}); install it, or name another driver as in 'postgresql+psycopg://...'"
            ) from None
        except sqlalchemy.exc.ArgumentError as error:
            raise TrackingError(
                f"tracking store {redacted(tracking_uri)!r}: {one_line(error)}"
            ) from None
        port = url.port or _PORTS.get(url.get_backend_name())
        try:  # MLflow itself would try for minutes; a socket file or unknown port is not asked
            if url.host and port and not url.host.startswith("/"):
                socket.create_connection((url.host, port), TIMEOUT_SECONDS).close()
        except OSError as error:
            return _judge_error(tracking_uri, error)
        return None
    try:
        answer = _within(TIMEOUT_SECONDS, lambda: _ask(tracking_uri))
        if answer.status in {401, 403}:  # asked without credentials; MLflow knows where they are
            answer = _ask_as_mlflow(tracking_uri)
    except Exception as error:
        return _judge_error(tracking_uri, error)
    return _judge_answer(tracking_uri, answer)


def _ask(uri: str) -> _Answer:
    """Ask without credentials: one request, in milliseconds, before MLflow is imported."""
    parts = urlsplit(uri)
    public = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(public + _QUESTION, timeout=TIMEOUT_SECONDS) as reply:
            return _Answer(reply.status, reply.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        with error:
            body = error.read().decode(errors="replace")
            return _Answer(error.code, body, error.headers.get("Location", ""))


def _ask_as_mlflow(uri: str) -> _Answer:
    """Ask with the credentials and certificates that MLflow would use, wherever they are set."""
    with quiet():
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        reply = http_request(
            get_default_host_creds(uri),
            _QUESTION,
            "GET",
            timeout=TIMEOUT_SECONDS,
            max_retries=0,
            raise_on_status=False,
            allow_redirects=False,
        )
    return _Answer(reply.status_code, reply.text, reply.headers.get("Location", ""))


def _judge_answer(uri: str, answer: _Answer) -> str | None:
    status = answer.status
    if status >= 500 or status in _TRY_LATER:
        return f"it answers {status}"
    if status == 200:
        with contextlib.suppress(ValueError):
            if isinstance(json.loads(answer.body), dict):
                return None
    if status == 401:
        problem = (
            "it refuses user name and password; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    elif status == 403:
        problem = f"it permits nothing ({_gist(answer.body)}); use another account or address"
    elif 300 <= status < 400:
        elsewhere = redacted(answer.location.removesuffix(_QUESTION))
        problem = f"it redirects to {elsewhere!r}; give that address"
    elif status == 400 and uri.startswith("http:") and _speaks_tls(uri):
        problem = "it speaks https; write 'https://'"
    else:
        problem = f"no MLflow server answers there, but {status} {_gist(answer.body)!r}"
    raise _mistake(uri, problem)


def _judge_error(uri: str, error: Exception) -> str | None:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_HOST:
        raise _mistake(uri, f"there is no host {urlsplit(uri).hostname!r}")
    if isinstance(cause, UnicodeError | http.client.InvalidURL):
        raise _mistake(uri, f"{urlsplit(uri).hostname!r} is no name of a host")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _judge_certificate(uri, cause)
    if isinstance(cause, ssl.SSLError):
        raise _mistake(uri, "it does not speak https; write 'http://'")
    hung_up = isinstance(cause, ConnectionError | http.client.HTTPException)
    refused = isinstance(cause, ConnectionRefusedError)
    if hung_up and not refused and uri.startswith("http:") and _speaks_tls(uri):
        raise _mistake(uri, "it speaks https; write 'https://'")
    return one_line(cause) if isinstance(cause, Exception) else str(cause)


def _judge_certificate(uri: str, error: ssl.SSLCertVerificationError) -> str | None:
    """Ask again through MLflow, which may have been told to trust the certificate."""
    try:
        answer = _ask_as_mlflow(uri)
    except Exception as again:
        if "CERTIFICATE_VERIFY_FAILED" not in str(again):
            return one_line(again)
        raise _mistake(
            uri,
            f"its certificate is not trusted ({error.verify_message}); name the authority's file "
            "in MLFLOW_TRACKING_SERVER_CERT_PATH",
        ) from None
    return _judge_answer(uri, answer)


def _speaks_tls(uri: str) -> bool:
    parts = urlsplit(uri)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = (parts.hostname or "", parts.port or 80)
    with (
        contextlib.suppress(OSError),
        socket.create_connection(address, TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname),
    ):
        return True
    return False


def _within(seconds: float, ask: Callable[[], _Answer]) -> _Answer:
    """Ask in a thread of its own, because looking up a host name has no timeout."""
    ended: list[_Answer | Exception] = []

    def run() -> None:
        try:
            ended.append(ask())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, name="sweeps-preflight", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise TimeoutError(f"no answer within {seconds:g} s")
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]


def _mistake(uri: str, problem: str) -> TrackingError:
    return TrackingError(
        f"tracking server {redacted(uri)!r}: {problem}. It was named by --tracking-uri or "
        "MLFLOW_TRACKING_URI"
    )


def _gist(body: str) -> str:
    return " ".join(body.split())[:80]
