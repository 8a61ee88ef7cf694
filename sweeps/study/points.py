"""A proposal: a point of a space, with the distributions that Optuna knows its parameters by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
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
from sweeps.journal.events import Unfinished
from sweeps.records import Longer, Record

Number = FloatDistribution | IntDistribution
Distribution = Number | CategoricalDistribution
Answer = Callable[[str, Distribution], Value]
"""Returns the value of a parameter, for its name and distribution."""


class _AskingTrial:
    """Turns the three `suggest_*` calls into one question with a distribution, and notes these.

    Equal questions have the same distribution, so that they are quick to compare.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        return self._ask(name, _number(FloatDistribution, low, high, log, step))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> Any:
        return self._ask(name, _number(IntDistribution, low, high, log, step))

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        return self._ask(name, _categorical(*choices))

    def _ask(self, name: str, distribution: Distribution) -> Value:
        self.distributions[name] = distribution
        return self._answer(name, distribution)


@lru_cache(maxsize=None, typed=True)
def _number(kind: Callable[..., Number], low: float, high: float, log: bool, step: Any) -> Number:
    return kind(low, high, log=log, step=step)


@lru_cache(maxsize=None, typed=True)
def _categorical(*choices: Value) -> CategoricalDistribution:
    return CategoricalDistribution(choices)


@dataclass(frozen=True)
class Proposal:
    """Parameters of one trial and where they came from.

    Attributes:
        config: What the experiment receives.
        origin: `baseline <name>`, `learned from <source>`, `sampled`, `random` (after too many
            rejections), `grid`, or `enqueued`, with the source of the enqueued point if it has one.
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
    trial = _AskingTrial(answer)
    walk = space.walk(trial)
    return Proposal(walk.params, trial.distributions, walk.config, origin)


def proposal_at(space: Space, point: Mapping[str, Value], origin: str) -> Proposal:
    """Return the proposal of a given point of a space."""
    found = walked(space, lambda name, distribution: point[name], origin)
    longer = found.longer
    return found if longer is None else replace(found, config=longer.configuration(found.config))


def proposal_of_record(record: Record | Unfinished) -> Proposal:
    """Return the proposal of a recorded attempt, or of a trial that goes on in a new generation."""
    distributions = {n: json_to_distribution(d) for n, d in record.distributions.items()}
    return Proposal(record.params, distributions, record.config, record.origin)


def point_key(params: Mapping[str, Value]) -> str:
    """Return a text that is equal for equal points: active parameters and values, in any order."""
    return json.dumps(params, sort_keys=True)
