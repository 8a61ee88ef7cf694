"""A trial that is sampled but not stored: proposals are looked at before they become slots.

Samples as `optuna.Trial` does (fixed values first, then the joint space, then one by one) through
the public interface of samplers, but keeps the values to itself, so that a duplicate can be
rejected without a trace in the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from search_spaces.parameters import Value


class Suggester:
    """Answers `suggest_*` for one proposal and collects parameters and distributions."""

    def __init__(
        self, study: optuna.Study, trial: FrozenTrial, fixed: Mapping[str, Value] | None = None
    ) -> None:
        self.params: dict[str, Value] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self._study = study
        self._trial = trial
        self._fixed = fixed
        self._joint_space: dict[str, BaseDistribution] = {}
        self._joint: Mapping[str, Value] = {}
        if fixed is None:
            sampler = study.sampler
            sampler.before_trial(study, trial)
            self._joint_space = sampler.infer_relative_search_space(study, trial)
            self._joint = sampler.sample_relative(study, trial, self._joint_space)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a float in [low, high]."""
        value = self._suggest(name, FloatDistribution(low, high, log=log, step=step))
        assert isinstance(value, int | float)
        return float(value)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return an integer in [low, high]."""
        value = self._suggest(name, IntDistribution(low, high, log=log, step=step))
        assert isinstance(value, int | float)
        return int(value)

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Return one of the choices."""
        return self._suggest(name, CategoricalDistribution(tuple(choices)))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Value:
        if name not in self.params:
            internal = distribution.to_internal_repr(self._value(name, distribution))
            # Through the internal form, as storages do: 0.1 stays 0.1, but 3.0 becomes an int's 3.
            self.params[name] = distribution.to_external_repr(internal)
            self.distributions[name] = distribution
        return self.params[name]

    def _value(self, name: str, distribution: BaseDistribution) -> Value:
        if self._fixed is not None:
            return self._fixed[name]
        if distribution.single():
            return _only_value(distribution)
        if name in self._joint and self._joint_space.get(name) == distribution:
            return self._joint[name]
        sampled: Value = self._study.sampler.sample_independent(
            self._study, self._trial, name, distribution
        )
        return sampled


def _only_value(distribution: BaseDistribution) -> Value:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return distribution.low
