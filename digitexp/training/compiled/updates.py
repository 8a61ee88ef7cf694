"""One step of Adam, with penalties and clipping as Keras has them.

`settings` are beta_1, beta_2, epsilon, and the limits of the norm of each gradient, of each value
and of the norm of all gradients; a limit of 0 is none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from digitexp.training.compiled.machine_code import inner


@inner
def _is_clipped(settings: Any) -> Any:
    return settings[3] > 0 or settings[4] > 0 or settings[5] > 0


@inner
def clip(gradient: Any, weights: Any, at: Any, penalties: Any, trains: Any, settings: Any) -> Any:
    """Add the derivatives of the penalties and clip, if anything is to be clipped."""
    T, whole = weights.dtype.type, 0.0
    for piece in range(at.size - 1 if _is_clipped(settings) else 0):
        if not trains[piece // 2]:
            continue
        g, w = gradient[at[piece] : at[piece + 1]], weights[at[piece] : at[piece + 1]]
        if piece % 2 == 0:
            l1, two = T(penalties[piece // 2, 0]), T(2 * penalties[piece // 2, 1])
            for p in range(g.size):
                g[p] += two * w[p] + l1 * T(np.sign(w[p]))
        if settings[3] > 0:
            g *= T(settings[3] / max(math.sqrt(_square(g)), settings[3]))
        limit = T(settings[4])
        for p in range(g.size if settings[4] > 0 else 0):
            g[p] = min(max(g[p], -limit), limit)
        whole += _square(g)
    if settings[5] > 0:
        scale = T(settings[5] / max(math.sqrt(whole), settings[5]))
        for j in range(trains.size):
            if trains[j]:
                gradient[at[2 * j] : at[2 * j + 2]] *= scale


@inner
def _square(values: Any) -> Any:
    total = 0.0
    for p in range(values.size):
        total += values[p] * values[p]
    return total


@inner
def make_step(
    weights: Any, gradient: Any, moments: Any, at: Any, penalties: Any, trains: Any, settings: Any,
    learning_rate: Any, step: Any,
) -> Any:  # fmt: skip
    """Update the weights in place; return the penalty of those before the step."""
    T, size, penalty = weights.dtype.type, weights.size, 0.0
    is_clipped = _is_clipped(settings)  # then the gradient has the penalties' derivatives already
    one, beta_1, beta_2 = T(1), T(settings[0]), T(settings[1])
    rate = T(learning_rate) * T(math.sqrt(one - beta_2 ** T(step))) / (one - beta_1 ** T(step))
    for piece in range(at.size - 1):
        low, high, j = at[piece], at[piece + 1], piece // 2
        if not trains[j]:
            continue
        is_kernel = piece % 2 == 0
        l1, l2 = T(penalties[j, 0] if is_kernel else 0), T(penalties[j, 1] if is_kernel else 0)
        w, g = weights[low:high], gradient[low:high]
        if l1 > T(0):
            for p in range(w.size):
                penalty += l1 * abs(w[p])
                g[p] += T(0) if is_clipped else l1 * T(np.sign(w[p]))
        square = adam(
            w, g, moments[low:high], moments[size + low : size + high],
            T(0) if is_clipped else T(2) * l2, rate, one - beta_1, one - beta_2, T(settings[2]),
        )  # fmt: skip
        if l2 > T(0):  # 0 times a sum that has overflowed would be NaN
            penalty += l2 * square
    return penalty


@inner
def adam(
    w: Any, g: Any, m: Any, v: Any, two_l2: Any, rate: Any, c1: Any, c2: Any, epsilon: Any
) -> Any:
    """Make one step of Adam (Kingma & Ba 2015); return the sum of squares of the weights before.

    A moment near 0 becomes 0: one that decays into denormal numbers makes a step 20 times slower.
    One that is NaN stays so, and then the weights are: divergence is to be seen.
    """
    T = w.dtype.type
    square = T(0)
    for p in range(w.size):
        own = w[p]
        slope = g[p] + two_l2 * own
        a = m[p] + (slope - m[p]) * c1
        b = v[p] + (slope * slope - v[p]) * c2
        a = T(0) if abs(a) < T(1e-30) else a
        b = T(0) if b < T(1e-36) else b
        m[p], v[p] = a, b
        square += own * own
        w[p] = own - a * rate / (T(math.sqrt(b)) + epsilon)
    return square
