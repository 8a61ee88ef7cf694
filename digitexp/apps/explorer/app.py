"""The application: Dash's page, its five tabs and callbacks, uploads, and the interactive pages."""

from __future__ import annotations

import contextlib
import hmac
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

import flask
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate
from werkzeug.exceptions import RequestEntityTooLarge

from digitexp.apps.explorer.batch import (
    MOST_BYTES,
    from_folder,
    read_rows,
    sorted_rows,
    to_csv,
    unpacked,
)
from digitexp.apps.explorer.session import Choice, Session
from digitexp.apps.explorer.views import (
    answer_view,
    aria,
    bars,
    message,
    nearest_view,
    pad,
    seen_view,
    table,
)
from digitexp.experiments.recorded import TrialChoice
from digitexp.pages.page import BUNDLES, plotly_script

# The page: a head with the choices, five tabs, and the panel of each tab.


TOOLS: Final[Mapping[str, str]] = {
    "softmax": "Softmax",
    "training": "Training",
    "decision_regions": "Decision regions",
}
"""The interactive tools: name of the page -> heading of the tab."""
TABS: Final[Mapping[str, str]] = {"draw": "Draw", "batch": "Batch", **TOOLS}


def page(where: str) -> html.Div:
    """Return the whole page; choices are filled in once its address is known.

    Args:
        where: The home whose trials are shown.
    """
    panels: dict[str, Any] = {
        "draw": _draw(),
        "batch": _batch(),
        **{
            name: html.Iframe(id=f"frame-{name}", title=TABS[name], className="tool")
            for name in TOOLS
        },
    }
    return html.Div(
        [
            dcc.Location(id="address", refresh=False),
            dcc.Store(id="tab", data="draw"),
            dcc.Store(id="started"),
            _head(where),
            html.Div(
                [
                    html.Button(
                        title,
                        id=f"tab-{name}",
                        role="tab",
                        className="tab-button",
                        **aria(controls=f"panel-{name}", selected="false"),
                    )
                    for name, title in TABS.items()
                ],
                className="tabs",
                role="tablist",
            ),
            html.Div(id="trouble", role="alert"),
            html.Main(
                [
                    html.Div(
                        content,
                        id=f"panel-{name}",
                        className=f"panel {name}" if name == "draw" else f"panel {name} away",
                        role="tabpanel",
                        **aria(labelledby=f"tab-{name}"),
                    )
                    for name, content in panels.items()
                ]
            ),
        ],
        className="explorer",
    )


def _head(where: str) -> html.Header:
    return html.Header(
        [
            html.H1("Explorer", title=where),
            _choice("sweep", "Sweep", clearable=False),
            _choice("trial", "Trial", clearable=False),
            _choice("beside", "Beside it", clearable=True, placeholder="no other"),
            html.Button(
                "Refresh", id="refresh", title="Read again which trials are recorded by now"
            ),
        ]
    )


def _choice(name: str, title: str, **options: Any) -> html.Div:
    dropdown = dcc.Dropdown(
        id=name, options=[], optionHeight="auto", maxHeight=420, className="choice", **options
    )
    return html.Div([html.Label(title, htmlFor=name), dropdown], className=f"chooser {name}")


def _draw() -> list[Any]:
    return [
        pad(),
        html.Div(
            [
                html.Div(
                    [
                        html.Div(id="seen", className="seen"),
                        html.Div(id="answer", className="answer", **aria(live="polite")),
                    ],
                    className="top",
                ),
                html.Div(id="bars"),
                html.H2("Nearest training digits, by Euclidean distance of their pixels"),
                html.Div(id="nearest", className="nearest"),
                html.Div(id="answered"),
            ],
            className="beside-pad",
        ),
    ]


