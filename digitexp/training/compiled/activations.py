"""The activations of hidden layers: value and slope of each at a sum z, in plain arithmetic.

To add one, write its function here, and its name in `digitexp.parameters.ACTIVATIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from digitexp.training.compiled.machine_code import inner

_SLOPE: Final = float(np.float32(0.2))
_ROOT_HALF: Final = float(np.float32(math.sqrt(0.5)))
"""These two are rounded in TensorFlow also where all else has 64 bits."""

ACTIVATIONS: Final[dict[str, Callable[..., Any]]] = {}
"""By Keras's names: (T, z) -> value and slope; T is NumPy's type of the weights, and of all numbers
in the function, for a Python float would make it twice as long. The value at NaN is NaN."""


def activation(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile an activation, under its name."""
    found = ACTIVATIONS[function.__name__] = inner(function)
    return found


@activation
def linear(T: Any, z: Any) -> Any:
    return z, T(1)


@activation
def relu(T: Any, z: Any) -> Any:
    slope = T(1) if z > T(0) else T(0)
    return z * slope, slope


@activation
def leaky_relu(T: Any, z: Any) -> Any:
    slope = T(1) if z > T(0) else T(_SLOPE)
    return z * slope, slope


@activation
def elu(T: Any, z: Any) -> Any:
    low = T(math.exp(min(z, T(0))))
    return (z, T(1)) if z > T(0) else (low - T(1), low)


@activation
def selu(T: Any, z: Any) -> Any:
    scale, alpha = T(1.0507009873554804), T(1.6732632423543772)
    low = scale * alpha * T(math.exp(min(z, T(0))))
    return (scale * z, scale) if z > T(0) else (low - scale * alpha, low)


@activation
def gelu(T: Any, z: Any) -> Any:
    """Return z Phi(z); the slope is Phi(z) + z phi(z), of the standard normal law."""
    root = T(_ROOT_HALF) * z
    share = T(0.5) * T(math.erfc(-root))
    density = T(_ROOT_HALF / math.sqrt(math.pi)) * T(math.exp(-root * root))
    return z * share, share + z * density


@activation
def silu(T: Any, z: Any) -> Any:
    share = T(1) / (T(1) + T(math.exp(-z)))
    return z * share, share + z * share * (T(1) - share)


@activation
def tanh(T: Any, z: Any) -> Any:
    value = T(math.tanh(z))
    return value, T(1) - value * value


@activation
def sigmoid(T: Any, z: Any) -> Any:
    value = T(1) / (T(1) + T(math.exp(-z)))
    return value, value * (T(1) - value)


NUMBERS: Final = {name: number for number, name in enumerate(ACTIVATIONS)}
"""The number of each activation, as compiled code knows it."""


def _chosen(functions: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that has a loop for each activation, so that each is vectorised."""
    first, *others = functions

    @inner
    def own(sums: Any, bias: Any, slopes: Any) -> None:
        T = sums.dtype.type
        rows, columns = sums.shape
        for i in range(rows):
            for c in range(columns):
                sums[i, c], slopes[i, c] = first(T, sums[i, c] + bias[c])

    if not others:

        @inner
        def last(_number: Any, sums: Any, bias: Any, slopes: Any) -> None:
            own(sums, bias, slopes)

        return last
    rest = _chosen(others)

    @inner
    def either(number: Any, sums: Any, bias: Any, slopes: Any) -> None:
        if number == 0:
            own(sums, bias, slopes)
        else:
            rest(number - 1, sums, bias, slopes)

    return either


activate: Final = _chosen(list(ACTIVATIONS.values()))
"""(number, sums, bias, slopes): sums (rows, units) become activations, slopes are written."""
