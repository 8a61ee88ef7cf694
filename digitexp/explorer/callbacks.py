"""What happens on the page when something is chosen, drawn or dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from digitexp.explorer.batch import from_folder, read_rows, sorted_rows, to_csv
from digitexp.explorer.desk import Choice, Desk
from digitexp.explorer.layout import TABS, TOOLS
from digitexp.explorer.recorded import TrialChoice
from digitexp.explorer.views import answer_view, bars, message, nearest_view, seen_view, table

__all__ = ["add_callbacks"]


def add_callbacks(app: Dash, desk: Desk) -> None:
    """Join the elements of `layout.page` to what answers them."""
    _add_choices(app, desk)
    _add_answers(app, desk)
    _add_batch(app, desk)
    _add_table(app)
    _add_shell(app)


def _add_choices(app: Dash, desk: Desk) -> None:
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
            choices = desk.choices(wished)
        except ValueError as error:
            return (*[no_update] * 6, message(str(error)))
        trials, chosen = _options(choices.trials), choices.chosen
        trouble = [message(choices.trouble)] if choices.trouble else []
        sweeps = list(choices.sweeps)
        return sweeps, chosen.sweep, trials, chosen.trial, trials, chosen.beside, trouble


def linked(search: str | None) -> Choice:
    """Return what the query of a link chooses."""
    query = parse_qs((search or "").removeprefix("?"))
    sweep, trial, beside = (query.get(name, [None])[0] for name in ("sweep", "trial", "beside"))
    return Choice(sweep, trial, beside)


def _options(trials: Sequence[TrialChoice]) -> list[dict[str, str]]:
    return [
        {"value": one.key, "label": one.label if one.answers else f"{one.label} (no weights)"}
        for one in trials
    ]


def _add_answers(app: Dash, desk: Desk) -> None:
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
            reply = desk.reply(Choice(sweep, trial, beside), drawing)
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


def _add_batch(app: Dash, desk: Desk) -> None:
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
            asked = desk.chosen(Choice(sweep, trial, None))
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
    """Join what happens in the browser alone: see assets/."""
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
