"""The drawing pad: its elements on the page, and what its script sends -> a framed image."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from dash import dcc, html
from numpy.typing import NDArray

from digitexp.data.framing import Framing
from digitexp.explorer.pictures import PictureError, read_ink
from digitexp.explorer.views import aria

__all__ = ["framed", "pad"]

MOST_POINTS: Final = 50_000
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


def framed(drawing: Mapping[str, Any] | None, framing: Framing) -> NDArray[np.float32]:
    """Return what was drawn as the training images are framed, (h, w) in [0, 1].

    Args:
        drawing: `strokes`, lists of [x, y], and `picture`, a `data:` address, or None.
        framing: Of the training images.

    Raises:
        ValueError: It is no drawing, or the picture cannot be read.
    """
    if not drawing:
        return framing.strokes([])
    picture = drawing.get("picture")
    if picture:
        return framing.picture(read_ink(_content(picture)))
    return framing.strokes(_strokes(drawing.get("strokes")))


def _content(address: Any) -> bytes:
    head, comma, body = str(address).partition(",")
    try:
        if not (head.startswith("data:") and head.endswith(";base64") and comma):
            raise PictureError("no picture: no data address")
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise PictureError("no picture: its data address is damaged") from None


def _strokes(sent: Any) -> list[list[tuple[float, float]]]:
    try:
        strokes = [[(float(x), float(y)) for x, y in stroke] for stroke in sent or []]
    except (TypeError, ValueError):
        raise ValueError("strokes are lists of points [x, y]") from None
    points = [number for stroke in strokes for point in stroke for number in point]
    if len(points) > 2 * MOST_POINTS:
        raise ValueError(f"{len(points) // 2} points: at most {MOST_POINTS} are drawn")
    if not all(math.isfinite(number) and abs(number) < 1e6 for number in points):
        raise ValueError("points of strokes are finite numbers, nearer than 1e6")
    return [stroke for stroke in strokes if stroke]
