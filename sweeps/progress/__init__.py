"""Shows a person or a script the progress of a running sweep: live, as lines, or not at all.

`make_progress` chooses the display. All displays follow one protocol, `Progress`.
"""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO, get_args

from sweeps.progress.protocol import Progress

__all__ = ["Mode", "Progress", "make_progress"]

Mode = Literal["auto", "plain", "verbose", "json", "quiet"]


def make_progress(mode: Mode | Progress) -> Progress:
    """Return the display of a sweep's progress.

    Args:
        mode: `auto` (a bar in a notebook, a live display if stderr is a terminal, else as `plain`),
            `plain` (lines on stderr: new bests, failures, now and then how far the sweep is),
            `verbose` (one line per trial on stderr), `json` (one object per event on stdout) or
            `quiet` (failures only, on stderr). A display is returned as it is.

    Raises:
        ValueError: Another mode was given.
    """
    if not isinstance(mode, str):
        return mode
    if mode not in get_args(Mode):
        raise ValueError(f"progress mode {mode!r} is none of {', '.join(get_args(Mode))}")
    if mode == "json":
        from sweeps.progress.lines import JsonLines

        return JsonLines(sys.stdout)
    if mode == "quiet":
        from sweeps.progress.lines import Quiet

        return Quiet(sys.stderr)
    if mode == "auto" and _in_notebook():
        from sweeps.progress.notebook import NotebookDisplay

        return NotebookDisplay()
    if mode == "auto" and _can_redraw(sys.stderr):
        from sweeps.progress.live import LiveDisplay

        return LiveDisplay(sys.stderr)
    from sweeps.progress.lines import PlainLines

    return PlainLines(sys.stderr, verbose=mode == "verbose")


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _can_redraw(stream: TextIO) -> bool:
    """Whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}