def _batch() -> list[Any]:
    return [
        html.Div(
            [
                html.P("Drop PNG or JPEG pictures of one digit each here, or a zip of them"),
                html.Div(
                    [
                        html.Button("Files …", id="batch-files"),
                        html.Button("Folder …", id="batch-folder"),
                        html.Label("or a folder's path on this machine", htmlFor="batch-path"),
                        dcc.Input(id="batch-path", type="text", placeholder="/home/…/digits"),
                        html.Button("Read", id="batch-read"),
                    ],
                    className="buttons",
                ),
            ],
            id="batch-drop",
            className="drop",
        ),
        html.Div(
            [
                html.P("", id="batch-note", className="note", role="status"),
                html.Button("Clear", id="batch-clear"),
                html.Button("Download CSV", id="batch-csv", disabled=True),
            ],
            className="batch-bar",
        ),
        html.Div(id="batch-table", className="batch-table"),
        dcc.Store(id="batch-rows", data=[]),
        dcc.Store(id="batch-order", data={"column": "file", "falling": False}),
        dcc.Store(id="batch-arrived"),
        dcc.Download(id="batch-download"),
    ]


def add_callbacks(app: Dash, session: Session) -> None:
    """Join the elements of `layout.page` to the functions that answer them."""
    _add_choices(app, session)
    _add_answers(app, session)
    _add_batch(app, session)
    _add_table(app)
    _add_shell(app)


def _add_choices(app: Dash, session: Session) -> None:
    @app.callback(
        Output("sweep", "options"),
        Output("sweep", "value"),
        Output("trial", "options"),
        Output("trial", "value"),
        Output("beside", "options"),
        Output("beside", "value"),
        Output("trouble", "children"),
        Input("address", "search"),
        Input("refresh", "n_clicks"),
        Input("sweep", "value"),
        State("trial", "value"),
        State("beside", "value"),
    )
    def choose(
        search: str | None, _: int | None, sweep: str | None, trial: str | None, beside: str | None
    ) -> tuple[Any, ...]:
        changed = {one["prop_id"] for one in ctx.triggered}
        if changed == {"sweep.value"}:  # trials have numbers in every sweep: another one's differ
            wished = Choice(sweep, None, None)
        elif "refresh.n_clicks" in changed:
            wished = Choice(sweep, trial, beside)
        else:
            wished = linked(search)
        try:
            choices = session.choices(wished)
        except ValueError as error:
            return (*[no_update] * 6, message(str(error)))
        trials, chosen = _options(choices.trials), choices.chosen
        trouble = [message(choices.trouble)] if choices.trouble else []
        sweeps = list(choices.sweeps)
        return sweeps, chosen.sweep, trials, chosen.trial, trials, chosen.beside, trouble


def linked(search: str | None) -> Choice:
    """Return the choice in the query of a link."""
    query = parse_qs((search or "").removeprefix("?"))
    sweep, trial, beside = (query.get(name, [None])[0] for name in ("sweep", "trial", "beside"))
    return Choice(sweep, trial, beside)


def _options(trials: Sequence[TrialChoice]) -> list[dict[str, str]]:
    return [
        {"value": one.key, "label": one.label if one.answers else f"{one.label} (no weights)"}
        for one in trials
    ]


def _add_answers(app: Dash, session: Session) -> None:
    @app.callback(
        Output("seen", "children"),
        Output("answer", "children"),
        Output("bars", "children"),
        Output("nearest", "children"),
        Output("answered", "data-serial"),
        Input("drawing", "data"),
        Input("trial", "value"),
        Input("beside", "value"),
        State("sweep", "value"),
    )
    def answer(
        drawing: Mapping[str, Any] | None, trial: str | None, beside: str | None, sweep: str | None
    ) -> tuple[Any, ...]:
        serial = str((drawing or {}).get("serial", 0))
        if sweep is None:
            raise PreventUpdate
        try:
            reply = session.reply(Choice(sweep, trial, beside), drawing)
        except ValueError as error:
            return [], message(str(error)), [], [], serial
        if reply.first is None:
            hint = html.Div("Draw a digit: the answer comes while you draw.", className="hint")
            empty = bars(None, None, reply.class_names)
            return seen_view(reply.image), [hint], empty, [], serial
        beside_answer = reply.beside[0] if reply.beside else None
        return (
            seen_view(reply.image),
            answer_view(reply),
            bars(reply.first, beside_answer, reply.class_names),
            nearest_view(reply.neighbours),
            serial,
        )


