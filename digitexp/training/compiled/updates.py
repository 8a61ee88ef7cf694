"""One step of an optimizer, with penalties and clipping as Keras has them.

`net.settings` are the optimizer's number; beta_1, beta_2 and epsilon; the limits of the norm of
each gradient, of each value and of the norm of all gradients, where 0 is none; momentum, Nesterov
(1 or 0) and weight decay.
"""

from __future__ import annotations

import math
from typing import Any

from digitexp.training.compiled.machine_code import inner

OPTIMIZERS = {"adam": 0, "sgd": 1, "rmsprop": 2}
"""The number of each, as compiled code knows it."""


@inner
def _is_clipped(settings: Any) -> Any:
    return settings[4] > 0 or settings[5] > 0 or settings[6] > 0


@inner
def clip(gradient: Any, weights: Any, net: Any) -> None:
    """Add the derivatives of the penalties and clip, if anything is to be clipped."""
    T, whole, at, settings = weights.dtype.type, 0.0, net.at, net.settings
    for piece in range(at.size - 1 if _is_clipped(settings) else 0):
        if not net.trains[piece // 2]:
            continue
        g, w = gradient[at[piece] : at[piece + 1]], weights[at[piece] : at[piece + 1]]
        if piece % 2 == 0:
            l1, two = T(net.penalties[piece // 2, 0]), T(2 * net.penalties[piece // 2, 1])
            for p in range(g.size):
                g[p] += two * w[p] + l1 * _sign(w[p])
        if settings[4] > 0:
            _scale(g, T(settings[4] / max(math.sqrt(_square(g)), settings[4])))
        limit = T(settings[5])
        for p in range(g.size if settings[5] > 0 else 0):
            g[p] = min(max(g[p], -limit), limit)
        whole += _square(g)
    if settings[6] > 0:
        scale = T(settings[6] / max(math.sqrt(whole), settings[6]))
        for j in range(net.trains.size):
            if net.trains[j]:
                _scale(gradient[at[2 * j] : at[2 * j + 2]], scale)


@inner
def _sign(value: Any) -> Any:
    T = type(value)
    return T(1) if value > 0 else (T(-1) if value < 0 else T(0))


@inner
def _scale(values: Any, factor: Any) -> None:
    for p in range(values.size):
        values[p] *= factor


@inner
def _square(values: Any) -> Any:
    total = 0.0
    for p in range(values.size):
        total += values[p] * values[p]
    return total


@inner
def make_step(
    weights: Any, gradient: Any, moments: Any, net: Any, learning_rate: Any, step: Any
) -> Any:
    """Update the weights in place; return the penalty of those before the step."""
    T, size, penalty = weights.dtype.type, weights.size, 0.0
    at, settings = net.at, net.settings
    is_clipped = _is_clipped(settings)  # then the gradient has the penalties' derivatives already
    one, beta_1, beta_2 = T(1), T(settings[1]), T(settings[2])
    rate, epsilon, momentum = T(learning_rate), T(settings[3]), T(settings[7])
    keep = one - rate * T(settings[9])
    adams = rate * T(math.sqrt(one - beta_2 ** T(step))) / (one - beta_1 ** T(step))
    for piece in range(at.size - 1):
        low, high, j = at[piece], at[piece + 1], piece // 2
        if not net.trains[j]:
            continue
        is_kernel = piece % 2 == 0
        l1 = T(net.penalties[j, 0] if is_kernel else 0)
        l2 = T(net.penalties[j, 1] if is_kernel else 0)
        w, g, square = weights[low:high], gradient[low:high], T(0)
        if l1 > T(0):
            for p in range(w.size):
                penalty += l1 * abs(w[p])
                g[p] += T(0) if is_clipped else l1 * _sign(w[p])
        two_l2 = T(0) if is_clipped else T(2) * l2
        m, v = moments[low:high], moments[size + low : size + high]
        if settings[0] == 0:
            square = adam(w, g, m, v, two_l2, keep, adams, one - beta_1, one - beta_2, epsilon)
        elif settings[0] == 1:
            square = sgd(w, g, m, two_l2, keep, rate, momentum, settings[8] > 0)
        else:
            square = rmsprop(w, g, m, v, two_l2, keep, rate, beta_2, momentum, epsilon)
        if l2 > T(0):  # 0 times a sum that has overflowed would be NaN
            penalty += l2 * square
    return penalty


@inner
def adam(
    w: Any, g: Any, m: Any, v: Any, two_l2: Any, keep: Any, rate: Any, c1: Any, c2: Any,
    epsilon: Any,
) -> Any:  # fmt: skip
    """Make one step of Adam (Kingma & Ba 2015); return the sum of squares of the weights before.

    Weights decay first, by `keep` (Loshchilov & Hutter 2019, "Decoupled weight decay"). A moment
    near 0 becomes 0: one that decays into denormal numbers makes a step 20 times slower. One that
    is NaN stays so, and then the weights are: divergence is to be seen.
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
        w[p] = own * keep - a * rate / (T(math.sqrt(b)) + epsilon)
    return square


@inner
def sgd(
    w: Any, g: Any, m: Any, two_l2: Any, keep: Any, rate: Any, momentum: Any, is_nesterov: Any
) -> Any:
    """Make one step of gradient descent (momentum: Polyak 1964; Nesterov: Sutskever et al. 2013).

    See `adam`.
    """
    T = w.dtype.type
    square = T(0)
    for p in range(w.size):
        own = w[p]
        change = -rate * (g[p] + two_l2 * own)
        a = m[p] * momentum + change
        a = T(0) if abs(a) < T(1e-30) else a
        m[p] = a
        square += own * own
        w[p] = own * keep + (momentum * a + change if is_nesterov else a)
    return square


@inner
def rmsprop(
    w: Any, g: Any, m: Any, v: Any, two_l2: Any, keep: Any, rate: Any, rho: Any, momentum: Any,
    epsilon: Any,
) -> Any:  # fmt: skip
    """Make one step of RMSprop (Tieleman & Hinton 2012), see `adam`."""
    T = w.dtype.type
    square, rest = T(0), T(1) - rho
    for p in range(w.size):
        own = w[p]
        slope = g[p] + two_l2 * own
        b = v[p] * rho + slope * slope * rest
        b = T(0) if b < T(1e-36) else b
        a = m[p] * momentum + rate * slope / T(math.sqrt(b + epsilon))
        a = T(0) if abs(a) < T(1e-30) else a
        m[p], v[p] = a, b
        square += own * own
        w[p] = own * keep - a
    return square
