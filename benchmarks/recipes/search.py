"""What the peers search: `digits.yaml` and `mlp` as Optuna code, and how Optuna searches it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from benchmarks.recipes.command import Search


@dataclass(frozen=True)
class Ranges:
    """A space; `units` has how the widths are drawn, as Optuna and Keras Tuner take it."""

    layers: tuple[int, int]
    narrowest: int
    units: Mapping[str, Any]
    least_l2: float


SPACES: Mapping[str, Ranges] = {
    "digits": Ranges((2, 3), 16, {"step": 16}, 1e-6),
    "mlp": Ranges((1, 3), 8, {"log": True}, 1e-7),
}
BATCHES = [16, 32, 64, 128]
STUDY = "sqlite:///optuna.db"
RUNS = "sqlite:///mlflow.db"
NAME = "digits"
"""Of the study, and of the experiment in MLflow."""


def suggest(trial: Any, space: str = "digits") -> dict[str, Any]:
    """Draw one configuration of a space.

    Args:
        trial: An `optuna.Trial`.
        space: One of `SPACES`.
    """
    own = SPACES[space]
    learning_rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    batch_size = trial.suggest_categorical("batch_size", BATCHES)
    hidden_layers = trial.suggest_int("hidden_layers", *own.layers)
    return {
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "units": [
            trial.suggest_int(f"units_{i}", own.narrowest, 128, **own.units)
            for i in range(1, hidden_layers + 1)
        ],
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "l2": trial.suggest_float("l2", own.least_l2, 1e-2, log=True),
    }


def optimize(objective: Callable[[optuna.Trial], float], search: Search, number: int) -> None:
    """Try configurations, as process `number`, until the study has as many as asked for.

    TPE is told of the trials that other processes are at.
    """
    sampler: optuna.samplers.BaseSampler = NumberedRandom(search.seed)
    if search.sampler == "tpe":
        sampler = optuna.samplers.TPESampler(
            seed=search.seed * 1000 + number, constant_liar=search.processes > 1
        )
    study = optuna.load_study(storage=STUDY, study_name=NAME, sampler=sampler)
    enough = MaxTrialsCallback(search.trials, states=(TrialState.COMPLETE, TrialState.RUNNING))
    study.optimize(objective, callbacks=[enough])


class NumberedRandom(optuna.samplers.BaseSampler):
    """Random search in which trial n has the same values in every recipe and process.

    So the recipes that use Optuna do the same work, and a ratio of their times does not depend on
    who happened to draw the larger nets.
    """

    def __init__(self, search_seed: int = 0) -> None:
        self._seed = search_seed

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """Return nothing: every value is drawn on its own."""
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self, study: Any, trial: Any, param_name: str, param_distribution: Any
    ) -> Any:
        """Draw a value that depends on seed, trial number and name only."""
        seed = zlib.crc32(f"{self._seed} {trial.number} {param_name}".encode())
        sampler = optuna.samplers.RandomSampler(seed=seed)
        return sampler.sample_independent(study, trial, param_name, param_distribution)
