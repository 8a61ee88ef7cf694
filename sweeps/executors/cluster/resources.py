"""What a trial takes of a Dask worker, beside a thread: `GPU=0.5`; Dask counts, we say how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from sweeps.errors import UsageError

_ROUNDING: Final = 1e-9


def check_resources(resources: Mapping[str, object]) -> dict[str, float]:
    """Return amounts of resources as numbers.

    Raises:
        UsageError: One is no number above 0.
    """
    checked: dict[str, float] = {}
    for name, amount in resources.items():
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not is_number or not 0 < float(str(amount)) < math.inf:
            raise UsageError(f"--resources {name}={amount}: give a number above 0, such as GPU=0.5")
        checked[name] = float(str(amount))
    return checked


def in_words(resources: Mapping[str, float]) -> str:
    """Return `GPU=0.5,SSD=1`."""
    return ",".join(f"{name}={amount:g}" for name, amount in sorted(resources.items()))


def how_often(offered: Mapping[str, float], taken: Mapping[str, float]) -> list[int]:
    """Return how many times what is taken goes into what a worker offers, for each resource."""
    return [math.floor(offered.get(n, 0.0) / amount + _ROUNDING) for n, amount in taken.items()]
