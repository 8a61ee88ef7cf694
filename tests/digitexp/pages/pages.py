"""What a page was given, read back from its text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np


def data_of(page: str) -> dict[str, Any]:
    """Return the global DATA of a page."""
    found = re.search(r"<script>const DATA = (.*);</script>", page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def unpacked(packed: Mapping[str, Any]) -> np.ndarray:
    """Return an array from what `pack` made of it."""
    raw = base64.b64decode(packed["bytes"])
    dtype = np.dtype(packed["dtype"]).newbyteorder("<")
    return np.frombuffer(raw, dtype).reshape(packed["shape"])


def without_plotly(page: str) -> str:
    """Return a page without plotly.js, whose text is not ours."""
    return re.sub(r"<script>/\* plotly.*?</script>", "", page, flags=re.DOTALL)
