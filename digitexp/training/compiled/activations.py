"""The activations of hidden layers as machine code: a loop over the sums of a layer for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from digitexp.activations import ALL
from digitexp.training.compiled.machine_code import inner

NUMBERS: Final = {name: number for number, name in enumerate(ALL)}
"""The number of each activation, as compiled code knows it."""


def _chosen(functions: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that has a loop for each activation, so that each is vectorised."""
    if len(functions) == 1:
        (function,) = functions

        @inner
        def own(_number: Any, sums: Any, bias: Any, slopes: Any) -> None:
            T = sums.dtype.type
            rows, columns = sums.shape
            for i in range(rows):
                for c in range(columns):
                    sums[i, c], slopes[i, c] = function(T, sums[i, c] + bias[c])

        return own
    half = len(functions) // 2
    lower, upper = _chosen(functions[:half]), _chosen(functions[half:])

    @inner
    def either(number: Any, sums: Any, bias: Any, slopes: Any) -> None:
        if number < half:
            lower(number, sums, bias, slopes)
        else:
            upper(number - half, sums, bias, slopes)

    return either


activate: Final = _chosen([inner(one.at) for one in ALL.values()])
"""(number, sums, bias, slopes): sums (rows, units) become activations, slopes are written."""
