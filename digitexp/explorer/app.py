"""The application: Dash's page and callbacks, uploads, and the pages of the interactive tools."""

from __future__ import annotations

import hmac
import html
from functools import cache
from typing import Final
from urllib.parse import urlencode

import flask
from dash import Dash
from werkzeug.exceptions import RequestEntityTooLarge

from digitexp.explorer.batch import MOST_BYTES, read_rows, unpacked
from digitexp.explorer.callbacks import add_callbacks
from digitexp.explorer.desk import Choice, Desk
from digitexp.explorer.layout import TOOLS, page
from digitexp.interactive.page import plotly_script

__all__ = ["PLOTLY_ADDRESS", "make_app"]

PLOTLY_ADDRESS: Final = "/plotly.min.js"
POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    # Dash and the tools have scripts in their pages; WebGL charts compile theirs.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:; "
    "frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
"""What a page may load: nothing that does not come from this server."""


def make_app(desk: Desk, port: int, token: str) -> flask.Flask:
    """Return the application.

    Args:
        desk: Who answers.
        port: Where it will be served, on 127.0.0.1: requests to any other name are refused.
        token: Asked of everybody, since other users of this machine reach the port as well; given
            once in an address (`?token=`), it stays in the browser as a cookie.
    """
    server = flask.Flask("digitexp.explorer", static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    _guard(server, port)
    _ask_for(token, server, port)
    _add_routes(server, desk)
    app = Dash(
        "digitexp.explorer",
        server=server,  # type: ignore[arg-type]  # "bool or a function", but a Flask as well
        title="digitexp explorer",
        update_title="",
        serve_locally=True,
        add_log_handler=False,
        enable_mcp=False,
    )
    where = desk.recorded.where
    app.layout = lambda: page(where)
    add_callbacks(app, desk)
    return server


def _guard(server: flask.Flask, port: int) -> None:
    """Answer only pages of our own: a foreign one could reach us by a name that it rebinds."""
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    @server.before_request
    def refuse_foreign() -> flask.Response | None:
        origin = flask.request.headers.get("Origin")
        is_own = origin is None or origin.removeprefix("http://") in hosts
        if flask.request.headers.get("Host") in hosts and is_own:
            return None
        address = f"http://127.0.0.1:{port}/"
        return _text(f"Only {address} is answered, for pages from there.", 403)

    @server.after_request
    def restrict(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response


def _ask_for(token: str, server: flask.Flask, port: int) -> None:
    """Answer only who has the token, or the cookie that its address leaves."""
    cookie = f"digitexp-explorer-{port}"  # browsers tell no ports of a host apart

    def is_right(given: str | None) -> bool:
        return hmac.compare_digest((given or "").encode(), token.encode())

    @server.before_request
    def refuse_strangers() -> flask.Response | None:
        request = flask.request
        if is_right(request.args.get("token")):
            rest = urlencode([(k, v) for k, v in request.args.items(multi=True) if k != "token"])
            # So that it is in no link that is kept, and in no list of pages that were visited.
            answer = flask.Response(status=302, headers={"Location": f"/?{rest}".rstrip("?")})
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return answer
        if is_right(request.cookies.get(cookie)):
            return None
        advice = "open the address that `digitexp explore` printed when it was started last"
        return _text(f"The token of this explorer is missing: {advice}.", 403)


def _add_routes(server: flask.Flask, desk: Desk) -> None:
    @server.get(PLOTLY_ADDRESS)
    def plotly() -> flask.Response:
        response = flask.Response(_plotly(), mimetype="text/javascript")
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response

    @server.get("/tools/<name>.html")
    def tool(name: str) -> flask.Response:
        if name not in TOOLS:
            return _text(f"no tool {name!r}: there are {', '.join(TOOLS)}", 404)
        try:
            text = _tool_page(desk, name, _chosen())
        except ValueError as error:
            return flask.Response(_apology(str(error)), 409, mimetype="text/html")
        response = flask.Response(text, mimetype="text/html")
        response.headers["Cache-Control"] = "no-store"  # the champion may be another one next time
        return response

    @server.post("/batch")
    def batch() -> tuple[flask.Response, int]:
        sent = flask.request.files.getlist("files")
        files = unpacked([(one.filename or "unnamed", one.read()) for one in sent])
        try:
            rows = read_rows(desk.chosen(_chosen()), files)
        except ValueError as error:
            return flask.jsonify({"error": str(error)}), 409
        return flask.jsonify({"rows": [row.to_dict() for row in rows]}), 200

    @server.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> tuple[flask.Response, int]:
        said = f"too large: at most {MOST_BYTES // 2**20} MB at once"
        return flask.jsonify({"error": said}), 413


def _chosen() -> Choice:
    query = flask.request.args
    return Choice(query.get("sweep"), query.get("trial"), query.get("beside"))


def _tool_page(desk: Desk, name: str, chosen: Choice) -> str:
    """Return the page of a tool on the chosen trial.

    Raises:
        ValueError: There is none, or it does not show that one.
    """
    from digitexp.interactive.decision_regions import decision_regions_page
    from digitexp.interactive.softmax import softmax_page
    from digitexp.interactive.training import training_page

    trial = desk.chosen(chosen).trial
    if name == "softmax":
        return softmax_page(trial, PLOTLY_ADDRESS)
    if name == "decision_regions":
        return decision_regions_page(trial, PLOTLY_ADDRESS)
    other = None
    if chosen.beside not in {None, chosen.trial}:
        other = desk.chosen(Choice(chosen.sweep, chosen.beside, None)).trial
    return training_page(trial, other, PLOTLY_ADDRESS)


@cache
def _plotly() -> bytes:
    return plotly_script().encode()


def _apology(text: str) -> str:
    style = "body{font:16px system-ui,sans-serif;margin:3rem;color-scheme:light dark}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>nothing to show</title>'
        f"<style>:root{{color-scheme:light dark}}{style}</style><p>{html.escape(text)}</p></html>"
    )


def _text(text: str, status: int) -> flask.Response:
    return flask.Response(f"{text}\n", status, mimetype="text/plain")
