"""Opening a page in the reader's browser, where there is a reader with a screen."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Annotated

import typer

BrowserOption = Annotated[
    bool | None,
    typer.Option(
        "--browser/--no-browser",
        help="Open the page in a browser (default: in a terminal on a machine with a screen).",
    ),
]


def wants_browser(asked: bool | None) -> bool:
    """Return what was asked for; else whether somebody looks at a terminal beside a screen."""
    if asked is not None:
        return asked
    has_screen = sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return has_screen and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


def open_page(address: str) -> None:
    """Open a page; a browser that is not there is no reason to stop."""
    webbrowser.open(address)
