"""A proposal: a point of a space, with the distributions that Optuna knows its parameters by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from search_spaces.parameters import Value
from search_spaces.space import Space
from search_spaces.values import Categorical, Float, Sampled
from sweeps.journal.events import ImportedTrial, Unfinished
from sweeps.records import Longer, Record

Number = FloatDistribution | IntDistribution
Distribution = Number | CategoricalDistribution
Answer = Callable[[str, Distribution], Value]
"""Returns the value of a parameter, for its name and distribution."""


def _distribution(domain: Sampled) -> Distribution:
    if isinstance(domain, Categorical):
        return _choices(*domain.choices)
    kind = FloatDistribution if isinstance(domain, Float) else IntDistribution
    return _number(kind, domain.low, domain.high, domain.log, domain.step)


@lru_cache(maxsize=None, typed=True)  # equal ones are the same, so that they are quick to compare
def _number(kind: Callable[..., Number], *members: Any) -> Number:
    return kind(*members)


@lru_cache(maxsize=None, typed=True)
def _choices(*choices: Value) -> CategoricalDistribution:
    return CategoricalDistribution(choices)


@dataclass(frozen=True)
class Proposal:
    """Parameters of one trial and where they came from.

    Attributes:
        config: What the experiment receives.
        origin: `baseline <name>`, `imported <place>`, `learned from <source>`, `sampled`, `random`
            (after too many rejections), `grid`, or `enqueued`, with the source of the enqueued
            point if it has one.
        rejected: How many proposals were rejected before this one.
    """

    params: Mapping[str, Value]
    distributions: Mapping[str, BaseDistribution]
    config: Mapping[str, Value] = field(repr=False)
    origin: str
    rejected: int = 0

    @property
    def key(self) -> str:
        """Equal for equal points."""
        return point_key(self.params)

    @property
    def longer(self) -> Longer | None:
        """The earlier trial of which it is one with more epochs; None for any other proposal."""
        return Longer.of(self.origin)

    def stored_distributions(self) -> dict[str, str]:
        """Return the distributions as JSON texts by name, as a record keeps them."""
        return {n: distribution_to_json(d) for n, d in self.distributions.items()}


def walked(space: Space, answer: Answer, origin: str = "sampled") -> Proposal:
    """Return the point of a space to which the answers lead."""
    distributions: dict[str, BaseDistribution] = {}

    def of_domain(name: str, domain: Sampled) -> Value:
        found = distributions[name] = _distribution(domain)
        return answer(name, found)

    walk = space.walk(of_domain)
    return Proposal(walk.params, distributions, walk.config, origin)


def proposal_at(space: Space, point: Mapping[str, Value], origin: str) -> Proposal:
    """Return the proposal of a given point of a space."""
    if space.is_open:
        return open_proposal(point, {}, origin)
    found = walked(space, lambda name, distribution: point[name], origin)
    longer = found.longer
    return found if longer is None else replace(found, config=longer.configuration(found.config))


def holds(distribution: BaseDistribution, value: Value) -> bool:
    """Whether a distribution has a value."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def open_proposal(
    point: Mapping[str, Value], distributions: Mapping[str, BaseDistribution], origin: str
) -> Proposal:
    """Return the proposal of a trial whose parameters are known only while it runs.

    A point that somebody has enqueued or imported is its configuration; any other one is a guess.
    """
    config = dict(point) if origin.startswith(("enqueued", "imported")) else {}
    return Proposal(dict(point), distributions, config, origin)


def imported_proposal(space: Space, trial: ImportedTrial) -> Proposal:
    """Return the point of a trial that was run elsewhere."""
    if not space.is_open:
        return proposal_at(space, trial.params, "imported")
    own = {name: json_to_distribution(text) for name, text in trial.distributions.items()}
    return open_proposal(trial.params, own, "imported")


def proposal_of_record(record: Record | Unfinished) -> Proposal:
    """Return the proposal of a recorded attempt, or of a trial that goes on in a new generation."""
    distributions = {n: json_to_distribution(d) for n, d in record.distributions.items()}
    return Proposal(record.params, distributions, record.config, record.origin)


def point_key(params: Mapping[str, Value]) -> str:
    """Return a text that is equal for equal points: active parameters and values, in any order."""
    return json.dumps(params, sort_keys=True)
