"""What an experiment returns becomes plain, storable values, or its trial fails."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, get_args, get_type_hints

import numpy as np

from sweeps.experiment import TrialResult
from sweeps.records.bounds import MOST_PARSED, is_too_much
from sweeps.records.documents import json_bytes

LONGEST_NAME: Final = 200
LONGEST_TEXT: Final = 1 << 20
LARGEST_INFO: Final = 64 << 20
DEEPEST_INFO: Final = 50
"""Characters of a name and of a text, bytes and levels of `info`."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OUTCOMES = get_args(get_type_hints(TrialResult)["outcome"])


def checked(result: Any) -> TrialResult:
    """Return an experiment's result with NumPy numbers made Python's.

    Raises:
        TypeError: It is no `TrialResult`, or a part of it cannot be stored.
        ValueError: Its outcome is none of the known ones.
    """
    if not isinstance(result, TrialResult):
        raise TypeError(f"the experiment returned {type(result).__name__}, not a TrialResult")
    if result.outcome not in _OUTCOMES:
        raise ValueError(f"the experiment's outcome {result.outcome!r} is none of {_OUTCOMES}")
    # Not `replace`: a class of the user's own need not exist where the result goes.
    kept = TrialResult(
        outcome=result.outcome,
        stop_reason=text(result.stop_reason),
        metrics={_name(k): _number(v, f"metric {k!r}") for k, v in result.metrics.items()},
        history={
            _name(k): [_number(v, f"history of {k!r}") for v in values]
            for k, values in result.history.items()
        },
        timings={_name(k): _number(v, f"timing {k!r}") for k, v in result.timings.items()},
        arrays=_arrays(result.arrays, "array"),
        weights=None if result.weights is None else _arrays(result.weights, "weight"),
        info=_info(result.info),
        summary=text(result.summary),
        engine=text(result.engine),
    )
    if is_too_much(json_bytes([kept.metrics, kept.history, kept.info]), MOST_PARSED // 4 * 3):
        raise ValueError(
            f"the experiment returned more metrics, history and info than {MOST_PARSED >> 20} MB "
            "hold; keep what is large in `arrays`"
        )
    return kept


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a value as text that can be stored and shown.

    Half a surrogate pair, as Python makes of a file name that is no UTF-8, is spelt out.
    """
    try:
        said = str(value)
    except Exception as error:  # what an experiment raises and returns is its own
        said = f"<{type(value).__name__} that cannot be said: {type(error).__name__}>"
    shown = said.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= longest else f"{shown[:longest]} [cut]"


def _name(value: object) -> str:
    name = text(value, LONGEST_NAME + 1)
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"the experiment returned something named {name!r}; a name is 1 to {LONGEST_NAME} "
            "characters that can be printed"
        )
    return name


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"the experiment returned {value!r} as {what}, not a number") from None


def _arrays(arrays: Mapping[str, Any], what: str) -> dict[str, np.ndarray]:
    found = {_name(name): np.asarray(array) for name, array in arrays.items()}
    for name, array in found.items():
        if array.dtype.hasobject:
            raise TypeError(f"the experiment returned {what} {name!r} of Python objects")
        if name.endswith(".npy"):
            raise ValueError(f"the experiment returned {what} {name!r}: leave out its ending .npy")
    return found


def _info(info: Mapping[str, Any]) -> dict[str, Any]:
    too_deep = f"the experiment returned info of more than {DEEPEST_INFO} levels"
    try:
        said = json.dumps(dict(info), default=_plain, ensure_ascii=False)
    except RecursionError:
        raise ValueError(too_deep) from None
    stored = _SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", said)
    if len(stored.encode()) > LARGEST_INFO:
        raise ValueError(f"the experiment returned info of more than {LARGEST_INFO >> 20} MiB")
    found: dict[str, Any] = json.loads(stored)
    level: list[Any] = [found]
    for _ in range(DEEPEST_INFO):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise ValueError(too_deep)
    return found


def _plain(value: Any) -> Any:
    """Say what JSON does not know: NumPy's numbers and arrays; anything else is refused."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"the experiment returned {value!r} in info, which JSON cannot hold")
