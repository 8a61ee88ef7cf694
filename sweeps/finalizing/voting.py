"""Several models answer as one: the mean of their probabilities, or the class most of them name.

Soft vote: the mean of what each holds probable; hard vote: the majority (Hansen & Salamon 1990,
"Neural network ensembles"; Lakshminarayanan, Pritzel & Blundell 2017, "deep ensembles", average
probabilities as here).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def probabilities(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return what each member holds probable, finite however large its logits are.

    Args:
        logits: (m, n, classes) of m members for the same n inputs, in the same order.
        temperatures: (m,) above 0, what each member's logits are divided by; None: by nothing.

    Returns:
        (m, n, classes), each row summing to 1.

    Raises:
        ValueError: There is no member, a shape is another one, or a temperature is not above 0.
    """
    given = np.asarray(logits, np.float64)
    if given.ndim != 3 or 0 in given.shape[::2]:
        raise ValueError(f"logits {given.shape}: needed is (members, inputs, classes), one or more")
    if temperatures is not None:
        divisors = np.asarray(temperatures, np.float64)
        is_usable = divisors.shape == given.shape[:1] and np.isfinite(divisors).all()
        if not (is_usable and (divisors > 0).all()):
            raise ValueError(
                f"temperatures {list(temperatures)}: needed are {len(given)}, one a member, each "
                "above 0"
            )
        given = given / divisors[:, None, None]
    # The largest is taken off first: exp overflows above 709, and softmax does not change.
    powers = np.exp(given - given.max(axis=2, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=2, keepdims=True)
    return shares


def soft_vote(
    logits: ArrayLike, temperatures: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Return (n, classes) the mean of the members' probabilities; see `probabilities`."""
    mean: NDArray[np.float64] = probabilities(logits, temperatures).mean(axis=0)
    return mean


def hard_vote(logits: ArrayLike, temperatures: Sequence[float] | None = None) -> NDArray[np.int64]:
    """Return (n,) the class that most members name.

    Of classes that equally many name, the one with the largest mean probability over all members
    is taken, so that two members that disagree are no toss of a coin; of classes equal in that,
    too, the first. Arguments and errors are those of `probabilities`; temperatures matter to
    such ties only.
    """
    shares = probabilities(logits, temperatures)
    classes = shares.shape[2]
    named = np.asarray(logits).argmax(axis=2)
    counts = (named[:, :, None] == np.arange(classes)).sum(axis=0)
    is_tied = counts == counts.max(axis=1, keepdims=True)
    winners: NDArray[np.int64] = np.where(is_tied, shares.mean(axis=0), -1.0).argmax(axis=1)
    return winners
