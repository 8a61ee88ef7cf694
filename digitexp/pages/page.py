"""Renders a tool as one HTML page that needs nothing else: styles, scripts, plotly.js inside.

plotly.js comes with the traces that a page draws and no others (`.ci/build-plotly.mjs`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

__all__ = ["BUNDLES", "bundle_of", "pack", "plotly_script", "render"]

_HERE: Final = Path(__file__).parent
BUNDLES: Final = ("plotly.min.js", "plotly-3d.min.js")
"""plotly.js with what is drawn on two axes; with what is drawn on three."""
PACKED: Final = ("uint8", "uint16", "int16", "int32", "float32")


def render(tool: str, title: str, data: Mapping[str, Any], plotly: str | None = None) -> str:
    """Return the page of a tool.

    Args:
        tool: Name of the tool's files beside this one. `<tool>.html` is a Jinja2 template of the
            page's content, which sees `data` and escapes text. `<tool>.js` finds the same data as
            the global `DATA`, after `common.js`. `<tool>.css` need not be there.
        title: Heading of the page.
        data: JSON-compatible; arrays by `pack`. NaN and infinity become null.
        plotly: Address of a folder with `BUNDLES` on the server that serves the page; None:
            plotly.js is inside.
    """
    bundle = bundle_of(tool)
    loader = jinja2.FileSystemLoader(_HERE)
    undefined = jinja2.StrictUndefined
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=undefined)
    return environment.get_template("page.html").render(
        tool=tool,
        title=title,
        data=data,
        json=_script_json(data),
        style="".join(_read(n) for n in ("page.css", f"{tool}.css") if (_HERE / n).exists()),
        scripts=[_read("common.js"), _read(f"{tool}.js")],
        plotly=plotly_script(bundle) if plotly is None else None,
        plotly_address=plotly and f"{plotly}/{bundle}",
    )


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as `common.js` unpacks it: dtype, shape, and its bytes as base64.

    Args:
        array: Of one of the dtypes `PACKED`; written little-endian.
    """
    dtype = array.dtype.name
    if dtype not in PACKED:
        raise ValueError(f"no array of {dtype} is packed; give one of {', '.join(PACKED)}")
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "bytes": base64.b64encode(raw).decode()}


def bundle_of(tool: str) -> str:
    """Return the bundle that a tool's charts need."""
    return BUNDLES[tool == "decision_regions"]


# sweeps/render/page does the same for reports; pages of a trial may not import it.
def plotly_script(bundle: str) -> str:
    """Return plotly.js, one of `BUNDLES`, as a script element takes it."""
    return _read(bundle).replace("</script", "<\\/script")


def _script_json(value: Any) -> str:
    """Return JSON that cannot end the script it stands in."""
    return json.dumps(_finite(value), separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return value
