"""What an experiment returns becomes plain, storable values, or its trial fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import numpy as np

from sweeps.experiment import TrialResult

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
    return dataclasses.replace(
        result,
        stop_reason=str(result.stop_reason),
        metrics={str(k): _number(v, f"metric {k!r}") for k, v in result.metrics.items()},
        history={
            str(k): [_number(v, f"history of {k!r}") for v in values]
            for k, values in result.history.items()
        },
        timings={str(k): _number(v, f"timing {k!r}") for k, v in result.timings.items()},
        arrays=_arrays(result.arrays, "array"),
        weights=None if result.weights is None else _arrays(result.weights, "weight"),
        info=json.loads(json.dumps(dict(result.info), default=_plain)),
        summary=str(result.summary),
        engine=str(result.engine),
    )


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"the experiment returned {value!r} as {what}, not a number") from None


def _arrays(arrays: Mapping[str, Any], what: str) -> dict[str, np.ndarray]:
    found = {str(name): np.asarray(array) for name, array in arrays.items()}
    for name, array in found.items():
        if array.dtype.hasobject:
            raise TypeError(f"the experiment returned {what} {name!r} of Python objects")
    return found


def _plain(value: Any) -> Any:
    """Say what JSON does not know: NumPy's numbers and arrays; anything else is refused."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"the experiment returned {value!r} in info, which JSON cannot hold")
