"""The matplotlib style of the preview, and figures without pyplot.

pyplot keeps every figure and picks a window system; a Figure with an Agg canvas does neither.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure", "png", "styled"]


def styled() -> AbstractContextManager[None]:
    """Apply the project's style inside a `with`; draw and render inside it as well."""
    import matplotlib

    return matplotlib.rc_context(_style())


@lru_cache(maxsize=1)
def _style() -> Any:
    import matplotlib

    path = Path(__file__).with_name("digitexp.mplstyle")
    return matplotlib.rc_params_from_file(path, use_default_template=False)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure with an Agg canvas; sizes in inches at 130 dots per inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Render a figure; the same picture gives the same bytes with the same matplotlib."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
