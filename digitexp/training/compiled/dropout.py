"""Dropout masks by a counter-based generator: Philox4x32-10 (Salmon et al. 2011).

A number is decided by the seed of the trial (the key) and by layer, step and place (the counter),
and by nothing that was drawn before: so masks are the same after a checkpoint. Each of the three is
a word of the counter of its own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import uint32, uint64

from digitexp.training.compiled.machine_code import inner


@inner
def philox(seed: Any, step: Any, layer: Any, place: Any) -> Any:
    """Return four independent 32-bit numbers."""
    a, b, c, d = uint32(place), uint32(layer), uint32(step), uint32(uint64(step) >> uint64(32))
    low, high = uint32(seed), uint32(uint64(seed) >> uint64(32))
    for _ in range(10):
        one = uint64(a) * uint64(0xD2511F53)
        two = uint64(c) * uint64(0xCD9E8D57)
        a, b, c, d = (
            uint32(uint32(two >> uint64(32)) ^ b ^ low),
            uint32(two),
            uint32(uint32(one >> uint64(32)) ^ d ^ high),
            uint32(one),
        )
        low = uint32(low + uint32(0x9E3779B9))
        high = uint32(high + uint32(0xBB67AE85))
    return a, b, c, d


_LEVELS: Final = 2**16
"""A decision takes 16 bits, which halves the time; a rate is met to within 1 / 131072."""


@inner
def drop(values: Any, slopes: Any, rate: Any, seed: Any, step: Any, layer: Any) -> None:
    """Multiply values and slopes, both (rows, units), by the mask, so that their means stay.

    (Srivastava et al. 2014, "Dropout", inverted.)

    Args:
        values: Activations.
        slopes: Their derivatives.
        rate: Share that becomes 0, below 1; the others grow.
        seed: Of the trial.
        step: Of the training, from 1.
        layer: From 0.
    """
    T = values.dtype.type
    bound = min(round(rate * _LEVELS), _LEVELS - 1)
    kept, count = T(_LEVELS) / T(_LEVELS - bound), values.size
    draws = (count + 7) // 8
    words = np.empty((4, draws), np.uint32)  # the words of a draw lie far apart, so that the loop
    for k in range(draws):  # is vectorised
        words[0, k], words[1, k], words[2, k], words[3, k] = philox(seed, step, layer, k)
    noise = words.reshape(4 * draws).view(np.uint16)
    flat, slope = values.reshape(count), slopes.reshape(count)
    for p in range(count):
        factor = kept if noise[p] >= bound else T(0)
        flat[p] *= factor
        slope[p] *= factor
