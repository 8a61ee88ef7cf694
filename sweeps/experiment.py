"""The contract between the framework and an experiment; readable in two minutes.

An experiment is any object with the members of `Experiment`. It is named in a space by its import
path (`package.module:object`). It is imported without TensorFlow, and knows neither Optuna nor
MLflow: a configuration goes in, a result comes out. `sweeps/capabilities.py` lists the optional
members that it may have as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, Protocol

import numpy as np

from search_spaces.parameters import ParameterInfo, Value

__all__ = [
    "Checkpoint",
    "EnginePlan",
    "Experiment",
    "MetricInfo",
    "OnEpoch",
    "OpenParameters",
    "ParameterInfo",
    "PreparedData",
    "Stop",
    "TrialResult",
    "TrialSpec",
    "Value",
    "only_trains",
]


@dataclass(frozen=True)
class MetricInfo:
    """A headline metric: one value per trial, from the restored best weights.

    Attributes:
        direction: `maximize` or `minimize`.
        epoch_metric: Per-epoch metric that a pruner watches in its place: the same by epoch, or one
            that ranks trials alike; None if there is none.
        description: One line, with the unit.
        shown: Whether tables of all trials show it. The page of a trial and the CSV have all.
    """

    direction: Literal["maximize", "minimize"]
    epoch_metric: str | None = None
    description: str = ""
    shown: bool = True


@dataclass(frozen=True)
class PreparedData:
    """Training and validation data, ready to train on; the test set is never in here.

    Attributes:
        name: Short name of the source, such as `digits20`.
        digest: SHA-256 (hex) of the arrays.
        split_digest: SHA-256 (hex) of the training and validation indices.
        info: JSON-compatible facts: sizes, shapes, class names, policies applied. `sweeps plan`
            shows the numbers of samples `n_train`, `n_validation` and `n_test`.
        payload: The data that `train` needs; opaque to the framework.
        irreproducible: The reason why the same seed may give another result on these data; None as
            a rule. A sweep on such data shows it when it starts, and is tagged
            `reproducible=false`.
    """

    name: str
    digest: str
    split_digest: str
    info: Mapping[str, Any]
    payload: Any = field(repr=False)
    irreproducible: str | None = None


class Checkpoint(Protocol):
    """Keeps the state of a training, so that after a kill the next attempt goes on from it.

    It outlives the process, and goes with the record of the trial. A state is whatever decides the
    rest of the training: None, numbers, texts, NumPy arrays, and lists, tuples and dicts (with
    texts as keys) of them. The result must be that of an undisturbed training, to the bit.

    Attributes:
        folder: Goes with the state: for files that a training writes by itself, such as a script's.
            Whoever uses it makes it, and empties it where `load` returns None.
    """

    @property
    def folder(self) -> Path:
        """See above."""
        ...

    def load(self) -> Any:
        """Return the state that an earlier attempt has saved; None: train from the beginning."""
        ...

    def resume(self, epochs: Sequence[Mapping[str, float]] | None = None) -> int:
        """Go on from the state that `load` returned.

        Its epochs are reported again by the framework, not by the experiment.

        Args:
            epochs: The metrics of each epoch before; None: those that were reported when the state
                was saved.

        Returns:
            The first epoch that is still to be trained.
        """
        ...

    def is_due(self, *, is_last: bool = False) -> bool:
        """Whether the state is to be saved now; ask at the end of each epoch.

        Args:
            is_last: Whether no epoch is left. That state serves the same trial with more epochs,
                which has the configuration of this one but for `epochs`; load none whose epochs
                would have been others in a training with that number.
        """
        ...

    def save(self, state: Any, *, is_last: bool = False) -> None:
        """Save the state after the epoch that was last reported; raises nothing.

        Args:
            state: The state.
            is_last: As `is_due` was asked.
        """
        ...

    def refuse(self, why: str) -> None:
        """Say why the state of this training cannot be saved, or the loaded one not be used."""
        ...


@dataclass(frozen=True)
class OpenParameters:
    """The parameters of a trial of an objective function, which names them while it runs.

    Attributes:
        guesses: What the sampler proposes for those that earlier trials had asked for.
        asked: Is filled while the trial runs: the value of each, and its distribution as Optuna
            writes it in JSON.
    """

    guesses: Mapping[str, Value]
    asked: dict[str, tuple[Value, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialSpec:
    """One attempt at one trial of a sweep.

    Attributes:
        sweep: Identifier of the sweep, constant for its life.
        trial: Trial number, from 0.
        attempt: Number of the attempt at this trial, from 1; 0 for a determinism check.
        seed: Decides everything random in the attempt; 32 bits; equal for every attempt.
        config: Every parameter of the experiment that the space sets (sampled, fixed, expanded).
        checkpoint: Keeps the state of a long training; None where nothing is to be saved. An
            experiment may leave it alone: its trials then begin anew after a kill.
        open: Of an objective function that searches; None where `config` has all parameters.
    """

    sweep: str
    trial: int
    attempt: int
    seed: int
    config: Mapping[str, Value]
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)
    open: OpenParameters | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> str:
        """`<trial>-<attempt>`, zero-padded so that it sorts; names records, runs and files."""
        return f"{self.trial:04d}-{self.attempt}"


@dataclass(frozen=True)
class Stop:
    """The framework's request to end a trial now: `pruned`, `interrupt`, `terminate`, ..."""

    reason: str


