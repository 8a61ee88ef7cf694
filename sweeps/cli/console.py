"""Where commands print: a terminal, a file, or a pipe whose reader may go away."""

from __future__ import annotations

import io
import os
import sys
import warnings
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from sweeps.cli.options import pasteable
from sweeps.records import DamagedRecordWarning

# Opening a page in the reader's browser, where there is a reader with a screen.


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


def open_streams() -> None:
    """Make stdin, stdout and stderr usable whatever the caller closed or cannot encode."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def complain(line: str) -> None:
    """Say one thing that is wrong, and go on."""
    print(pasteable(line), file=sys.stderr)


@contextmanager
def complaining_of_damage() -> Iterator[None]:
    """Say of each damaged file that is left out which one it is, once; in any thread."""
    said = set[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("always", DamagedRecordWarning)
        show = warnings.showwarning

        def hear(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if not issubclass(category, DamagedRecordWarning):
                show(message, category, *rest, **named)
            elif str(message) not in said:
                said.add(str(message))
                complain(str(message))

        warnings.showwarning = hear
        yield


class Terminal(Console):
    """A rich console on stdout; once the reader has gone (`| head`), it says no more."""

    def on_broken_pipe(self) -> None:
        """Go on without a reader; rich would end the process with exit code 1."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
