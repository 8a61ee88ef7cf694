"""An objective function of Optuna as an experiment: `def objective(trial): ... return value`.

It is called as it stands. A trial asks for its parameters while it runs; what the sampler proposes
for those that earlier trials asked for is known before (`OpenParameters.guesses`), and what is new
is drawn from the trial's seed. So the same seed gives the same trials on any number of workers.

    def objective(trial, fold): ...      can be confirmed: fold 0 is the search, others are fresh
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from numbers import Real
from typing import Any

import numpy as np

from search_spaces.objectives import ObjectiveFunction
from search_spaces.parameters import AnyParameter, ParameterInfo
from search_spaces.python_space import HELP, folder_of, takes_fold
from sweeps.capabilities import Fold
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)
from sweeps.records.sweep import PLACE, TAKES_FOLD

FOLD = "fold"
USER_ATTRS = "user_attrs"
"""The fact of a result with the user attributes of a trial."""


class ObjectiveExperiment:
    """The experiment that an objective function stands for; see the module."""

    measures: Mapping[str, str] = {}

    def __init__(self, named: ObjectiveFunction, function: Callable[..., Any]) -> None:
        """Describe the experiment; nothing is called yet.

        Args:
            named: Its path, and which way is better.
            function: The function.
        """
        self.function, self._named = function, named
        self.name = named.path.partition(":")[2]
        self.parameters: Mapping[str, ParameterInfo] = AnyParameter({}, "asked for by the function")
        several = len(named.objectives) > 1
        self.metrics: Mapping[str, MetricInfo] = {
            one.metric: MetricInfo(one.direction, None if several else one.metric)
            for one in named.objectives
        }
        self._takes_fold = takes_fold(named.path, function)
        if self._takes_fold:  # a capability is a member
            self.folds = self._folds

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing: only the function knows which parameters are valid."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Return nothing to train on: the function loads its data by itself."""
        if source is not None:
            raise ValueError(
                f"data {source!r}: an objective function loads its data by itself; leave --data out"
            )
        digest = sha256(self.name.encode()).hexdigest()
        # Two functions of one path in two folders are two: confirmations count them apart.
        place = sha256(str(folder_of(self._named.path.partition(":")[0])).encode()).hexdigest()
        info = {TAKES_FOLD: self._takes_fold, PLACE: place[:16]}
        return PreparedData(self.name, digest, digest, info, None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return nothing: nothing is known before the function runs."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Return the function as the plan; its duration is not known before."""
        return EnginePlan("objective", self._named.path, None)

    def warm_up(self) -> None:
        """Import what a trial needs beside the function."""
        import optuna.samplers  # noqa: F401

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Call the function with a trial.

        Raises:
            ValueError: It returned anything but a number, or a number for each direction.
        """
        from optuna import TrialPruned

        from sweeps.experiments.asking import AskingTrial

        seed_everything(spec.seed)
        several = len(self._named.directions) > 1
        trial = AskingTrial(spec, on_epoch, several=several)
        arguments = (trial, int(data.info.get(FOLD, 0))) if self._takes_fold else (trial,)
        began = time.perf_counter()
        values: dict[str, float] = {}
        try:
            values = self._values(self.function(*arguments))
        except TrialPruned:
            outcome, reason = "stopped", trial.stop.reason if trial.stop else "pruned"
        else:
            trial.check_all_asked()
            is_finite = all(math.isfinite(value) for value in values.values())
            outcome, reason = ("complete", "returned") if is_finite else ("diverged", "diverged")
        attributes = trial.user_attrs
        numbers = {
            name: float(one)
            for name, one in attributes.items()
            if isinstance(one, Real) and not isinstance(one, bool) and name not in values
        }
        return TrialResult(
            outcome=outcome,  # type: ignore[arg-type]
            stop_reason=reason,
            metrics={**values, **numbers} if outcome == "complete" else numbers,
            history={} if not trial.reported else {"value": trial.reported},
            timings={"train_seconds": time.perf_counter() - began},
            summary=self._named.path,
            engine="objective",
            info={USER_ATTRS: attributes} if attributes else {},
        )

    def _values(self, returned: Any) -> dict[str, float]:
        names = list(self.metrics)
        values = returned if len(names) > 1 and isinstance(returned, Sequence) else [returned]
        if len(values) != len(names) or not all(map(_is_number, values)):
            shown = f"{type(returned).__name__} {returned!r}"[:200]
            wanted = "a number is" if len(names) == 1 else f"{len(names)} numbers are"
            hint = ""
            if isinstance(returned, tuple | list):
                hint = '; of several values say each direction, as direction=["minimize", ...]'
            if isinstance(returned, Mapping):
                hint = f". If it is the function of a space, {HELP.replace('NAME', self.name)}"
            raise ValueError(f"{self._named.path} returned {shown}; {wanted} needed{hint}")
        return dict(zip(names, map(float, values), strict=True))

    def _folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Number n folds, from 1; 0 is the search. The function divides its data."""
        for number in range(1 + seed * n, 1 + (seed + 1) * n):
            yield Fold(replace(data, info={**data.info, FOLD: number}), np.empty(0, np.int64))

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw nothing: MLflow shows the curves."""
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Refuse, by a ValueError: an objective function returns a value and no model."""
        raise ValueError("an objective function returns a value and no model")


def _is_number(value: object) -> bool:
    """Whether a value is a number, or an array of one."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return False
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def seed_everything(seed: int) -> None:
    """Seed `random`, NumPy and the frameworks that are loaded."""
    random.seed(seed)
    np.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)
    if (tensorflow := sys.modules.get("tensorflow")) is not None and hasattr(tensorflow, "random"):
        tensorflow.random.set_seed(seed)
