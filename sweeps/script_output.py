"""What a script prints while it trains: a JSON line an epoch, and one with its result."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from sweeps.experiment import OnEpoch, Stop


def listen(
    lines: Iterable[str] | None, on_epoch: OnEpoch
) -> tuple[dict[str, list[float]], dict[str, float] | None, Stop | None]:
    """Take what a script says until it ends or is told to stop: history, result, verdict.

    Raises:
        RuntimeError: A line of JSON has something other than numbers, or other names than before.
    """
    history: dict[str, list[float]] = {}
    metrics: dict[str, float] | None = None
    count = 0
    for line in lines or ():
        said = _object(line)
        if "result" in said:
            metrics = _numbers(said["result"], line)
        elif "epoch" in said:
            values = _numbers({k: v for k, v in said.items() if k != "epoch"}, line)
            if count and values.keys() != history.keys():
                raise RuntimeError(
                    f"epoch {count + 1} has {', '.join(values)}, those before {', '.join(history)}"
                )
            for name, value in values.items():
                known = value if math.isfinite(value) else math.nan
                history.setdefault(name, []).append(known)
            stop = on_epoch(count, values)
            count += 1
            if stop is not None:
                return history, metrics, stop
    return history, metrics, None


def _object(line: str) -> dict[str, Any]:
    """Return the JSON object of a line, an empty one if it is anything else."""
    if not line.lstrip().startswith("{"):
        return {}
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _numbers(values: Any, line: str) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (AttributeError, TypeError, ValueError):
        raise RuntimeError(f"not a number for each name: {line.strip()[:200]}") from None
