"""Normalisation over the samples of a batch (Ioffe & Szegedy 2015), or the numbers of a sample.

(The latter: Ba, Kiros & Hinton 2016, "Layer normalization".) Arguments of all functions here:

- is_by_batch: whether means are those of a column, else of a row;
- x: (rows, units), what is normalised;
- gamma: (units,) factors, or empty;
- norm: epsilon; momentum of the running means; where they begin in `running`;
- running: of columns, `units` means, then as many variances; training moves them, otherwise they
  are taken;
- scales: (2, rows or units at least), what `normalize` found: mean and 1 / deviation.
"""

from __future__ import annotations

import math
from typing import Any

from digitexp.training.compiled.machine_code import careful


@careful
def _measure_columns(x: Any, norm: Any, running: Any, scales: Any) -> None:
    T = x.dtype.type
    rows, units = x.shape
    start, keep = int(norm[2]), T(norm[1])
    for c in range(units):
        scales[0, c] = T(0)
        scales[1, c] = T(0)
    for i in range(rows):
        for c in range(units):
            scales[0, c] += x[i, c]
    for c in range(units):
        scales[0, c] /= T(rows)
    for i in range(rows):
        for c in range(units):
            scales[1, c] += (x[i, c] - scales[0, c]) ** 2
    for c in range(units):
        mean, spread, variance = start + c, start + units + c, scales[1, c] / T(rows)
        running[mean] = running[mean] * keep + scales[0, c] * (T(1) - keep)
        running[spread] = running[spread] * keep + variance * (T(1) - keep)
        scales[1, c] = T(1) / T(math.sqrt(variance + T(norm[0])))


@careful
def _take_running(x: Any, norm: Any, running: Any, scales: Any) -> None:
    T, units, start = x.dtype.type, x.shape[1], int(norm[2])
    for c in range(units):
        scales[0, c] = running[start + c]
        scales[1, c] = T(1) / T(math.sqrt(running[start + units + c] + T(norm[0])))


@careful
def _measure_rows(x: Any, norm: Any, scales: Any) -> None:
    T = x.dtype.type
    rows, units = x.shape
    for i in range(rows):
        mean, variance = T(0), T(0)
        for c in range(units):
            mean += x[i, c]
        mean /= T(units)
        for c in range(units):
            variance += (x[i, c] - mean) ** 2
        scales[0, i] = mean
        scales[1, i] = T(1) / T(math.sqrt(variance / T(units) + T(norm[0])))


@careful
def normalize(
    is_by_batch: Any, x: Any, gamma: Any, norm: Any, running: Any, scales: Any, out: Any,
    is_training: Any,
) -> None:  # fmt: skip
    """Write (x - mean) / sqrt(variance + epsilon), times gamma, to `out` (rows, units)."""
    if not is_by_batch:
        _measure_rows(x, norm, scales)
    elif is_training:
        _measure_columns(x, norm, running, scales)
    else:
        _take_running(x, norm, running, scales)
    rows, units = x.shape
    for i in range(rows):
        for c in range(units):
            k = c if is_by_batch else i
            own = (x[i, c] - scales[0, k]) * scales[1, k]
            out[i, c] = own * gamma[c] if gamma.size > 0 else own


@careful
def normalize_back(
    is_by_batch: Any, x: Any, delta: Any, gamma: Any, scales: Any, gradient: Any, under: Any
) -> None:
    """Write the gradient of gamma, and to `under` (rows, units) the derivative by x.

    `delta` (rows, units) is the derivative by what `normalize` wrote. With y = (x - mean) /
    deviation, d the derivative by y, and means over what was normalised, that by x is
    (d - mean(d) - y mean(d y)) / deviation.
    """
    T = x.dtype.type
    rows, units = x.shape
    has_gamma = gamma.size > 0
    for c in range(gradient.size):
        gradient[c] = T(0)
    lines, length = (units, rows) if is_by_batch else (rows, units)
    for k in range(lines):
        mean, scale, sums, products = scales[0, k], scales[1, k], T(0), T(0)
        for m in range(length):
            i, c = (m, k) if is_by_batch else (k, m)
            own, y = delta[i, c], (x[i, c] - mean) * scale
            if has_gamma:
                gradient[c] += own * y
                own *= gamma[c]
            sums += own
            products += own * y
        sums /= T(length)
        products /= T(length)
        for m in range(length):
            i, c = (m, k) if is_by_batch else (k, m)
            own, y = delta[i, c], (x[i, c] - mean) * scale
            if has_gamma:
                own *= gamma[c]
            under[i, c] = scale * (own - sums - y * products)
