"""What MLflow accepts, and how we stay inside it: allowed characters, lengths, batch sizes.

Limits: MLflow's REST API documentation (`runs/log-batch`) and `mlflow.utils.validation` 3.17.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

MAX_KEY_CHARACTERS: Final = 250
MAX_PARAM_CHARACTERS: Final = 6000
MAX_TAG_CHARACTERS: Final = 8000
MAX_METRICS_PER_BATCH: Final = 800
"""1000 entities (and 1000 metrics) fit a batch; the rest is for parameters and tags."""
MAX_PARAMS_PER_BATCH: Final = 100
MAX_TAGS_PER_BATCH: Final = 100

_MARK: Final = " ... [truncated]"
_Item = TypeVar("_Item")


def safe_key(key: str) -> str:
    """Return a key that MLflow accepts: other characters become `_`, too long ones are cut."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", key)[:MAX_KEY_CHARACTERS] or "_"
    # MLflow reads a key as a path and refuses one that could be written in another way.
    if posixpath.normpath(cleaned) != cleaned or cleaned[0] in "./":
        cleaned = re.sub(r"[/.]", "_", cleaned)
    return cleaned


def fit(values: Mapping[str, str], max_characters: int) -> tuple[dict[str, str], list[str]]:
    """Return the values with safe keys and cut to length, and the keys of those that were cut."""
    cut = [safe_key(key) for key, value in values.items() if len(value) > max_characters]
    return {safe_key(k): _truncate(v, max_characters) for k, v in values.items()}, cut


def is_finite(value: object) -> bool:
    """Whether a metric may be sent: MLflow stores NaN as 0 and infinity as 1.8e308."""
    return isinstance(value, int | float) and math.isfinite(value)


def chunks(items: Iterable[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Yield the items in groups of at most `size`."""
    rest = list(items)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


def _truncate(value: str, max_characters: int) -> str:
    if len(value) <= max_characters:
        return value
    return value[: max_characters - len(_MARK)] + _MARK
