"""What values a parameter could take, as the trials of a sweep remember it."""

from __future__ import annotations

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from sweeps.report.data import SweepData

Domain = CategoricalDistribution | FloatDistribution | IntDistribution


def domain_of(data: SweepData, name: str) -> Domain:
    """Return the domain of a parameter, of the newest trial that has it.

    Raises:
        KeyError: No trial has it.
    """
    for slot in sorted(data.finals, reverse=True):
        text = data.finals[slot].distributions.get(name)
        if text is not None:
            domain = json_to_distribution(text)
            assert isinstance(domain, CategoricalDistribution | FloatDistribution | IntDistribution)
            return domain
    raise KeyError(name)
