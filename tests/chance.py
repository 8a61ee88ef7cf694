"""How far counts stray by chance alone, for tests that draw many times and count."""

from scipy.stats import binom

CONFIDENCE = 0.99
"""Of a bound. Seeds are fixed: a test that passes once does not fail by bad luck later."""


def at_most(chance: float, draws: int) -> int:
    """Return a count that what happens with this chance, or a smaller one, exceeds in 1 % of cases.

    It is the quantile of the binomial distribution.
    """
    return int(binom.ppf(CONFIDENCE, draws, chance))


def at_least(chance: float, draws: int) -> int:
    """Return a count that what happens with this chance, or a greater one, misses in 1 %."""
    return int(binom.ppf(1 - CONFIDENCE, draws, chance))
