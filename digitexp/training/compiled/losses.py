"""The loss of a batch, with its derivative by what the net gives."""

from __future__ import annotations

import math
from typing import Any

from digitexp.training.compiled.machine_code import careful


@careful
def cross_entropy(logits: Any, labels: Any, chosen: Any, smoothing: Any, delta: Any) -> Any:
    """Write the derivative of the mean cross-entropy by the logits: (softmax - targets) / n.

    A target is 1 at the label, or its share if a part is spread over all classes (Szegedy et al.
    2016, "Rethinking the Inception architecture", section 7).

    Args:
        logits: (n, classes).
        labels: Of all samples.
        chosen: (n,), which of them these are.
        smoothing: The share that is spread.
        delta: (n, classes), is written.

    Returns:
        Sums of the cross-entropy in nats, and of right answers; a tie goes to the lower class.
    """
    T = logits.dtype.type
    n, classes = logits.shape
    own, spread, one = T(1 - smoothing), T(smoothing / classes), T(1) / T(n)
    total, right = 0.0, 0.0
    for i in range(n):
        label, top, best, mass, others = labels[chosen[i]], logits[i, 0], 0, T(0), T(0)
        for c in range(1, classes):
            if logits[i, c] > top:
                top, best = logits[i, c], c
        for c in range(classes):
            above = logits[i, c] - top  # else digits of large logits are lost
            delta[i, c] = T(math.exp(above))
            mass += delta[i, c]
            others += above
        norm = T(math.log(mass))
        total += own * (norm - (logits[i, label] - top)) + spread * (T(classes) * norm - others)
        right += 1.0 if best == label else 0.0
        for c in range(classes):
            delta[i, c] = one * (delta[i, c] / mass - spread)
        delta[i, label] -= one * own
    return total, right
