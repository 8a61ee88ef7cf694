"""The trial that an objective function of Optuna is given: asks, reports and notes as Optuna's."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.samplers import RandomSampler
from optuna.trial import BaseTrial

from search_spaces.errors import did_you_mean
from sweeps.experiment import OnEpoch, Stop, TrialSpec
from sweeps.study.points import holds

_PLAIN = (bool, int, float, str, type(None))


class AskingTrial(BaseTrial):
    """A trial of Optuna in the process that trains.

    Attributes:
        number: Number of the trial in its sweep, from 0.
        params: The value of each parameter that was asked for, by name.
        distributions: Their distributions.
        user_attrs: What `set_user_attr` noted.
        datetime_start: When the attempt began, in local time.
        reported: The finite values that were reported, in order.
        stop: Why it is to end; None if it goes on.
    """

    number: int = 0
    params: dict[str, Any] = {}  # noqa: RUF012 - each trial has its own
    distributions: dict[str, BaseDistribution] = {}  # noqa: RUF012
    user_attrs: dict[str, Any] = {}  # noqa: RUF012
    constraints: dict[str, float] = {}  # noqa: RUF012
    datetime_start: datetime | None = None

    def __init__(self, spec: TrialSpec, on_epoch: OnEpoch, *, several: bool) -> None:
        """Begin an attempt.

        Args:
            spec: The attempt.
            on_epoch: Is told each report.
            several: Whether there are several objectives: then nothing is reported.
        """
        self._spec, self._on_epoch, self._several = spec, on_epoch, several
        self.number = spec.trial
        self.params, self.distributions, self.user_attrs = {}, {}, {}
        self.constraints = {}
        self.datetime_start = datetime.now().astimezone().replace(tzinfo=None)
        self.reported: list[float] = []
        self.stop: Stop | None = None
        self._steps: set[int] = set()

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from `low` to `high`, both included."""
        return float(self._asked(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return int(self._asked(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices: plain texts, numbers, truth values or None."""
        choices = [one.item() if isinstance(one, np.generic) else one for one in choices]
        if strange := [one for one in choices if not isinstance(one, _PLAIN)]:
            raise ValueError(
                f"suggest_categorical({name!r}): {strange[0]!r} is {type(strange[0]).__name__}, "
                "which no record can hold; ask for its name, and look it up: "
                f"{{'a': A, 'b': B}}[trial.suggest_categorical({name!r}, ['a', 'b'])]"
            )
        return self._asked(name, CategoricalDistribution(choices))

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """Return a number; Optuna's former name of `suggest_float`."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """Return a number; Optuna's former name of `suggest_float` with `log`."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """Return a number; Optuna's former name of `suggest_float` with `step`."""
        return self.suggest_float(name, low, high, step=q)

    def report(self, value: float, step: int) -> None:
        """Take the value of a step; a step is reported once, and one that is no number is not."""
        if self._several:
            raise NotImplementedError("Trial.report: there are several objectives")
        if step < 0:
            raise ValueError(f"report(step={step}): give a step from 0 on")
        number = float(value)
        if step in self._steps:
            return
        self._steps.add(step)
        if number - number == 0:  # finite
            self.reported.append(number)
            metrics = {"value": number}
            self.stop = self._on_epoch(len(self.reported) - 1, metrics) or self.stop

    def should_prune(self) -> bool:
        """Whether the trial is to raise `TrialPruned`: by the pruner, or since it is to stop."""
        if self._several:
            raise NotImplementedError("Trial.should_prune: there are several objectives")
        return self.stop is not None

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something: a number becomes a metric of the trial, anything else stays as it is."""
        self.user_attrs[key] = value

    def set_constraint(self, key: str, value: float) -> None:
        """Refuse: constraints are of a declared space."""
        raise NotImplementedError(
            f"set_constraint({key!r}): an objective function has no constraints here; raise "
            "TrialPruned where the point is not allowed, or declare a space with `constraints`"
        )

    def check_all_asked(self) -> None:
        """Refuse a given point with a name that the function did not ask for.

        Raises:
            ValueError: There is one.
        """
        for name in self._spec.config:
            if self._spec.open is not None and name not in self.params:
                raise ValueError(
                    f"{name}={self._spec.config[name]!r} was given, and the function did not ask "
                    f"for it{did_you_mean(name, self.params)}; it asked for "
                    f"{', '.join(self.params) or 'nothing'}"
                )

    @property
    def study(self) -> Any:
        """Refuse: trials run in processes of their own, and each sees the past that is its own."""
        raise AttributeError(
            "trial.study: the study is where the sweep was begun, not in a worker; what `run` "
            "returns has its results"
        )

    def _asked(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self.params:
            if self.distributions[name] != distribution:
                raise ValueError(
                    f"parameter {name!r} is asked for twice, as {self.distributions[name]} and as "
                    f"{distribution}; give the second one another name"
                )
            return self.params[name]
        value = self._answer(name, distribution)
        self.params[name], self.distributions[name] = value, distribution
        if self._spec.open is not None:
            self._spec.open.asked[name] = (value, distribution_to_json(distribution))
        return value

    def _answer(self, name: str, distribution: BaseDistribution) -> Any:
        given, proposed = self._spec.config, self._spec.open
        if name in given:
            if not holds(distribution, given[name]):
                raise ValueError(f"{name}={given[name]!r} was given, and allowed is {distribution}")
            return given[name]
        if proposed is None:
            raise ValueError(
                f"asks for {name!r}, which the trial that it repeats had not; it has: "
                f"{', '.join(given) or 'nothing'}"
            )
        if name in proposed.guesses and holds(distribution, proposed.guesses[name]):
            return proposed.guesses[name]
        sampler = RandomSampler(seed=zlib.crc32(name.encode(), self._spec.seed))
        nobody: Any = None
        return sampler.sample_independent(nobody, nobody, name, distribution)
