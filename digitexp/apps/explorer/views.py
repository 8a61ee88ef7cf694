"""Answers and tables as elements of the page, and the pad to draw on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from dash import dcc, html
from numpy.typing import NDArray

from digitexp.apps.explorer.batch import COLUMNS
from digitexp.apps.explorer.session import Answer, Neighbour, Reply, png_address


def aria(**attributes: str) -> dict[str, Any]:
    """Return attributes for screen readers, such as `aria(label="the pad")`."""
    return {f"aria-{name}": text for name, text in attributes.items()}


def percent(probability: float) -> str:
    """Return a probability as people read it; it is never rounded to 0 or 100 per cent."""
    if 0.9995 <= probability < 1:
        return "> 99.9\u00a0%"
    if 0 < probability < 0.0005:
        return "< 0.1\u00a0%"
    return f"{100 * probability:.1f}\u00a0%"


def message(text: str) -> html.Div:
    """Return a message about something that could not be done."""
    return html.Div(text, className="message", role="alert")


def answer_view(reply: Reply) -> list[Any]:
    """Return the answer in large type with its probability, and that of the trial beside it."""
    answer = reply.first
    assert answer is not None
    likely = f"{answer.first} ({percent(answer.probability)})"
    doubt = f"unsure: {likely} or {answer.second} ({percent(answer.second_probability)})"
    unsure = "" if answer.is_sure else " unsure"
    lines = [
        html.Div(
            f"{percent(answer.probability)} sure" if answer.is_sure else doubt,
            className=f"how-sure{unsure}",
        ),
        html.Div([html.Span(className="key first"), reply.name], className="by"),
    ]
    if reply.beside is not None:
        lines.append(_other(*reply.beside, agrees=reply.beside[0].first == answer.first))
    elif reply.trouble:
        lines.append(html.Div(reply.trouble, className="by"))
    return [html.Div(answer.first, className=f"big{unsure}", id="said"), html.Div(lines)]


def _other(answer: Answer, name: str, *, agrees: bool) -> html.Div:
    said = f"{name}: {answer.first}, {percent(answer.probability)}"
    key = html.Span(className="key second")
    return html.Div([key, said], className="by" if agrees else "by differs")


def seen_view(image: NDArray[np.float32]) -> list[Any]:
    """Return the framed image, enlarged."""
    height, width = image.shape
    return [
        html.Img(
            src=png_address(image),
            className="pixels large",
            alt=f"the drawing as the network sees it, {height} by {width} pixels",
        ),
        html.Div(f"what the network sees, {width}×{height} pixels", className="caption"),
    ]


def bars(answer: Answer | None, beside: Answer | None, class_names: Sequence[str]) -> html.Div:
    """Return one row a class: a bar and a number for each answer's probability."""
    rows = []
    for number, name in enumerate(class_names):
        shown = [(one, kind) for one, kind in ((answer, "first"), (beside, "second")) if one]
        is_first = answer is not None and answer.order[0] == number
        rows.append(
            html.Div(
                [
                    html.Div(name, className="bar-name"),
                    html.Div(
                        [_bar(float(one.probabilities[number]), kind) for one, kind in shown]
                        or [_bar(0.0, "first")],
                        className="tracks",
                    ),
                    html.Div(
                        [html.Div(percent(float(one.probabilities[number]))) for one, _ in shown],
                        className="bar-number",
                    ),
                ],
                className="bar chosen" if is_first else "bar",
                role="row",
            )
        )
    return html.Div(rows, className="bars", role="table", **aria(label="probabilities"))


def _bar(probability: float, kind: str) -> html.Div:
    fill = html.Div(className=f"fill {kind}", style={"width": f"{100 * probability:.2f}%"})
    return html.Div(fill, className="track")


def nearest_view(neighbours: Sequence[Neighbour]) -> list[Any]:
    """Return the nearest training digits with their labels and distances."""
    return [
        html.Figure(
            [
                html.Img(
                    src=png_address(one.image),
                    className="pixels small",
                    alt=f"a training image of {one.class_name}",
                ),
                html.Figcaption([html.B(one.class_name), f" {one.distance:.1f}"]),
            ]
        )
        for one in neighbours
    ]


def table(rows: Sequence[Mapping[str, Any]], column: str, *, falling: bool) -> html.Table:
    """Return the table of a batch; its headings are buttons that sort."""
    heads = [_head(name, title, column, falling=falling) for name, title in COLUMNS.items()]
    body = [html.Tr(_cells(row), className="" if row["answer"] else "no-answer") for row in rows]
    return html.Table([html.Thead(html.Tr(heads)), html.Tbody(body)], className="table")


def _head(name: str, title: str, column: str, *, falling: bool) -> html.Th:
    if name == "picture":
        return html.Th(title, scope="col")
    order = ("descending" if falling else "ascending") if name == column else "none"
    arrow = {"none": "", "ascending": " ▲", "descending": " ▼"}[order]
    button = html.Button(title + arrow, id={"type": "sort", "column": name}, className="sort")
    return html.Th(button, scope="col", **aria(sort=order))


def _cells(row: Mapping[str, Any]) -> list[html.Td]:
    picture = (
        html.Img(src=row["picture"], className="pixels tiny", alt="as the network sees it")
        if row["picture"]
        else ""
    )
    sure, second = row["probability"], row["second_probability"]
    return [
        html.Td(row["file"], className="file"),
        html.Td(picture),
        html.Td(html.B(row["answer"])),
        html.Td("" if sure is None else percent(sure), className="number"),
        html.Td("" if second is None else f"{row['second']} ({percent(second)})"),
        html.Td(row["note"], className="said-note"),
        html.Td(row["trial"], className="said-note"),
    ]


SIDE: Final = 560
"""Pixels of the canvas; it is shown smaller, so that lines are sharp on any screen."""


def pad() -> html.Div:
    """Return the pad with its buttons; `assets/pad.js` brings it to life."""
    return html.Div(
        [
            html.Div(
                [
                    html.Canvas(
                        id="pad",
                        width=SIDE,
                        height=SIDE,
                        tabIndex=0,
                        role="img",
                        **aria(label="Pad: draw one digit; paste or drop a picture of one"),
                    ),
                    html.Div("draw a digit here", id="pad-hint", className="pad-hint"),
                ],
                className="pad-frame",
            ),
            html.Div(
                [
                    html.Button("Undo", id="pad-undo", title="Take back the last stroke (Ctrl+Z)"),
                    html.Button("Clear", id="pad-clear", title="Begin anew (Escape)"),
                    html.Button("Picture …", id="pad-choose", title="Choose a PNG or JPEG file"),
                    html.Span("or paste or drop one", className="hint"),
                ],
                className="buttons",
            ),
            html.P("", id="pad-note", className="note", role="status"),
            dcc.Store(id="drawing"),
        ],
        className="pad",
    )