def _add_batch(app: Dash, session: Session) -> None:
    @app.callback(
        Output("batch-rows", "data"),
        Output("batch-note", "children"),
        Input("batch-read", "n_clicks"),
        Input("batch-clear", "n_clicks"),
        Input("batch-arrived", "data"),
        State("batch-path", "value"),
        State("batch-rows", "data"),
        State("sweep", "value"),
        State("trial", "value"),
        prevent_initial_call=True,
    )
    def read(
        _: int | None, __: int | None, arrived: list[Any] | None, path: str | None,
        rows: list[Any], sweep: str | None, trial: str | None,
    ) -> tuple[Any, Any]:  # fmt: skip
        if ctx.triggered_id == "batch-clear":
            return [], ""
        if ctx.triggered_id == "batch-arrived":
            return [*rows, *(arrived or [])], no_update
        folder = Path((path or "").strip()).expanduser()
        try:
            asked = session.chosen(Choice(sweep, trial, None))
            found = read_rows(asked, from_folder(folder))
        except ValueError as error:
            return no_update, str(error)
        return [*rows, *(row.to_dict() for row in found)], ""


def _add_table(app: Dash) -> None:
    @app.callback(
        Output("batch-order", "data"),
        Input({"type": "sort", "column": ALL}, "n_clicks"),
        State("batch-order", "data"),
        prevent_initial_call=True,
    )
    def order(_: list[int | None], now: Mapping[str, Any]) -> dict[str, Any]:
        if not any(one["value"] for one in ctx.triggered):  # headings that are there anew
            raise PreventUpdate
        column = ctx.triggered_id["column"]
        return {"column": column, "falling": now["column"] == column and not now["falling"]}

    @app.callback(
        Output("batch-table", "children"),
        Output("batch-csv", "disabled"),
        Output("batch-clear", "disabled"),
        Input("batch-rows", "data"),
        Input("batch-order", "data"),
    )
    def draw(rows: list[Mapping[str, Any]], by: Mapping[str, Any]) -> tuple[Any, bool, bool]:
        if not rows:
            return html.P("A row for each file will stand here.", className="hint"), True, True
        shown = sorted_rows(rows, by["column"], falling=by["falling"])
        return table(shown, by["column"], falling=by["falling"]), False, False

    @app.callback(
        Output("batch-download", "data"),
        Input("batch-csv", "n_clicks"),
        State("batch-rows", "data"),
        State("batch-order", "data"),
        prevent_initial_call=True,
    )
    def download(_: int | None, rows: list[Mapping[str, Any]], by: Mapping[str, Any]) -> Any:
        shown = sorted_rows(rows, by["column"], falling=by["falling"])
        return {"content": to_csv(shown), "filename": "digits.csv", "type": "text/csv"}


def _add_shell(app: Dash) -> None:
    """Register the callbacks that run in the browser alone: see assets/."""
    shell = "explorer"
    join: Callable[..., None] = app.clientside_callback
    join(
        ClientsideFunction(shell, "chooseTab"),
        Output("tab", "data"),
        *[Input(f"tab-{name}", "n_clicks") for name in TABS],
        Input("address", "search"),
    )
    join(
        ClientsideFunction(shell, "showTab"),
        *[Output(f"panel-{name}", "className") for name in TABS],
        *[Output(f"tab-{name}", "aria-selected") for name in TABS],
        *[Output(f"frame-{name}", "src") for name in TOOLS],
        Input("tab", "data"),
        Input("trial", "value"),
        Input("beside", "value"),
        State("sweep", "value"),
        *[State(f"frame-{name}", "src") for name in TOOLS],
    )
    join(ClientsideFunction(shell, "start"), Output("started", "data"), Input("started", "id"))


PLOTLY_ADDRESS: Final = "/plotly"
POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    # Dash and the tools have scripts in their pages; WebGL charts compile theirs.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:; "
    "frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
"""Content policy of every page: it loads nothing that does not come from this server."""


