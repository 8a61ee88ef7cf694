"""The activations of hidden layers, by Keras's names and with Keras's defaults.

To add one, write it here, as a function with its name in `keras.activations`: value and slope at a
number, in plain arithmetic, which becomes machine code; its values of an array, and the same in
JavaScript, for pages; and its nature, by which the checklist advises. Tests:
`tests/digitexp/test_activations.py`, which has its definition and its limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

_SLOPE: Final = float(np.float32(0.2))
_ROOT_HALF: Final = float(np.float32(math.sqrt(0.5)))
"""These two are rounded in TensorFlow also where all else has 64 bits."""


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes:
        at: (T, z) -> value and slope; T is NumPy's type of the weights, and of all numbers in the
            function, for a Python float would make it twice as long. The value at NaN is NaN.
        values: float32 array -> its values, float32.
        javascript: A function of one number.
        nature: `like_relu`: He's initial weights keep the size of signals (He et al. 2015);
            `saturates`: the slope goes to 0 at both ends.
    """

    at: Callable[[Any, Any], tuple[Any, Any]]
    values: Callable[[np.ndarray], np.ndarray]
    javascript: str
    nature: Literal["like_relu", "saturates", ""]


ALL: Final[dict[str, Activation]] = {}


def _activation(
    values: Callable[[np.ndarray], np.ndarray],
    javascript: str,
    nature: Literal["like_relu", "saturates", ""] = "",
) -> Callable[[Callable[[Any, Any], tuple[Any, Any]]], Callable[[Any, Any], tuple[Any, Any]]]:
    def add(at: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any], tuple[Any, Any]]:
        ALL[at.__name__] = Activation(at, values, javascript, nature)
        return at

    return add


def _elu(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.reciprocal(1 + np.exp(-z)))


def _gelu(z: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return np.asarray(z * (1 + erf(z / np.float32(math.sqrt(2)))) / 2)


@_activation(lambda z: z, "(z) => z")
def linear(T: Any, z: Any) -> Any:
    return z, T(1)


@_activation(lambda z: np.maximum(z, 0), "(z) => (z > 0 ? z : 0)", "like_relu")
def relu(T: Any, z: Any) -> Any:
    slope = T(1) if z > T(0) else T(0)
    return z * slope, slope


@_activation(
    lambda z: np.where(z > 0, z, np.float32(0.2) * z), "(z) => (z > 0 ? z : 0.2 * z)", "like_relu"
)
def leaky_relu(T: Any, z: Any) -> Any:
    slope = T(1) if z > T(0) else T(_SLOPE)
    return z * slope, slope


@_activation(_elu, "(z) => (z > 0 ? z : Math.expm1(z))", "like_relu")
def elu(T: Any, z: Any) -> Any:
    low = T(math.exp(min(z, T(0))))
    return (z, T(1)) if z > T(0) else (low - T(1), low)


@_activation(
    lambda z: np.float32(1.05070098) * np.where(z > 0, z, np.float32(1.67326324) * _elu(z)),
    "(z) => 1.05070098 * (z > 0 ? z : 1.67326324 * Math.expm1(z))",
)
def selu(T: Any, z: Any) -> Any:
    scale, alpha = T(1.0507009873554804), T(1.6732632423543772)
    low = scale * alpha * T(math.exp(min(z, T(0))))
    return (scale * z, scale) if z > T(0) else (low - scale * alpha, low)


@_activation(_gelu, "(z) => (z * (1 + erf(z / Math.SQRT2))) / 2", "like_relu")
def gelu(T: Any, z: Any) -> Any:
    """Return z Phi(z); the slope is Phi(z) + z phi(z), of the standard normal law."""
    root = T(_ROOT_HALF) * z
    share = T(0.5) * T(math.erfc(-root))
    density = T(_ROOT_HALF / math.sqrt(math.pi)) * T(math.exp(-root * root))
    return z * share, share + z * density


@_activation(lambda z: z * _sigmoid(z), "(z) => z / (1 + Math.exp(-z))", "like_relu")
def silu(T: Any, z: Any) -> Any:
    share = T(1) / (T(1) + T(math.exp(-z)))
    return z * share, share + z * share * (T(1) - share)


@_activation(np.tanh, "Math.tanh", "saturates")
def tanh(T: Any, z: Any) -> Any:
    value = T(math.tanh(z))
    return value, T(1) - value * value


@_activation(_sigmoid, "(z) => 1 / (1 + Math.exp(-z))", "saturates")
def sigmoid(T: Any, z: Any) -> Any:
    value = T(1) / (T(1) + T(math.exp(-z)))
    return value, value * (T(1) - value)


ACTIVATIONS: Final = tuple(name for name in ALL if name != "linear")
"""What a hidden layer can have."""


def javascript() -> str:
    """Return all of them as members of an object."""
    return "\n".join(f"  {name}: {one.javascript}," for name, one in ALL.items())
