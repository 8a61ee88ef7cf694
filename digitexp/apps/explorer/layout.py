"""The page: a head with the choices, five tabs, and the panel of each tab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dash import dcc, html

from digitexp.apps.explorer.views import aria, pad

__all__ = ["TABS", "TOOLS", "page"]

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
        **{name: _tool(name) for name in TOOLS},
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


def _tool(name: str) -> html.Iframe:
    return html.Iframe(id=f"frame-{name}", title=TABS[name], className="tool")