OnEpoch = Callable[[int, Mapping[str, float]], Stop | None]
"""Called with (epoch from 0, per-epoch metrics); returns None (go on) or a `Stop`. Never blocks."""


@dataclass(frozen=True)
class EnginePlan:
    """The way a configuration would be trained.

    Attributes:
        engine: Name of the engine that would train it.
        reason: Why this engine would be used.
        seconds: Estimated duration; None if it is not known before the training.
    """

    engine: str
    reason: str
    seconds: float | None


@dataclass(frozen=True)
class TrialResult:
    """The result of one training.

    Attributes:
        outcome: `complete` (trained to its end), `stopped` (a `Stop` ended it, or it gave itself
            up: then its reason is `pruned`) or `diverged` (a NaN or infinite value ended it).
        stop_reason: `early_stopping`, `max_epochs`, the `Stop`'s reason, `diverged`, or what else
            ended it, in one word.
        metrics: Headline metrics, finite numbers only; empty when diverged before one epoch.
        history: Per-epoch metrics by name, each a list with a value per epoch; finite values, NaN
            only in the last epoch of a diverged trial.
        arrays: Arrays to keep, by name. Reports use `confusion` (epochs, classes, classes),
            unsigned, [true, predicted], after each epoch (or one, of the best epoch), and
            `validation_logits` (n_validation, classes), float32, from the restored best weights.
        weights: Best-epoch weights by name, or None if the experiment has none.
        timings: Durations by name; each name ends in `_seconds`.
        summary: Text that describes the trained model.
        engine: Name of the engine that trained it.
        engine_reason: Why this engine, in a few words.
        info: JSON-compatible facts that `draw` needs, such as class names, or `load_model`, such as
            the temperature of the model's probabilities.
    """

    outcome: Literal["complete", "stopped", "diverged"]
    stop_reason: str
    metrics: Mapping[str, float]
    history: Mapping[str, list[float]]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    weights: Mapping[str, np.ndarray] | None = field(default=None, repr=False)
    timings: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    engine: str = ""
    engine_reason: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)


class Experiment(Protocol):
    """The members that every experiment has; `examples/sklearn_digits.py` is a complete example.

    All methods except `train`, `warm_up` and `load_model` must work without importing TensorFlow.
    Mistakes of the user (data, configuration) raise ValueError or OSError; the message says what
    was received, what is allowed and how to fix it. The framework shows it and exits with code 2.
    """

    name: str
    parameters: Mapping[str, ParameterInfo]
    metrics: Mapping[str, MetricInfo]
    measures: Mapping[str, str]
    """Numbers known before training, which constraints may use: name -> description."""

    def check(self, config: Mapping[str, Value]) -> None:
        """Raise ValueError if the configuration is impossible.

        A UsageError in its place ends the command: nothing is wrong with the configuration, but
        this machine cannot train it.
        """
        ...

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load and split the data of a source; None means the experiment's own data."""
        ...

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Compute the `measures` of a configuration."""
        ...

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Return the way this configuration would be trained; trains nothing."""
        ...

    def warm_up(self) -> None:
        """Import and configure everything that training needs; called once per process.

        A process that is forked from one that has called it may call it again.

        If it starts no threads, workers are forked from one warm process, in milliseconds.
        Otherwise each worker is a new process that warms up by itself.
        """
        ...

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train one configuration, calling `on_epoch` after each epoch."""
        ...

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Return the contents of files for people, by name (`loss_curves.png`, ...)."""
        ...

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild a trained model from a record's configuration and weights.

        `info` holds the `info` of the data, and the entries that the result's `info` adds.
        """
        ...


_process = SimpleNamespace(only_trains=False)


def only_trains() -> bool:
    """Return whether this process does nothing but train: a worker, or the server that forks them.

    There an experiment may leave out what no training needs, even what others would miss.
    """
    return bool(_process.only_trains)


def begin_only_training() -> None:
    """Declare that this process does nothing but train from now on; workers call it."""
    _process.only_trains = True