def make_app(session: Session, port: int, token: str) -> flask.Flask:
    """Return the application.

    Args:
        session: Answers the page's questions.
        port: Port of 127.0.0.1 on which it will be served; requests to other names are refused.
        token: Secret that every request needs, since other users of this machine reach the port as
            well. Given once in an address (`?token=`), it stays in the browser as a cookie.
    """
    server = flask.Flask("digitexp.apps.explorer", static_folder=None)
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    _guard(server, port)
    _ask_for(token, server, port)
    _add_routes(server, session)
    app = Dash(
        "digitexp.apps.explorer",
        server=server,  # type: ignore[arg-type]  # "bool or a function", but a Flask as well
        title="digitexp explorer",
        update_title="",
        serve_locally=True,
        add_log_handler=False,
        enable_mcp=False,
    )
    where = session.recorded.where
    app.layout = lambda: page(where)
    add_callbacks(app, session)
    return server


def _guard(server: flask.Flask, port: int) -> None:
    """Answer only our own pages: a foreign page could reach us by a name that it rebinds."""
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
    """Answer only requests with the token, or with the cookie that its address leaves."""
    cookie = f"digitexp-explorer-{port}"  # browsers tell no ports of a host apart

    def is_right(given: str | None) -> bool:
        return hmac.compare_digest((given or "").encode(), token.encode())

    @server.before_request
    def refuse_strangers() -> flask.Response | None:
        request = flask.request
        if is_right(request.args.get("token")):
            rest = urlencode([(k, v) for k, v in request.args.items(multi=True) if k != "token"])
            # The redirect keeps the token out of bookmarks and of the list of visited pages.
            answer = flask.Response(status=302, headers={"Location": f"/?{rest}".rstrip("?")})
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return answer
        if is_right(request.cookies.get(cookie)):
            return None
        advice = "open the address that `digitexp explore` printed when it was started last"
        return _text(f"The token of this explorer is missing: {advice}.", 403)


def _add_routes(server: flask.Flask, session: Session) -> None:
    @server.get(f"{PLOTLY_ADDRESS}/<any({', '.join(map(repr, BUNDLES))}):bundle>")
    def plotly(bundle: str) -> flask.Response:
        response = flask.Response(_plotly(bundle), mimetype="text/javascript")
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response

    @server.get("/tools/<name>.html")
    def tool(name: str) -> flask.Response:
        if name not in TOOLS:
            return _text(f"no tool {name!r}: there are {', '.join(TOOLS)}", 404)
        try:
            text = _tool_page(session, name, _chosen())
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
            rows = read_rows(session.chosen(_chosen()), files)
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


def _tool_page(session: Session, name: str, chosen: Choice) -> str:
    """Return the page of a tool on the chosen trial.

    Raises:
        ValueError: There is no such trial, or the tool cannot show it.
    """
    from digitexp.pages.decision_regions import decision_regions_page
    from digitexp.pages.page import softmax_page, training_page

    trial = session.chosen(chosen).trial
    if name == "softmax":
        return softmax_page(trial, PLOTLY_ADDRESS)
    if name == "decision_regions":
        return decision_regions_page(trial, PLOTLY_ADDRESS)
    other = None
    if chosen.beside not in {None, chosen.trial}:
        other = session.chosen(Choice(chosen.sweep, chosen.beside, None)).trial
    return training_page(trial, other, PLOTLY_ADDRESS)


@cache
def _plotly(bundle: str) -> bytes:
    return plotly_script(bundle).encode()


def _apology(text: str) -> str:
    style = "body{font:16px system-ui,sans-serif;margin:3rem;color-scheme:light dark}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>nothing to show</title>'
        f"<style>:root{{color-scheme:light dark}}{style}</style><p>{escape(text)}</p></html>"
    )


def _text(text: str, status: int) -> flask.Response:
    return flask.Response(f"{text}\n", status, mimetype="text/plain")


ADDRESS: Final = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine only.

    Raises:
        ValueError: The port is taken or no port number; the message names a free one.
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
    """Serve a WSGI application until Ctrl-C or SIGTERM, and return then.

    Args:
        app: The WSGI application.
        listening: Socket of `listen`; it is closed in the end.
        announce: Called as soon as requests are answered.
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
    """Make SIGTERM and a closed terminal end the server as Ctrl-C does."""
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
