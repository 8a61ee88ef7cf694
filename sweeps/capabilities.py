"""Capabilities: optional members of an experiment, beyond the contract.

An experiment has a capability if it has its members: `isinstance` with a protocol that can be
asked at run time, `hasattr` where one member is enough or where several kinds of experiment share
one. Features that need a missing capability are left out. If a member raises, or answers with what
cannot be used, the command names it and its line (`ExperimentError`); a report is written without
that part, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from search_spaces.parameters import Value
from sweeps.experiment import EnginePlan, OnEpoch, PreparedData, TrialResult, TrialSpec

__all__ = [
    "BY_SAMPLE",
    "FOLDS_A_REPEAT",
    "GROUPS",
    "PREDICTIONS",
    "REPEATS_A_DRAWING",
    "SAMPLES",
    "CalibrationTerms",
    "Evaluated",
    "Fold",
    "Signature",
    "SupportsCalibration",
    "SupportsEngines",
    "SupportsEnsemble",
    "SupportsEnsembleExport",
    "SupportsExamination",
    "SupportsExport",
    "SupportsFiles",
    "SupportsFolds",
    "SupportsPages",
    "SupportsRecognition",
    "SupportsRefit",
    "SupportsRequirements",
    "SupportsSamples",
    "SupportsSaving",
    "SupportsServing",
    "SupportsTestSet",
    "SupportsVerification",
    "SupportsWarmUpFor",
    "TestSet",
    "Trained",
    "rolling_origin",
]


FOLDS_A_REPEAT = 4
"""Folds of one repeat, which together score every sample once."""
REPEATS_A_DRAWING = 10_000
"""Repeats of one drawing of folds: their numbers follow one another, those of the next behind."""
BY_SAMPLE = "_by_sample"
"""The end of the name of an array with the values of a metric, sample by sample."""
SAMPLES = "fold_samples"
"""The array with the numbers of these samples."""
GROUPS = "fold_groups"
"""The array with the group of each, where samples of a group are alike."""
PREDICTIONS = "fold_predictions"
"""The array with the predictions of these samples: of a classifier, the probabilities."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A division of the data, in which one fold scores a training and the rest trains it.

    Attributes:
        data: The data of the training, as `prepare` returns them; `train` scores it on the samples
            of the fold, and on nothing else.
        samples: (n,) the number of each sample of the fold, from 0, in the order of their scores.
        groups: (n,) the number of its group, such as a patient, of which all samples are in one
            fold; None where samples are independent. Groups are then compared in their place.
    """

    data: PreparedData
    samples: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)


@runtime_checkable
class SupportsFolds(Protocol):
    """Capability: the data can be divided anew, so that `sweeps confirm` works.

    Trials are trained again on fresh folds and compared by the objective, or another metric of the
    experiment (`confirm: {metric: ...}` in a space). `train` keeps an array of the metric's name
    and `_by_sample`, such as `val_mae_by_sample`: (n,) the value of each sample of the fold, whose
    mean is the metric; `sweeps.by_sample` returns it for AUC, R2, RMSE, F1 and others as well.
    Samples and seeds then count as two sources of chance. Without such an array the metric of the
    trial is one number per fold, which tells less.

    An experiment whose search trains on fewer samples than a fold, as a cross-validation of a part
    of them does, says `searches_on_less = True`: then its scores of both are not compared.

    An experiment whose samples are in time order has folds of `rolling_origin`, keeps no such array
    and says so by an attribute, `ordered = True`.
    """

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterable[Fold]:
        """Divide the samples that scored no trial of the search into n folds.

        Samples that scored the search, its validation part, may train but not score. A generator
        is welcome: one fold is taken at a time.

        Args:
            data: The data of the search.
            seed: Number of the repeat; another one divides the same samples otherwise.
            n: Number of folds; each sample is in one of them.
        """
        ...


def rolling_origin(rows: int, seed: int, n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Divide rows in time order into n folds, each of which follows all rows that train it.

    At the first fold about half of the rows are past; then each fold joins the past of the next
    (rolling origin: Tashman 2000, International Journal of Forecasting 16, 437-450). All folds are
    of one size. With another seed they begin elsewhere, by less than a fold.

    Args:
        rows: Number of rows, the oldest first.
        seed: Number of the repeat.
        n: Number of folds.

    Yields:
        The numbers of the rows that train, and of those that score.

    Raises:
        ValueError: There are too few rows.
    """
    size = rows // (2 * n)
    if size == 0:
        raise ValueError(
            f"{rows} rows in time order; {2 * n} or more can be divided into {n} folds"
        )
    first = rows - n * size - int(np.random.default_rng(seed).integers(size))
    for begin in range(first, first + n * size, size):
        yield np.arange(begin), np.arange(begin, begin + size)


class SupportsRefit(Protocol):
    """Capability of an experiment with `folds`: `confirm --refit` trains the champion on all data.

    Its metric `best_epoch`, of trainings on folds, says for how long, if they have epochs.
    """

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train one configuration on all data of the search, but not on a test set.

        Args:
            spec: The attempt.
            data: The data of the search, whose validation part is to train as well.
            epochs: Number of epochs; 1 if trainings on folds have no more.
            on_epoch: Called after each epoch.

        Returns:
            The result, with weights. It has no score, since no sample is left to score it.
        """
        ...


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The score of predictions, or of a model, by the names that `train` gives that of a fold.

    Attributes:
        metrics: The metrics.
        arrays: Of a metric that is known of each sample, the array of its name and `_by_sample`:
            (n,) the values, see `SupportsFolds`.
    """

    metrics: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)


@runtime_checkable
class SupportsEnsemble(Protocol):
    """Capability: trials of a search can answer together, by the weighted mean of predictions.

    `sweeps best --ensemble` selects and judges such an ensemble by what the trials kept; nothing is
    trained. A small example is `VotingExperiment` in tests/sweeps/voting_experiment.py.
    """

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        """Return (n, ...) the recorded predictions of the validation samples, in a fixed order.

        Their mean over trials is a prediction as well: probabilities, or expected values. n may be
        less than the number of validation samples, of which they are the first then. None if the
        trial kept none.

        Args:
            result: The recorded result, with its arrays.
            data: The data of the search.
        """
        ...

    def validation_truth(self, data: PreparedData) -> np.ndarray | None:
        """Return (n_validation, ...) the true values in that order; None: there is no ensemble."""
        ...

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        """Score predictions (n, ...) of any samples, as `train` does.

        Metrics that need a model are left out. An array `..._by_sample` has the value of each
        sample, whatever the others are: the samples may come several times.
        """
        ...


@dataclass(frozen=True, eq=False)
class TestSet:
    """Samples that no training, and no choice between models, has used.

    Attributes:
        digest: SHA-256 (hex) of the samples; evaluations of the test set are counted by it.
        inputs: (n, ...) as a loaded model takes them; several inputs as the experiment likes.
        labels: (n,) the class of each sample, from 0; for `evaluate` its true values, of any form.
        samples: Number of samples; None: as many as there are labels.
    """

    __test__ = False  # keeps pytest from collecting a class whose name begins with Test

    digest: str
    inputs: Any = field(repr=False)
    labels: Any = field(repr=False)
    samples: int | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels) if self.samples is None else self.samples


class SupportsTestSet(Protocol):
    """Capability: a test set, which `confirm --test` uses, and nothing before it.

    The experiment keeps the weights of its trainings (`TrialResult.weights`), so that `load_model`
    brings them back. It may have `load_network`, with the arguments of `load_model`, where
    `evaluate` takes less than the model that users get.
    """

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test set of a source (None: the experiment's own data); None without one."""
        ...

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        """Score a loaded model on the test set, as `train` scores a training on its fold.

        The metric of the comparison is a must.
        """
        ...


@dataclass(frozen=True, eq=False)
class CalibrationTerms:
    """The calibration error of one configuration's trainings, sample by sample.

    Attributes:
        temperatures: (trainings,) the number that the logits of each training are divided by; it
            was fitted on none of these samples.
        before: (trainings, n) by the name of a measure, before the division: the mean over all is
            the measure. `ece`: expected calibration error; `nll`: negative log-likelihood, nats. n
            is the size of the largest fold; values beyond the end of a smaller one are ignored.
        after: The same, after the division.
    """

    temperatures: Sequence[float]
    before: Mapping[str, np.ndarray] = field(repr=False)
    after: Mapping[str, np.ndarray] = field(repr=False)


@runtime_checkable
class SupportsCalibration(Protocol):
    """Capability of an experiment with `folds`: it measures whether calibration helps.

    The facts of a training (`TrialResult.info`) have the `temperature` that it fitted. A model that
    is trained on all samples (`confirm --refit`) is given that of the confirmation there, because
    no sample is left to fit one on.
    """

    def calibration_terms(
        self, results: Sequence[TrialResult], data: PreparedData
    ) -> CalibrationTerms | None:
        """Return the terms of each sample of each fold; None if a training lacks the arrays for it.

        Args:
            results: One configuration on several folds; their array `fold_samples` has the numbers
                of the samples.
            data: The data of the search.
        """
        ...


@runtime_checkable
class SupportsWarmUpFor(Protocol):
    """Capability: what a training imports depends on its configuration.

    Then `warm_up_for` is called in the place of `warm_up` wherever trainings follow.
    """

    def warm_up_for(
        self, configs: Sequence[Mapping[str, Value]], say: Callable[[str], None]
    ) -> None:
        """Make ready what such trainings need; see `Experiment.warm_up`.

        Args:
            configs: Configurations that trials may have, the baselines' among them. A trial may
                have another one, and then makes ready by itself what that needs.
            say: Shows a line to the user at once, such as why this takes long.
        """
        ...


class SupportsRequirements(Protocol):
    """Capability: it is known which packages its trainings import, beyond those of the framework.

    If one is not installed, a command that trains or rebuilds a model says so before it begins;
    commands that only read need none of them.
    """

    requires: Sequence[str]
    """Names to import, such as `torch`."""


@runtime_checkable
class SupportsRecognition(Protocol):
    """Capability: which engine trains a configuration shows once its model is built."""

    def recognise(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Answer as `plan` does, from the built model; only plans of sweeps ask.

        Raises:
            ValueError: The model cannot be built.
        """
        ...


@runtime_checkable
class SupportsEngines(Protocol):
    """Capability: another engine can repeat a training, to show how far the two are apart."""

    engines: Sequence[str]
    """Names of the engines that can, such as `keras`."""

    def train_by(
        self, engine: str, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train as `train` does, from the same weights, on the samples in the same order.

        What that needs, it imports by itself: nothing was warmed up.

        Returns:
            The result; its `engine_reason` says in one line what the two cannot have in common,
            such as dropout; empty if nothing.

        Raises:
            ValueError: The engine cannot train this configuration.
        """
        ...


class SupportsExport(Protocol):
    """Capability: trained models can be exported, to be used without the framework."""

    def export(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        """Write the trained model, and the preparation of its inputs, into a folder.

        Args:
            config: The trial's configuration.
            weights: As in `TrialResult.weights`.
            info: As for `load_model`.
            folder: An empty folder; the framework adds configuration and README.

        Returns:
            A few lines of Python that, run in the folder, load the model and predict.
        """
        ...


class SupportsEnsembleExport(Protocol):
    """Capability of a `SupportsEnsemble` with `export`: an ensemble is exported as one model.

    Without it the members are exported one by one, beside code that returns the mean of what they
    predict: the lines of `export` are to leave the loaded model in the variable `model`.
    """

    def export_ensemble(
        self,
        models: Sequence[Any],
        weights: Sequence[float],
        info: Mapping[str, Any],
        data: PreparedData,
        folder: Path,
    ) -> tuple[str, np.ndarray]:
        """Write the weighted mean of some models as one model into a folder.

        Args:
            models: The models of `load_model`.
            weights: Their weights, which sum to 1.
            info: As for `load_model`, of the first of them.
            data: The data of the search.
            folder: An empty folder; the framework adds configuration and README.

        Returns:
            Python code as that of `export`, and what the model predicts of the validation samples,
            as `validation_predictions` has it.
        """
        ...


@runtime_checkable
class SupportsFiles(Protocol):
    """Capability: attempts write files, which become artifacts of their runs."""

    def train_in(
        self, folder: Path, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train one configuration, as `Experiment.train` does; called in its place.

        Args:
            folder: An empty folder for this attempt alone. When the attempt ends, in whatever way,
                its regular files, at most 1000 files and 64 MB, are kept with its record. If its
                process was killed, the last lines of `stdout.txt` and `stderr.txt` are part of the
                attempt's error.
            spec: The attempt.
            data: The data it is trained on.
            on_epoch: Called after each epoch.
        """
        ...


@runtime_checkable
class SupportsVerification(Protocol):
    """Capability: a rebuilt model can be compared with the recorded one.

    A confirmation then verifies its champion, and `sweeps export` writes only models that give the
    same answers as when they were trained.
    """

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return the recorded arrays of logits, by name, as the rebuilt model computes them now.

        Args:
            model: The model of `load_model`, from the trial's configuration and weights.
            config: The trial's configuration.
            data: The data of the trial, prepared again; their digests were compared.
        """
        ...


@runtime_checkable
class SupportsSaving(Protocol):
    """Capability of a `SupportsVerification`: models can be saved in a format of their library.

    The verified champion is saved so; the files are artifacts of its run in MLflow.
    """

    def save_model(self, model: Any, folder: Path) -> None:
        """Write a model of `load_model` into an empty folder, such as `model.keras`."""
        ...


@runtime_checkable
class SupportsSamples(Protocol):
    """Capability: people can look at the validation samples.

    A report then shows which samples are misclassified, and whether two trials fail on the same. It
    needs `TrialResult.arrays["validation_logits"]`, (n_validation, classes) of the best epoch, and
    data with the digests of the sweep's.
    """

    def validation_labels(self, data: PreparedData) -> np.ndarray:
        """Return (n_validation,) the class of each sample, in the order of `validation_logits`."""
        ...

    def picture(self, data: PreparedData, index: int) -> bytes:
        """Return one validation sample as a PNG."""
        ...


@runtime_checkable
class SupportsExamination(Protocol):
    """Capability: the experiment reports the mistakes of a trained trial.

    The finalists' runs in MLflow have them as `evaluation/`.
    """

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return files by name, made from recorded arrays alone; each call returns the same ones.

        It trains nothing and imports nothing that trains. The command shows `summary.txt` (plain
        text, with the essentials in its first paragraph); its `--json` includes
        `diagnostics.json`.

        Args:
            config: The trial's configuration.
            data: The data of the trial, prepared again; their digests were compared.
            result: The recorded result, with arrays and without weights.

        Raises:
            ValueError: Too little of the trial was kept; the message says what is missing.
        """
        ...


@dataclass(frozen=True, eq=False)
class Trained:
    """A recorded training with its result and its weights.

    Attributes:
        name: Name for people, such as `mlp, trial 12`.
        config: Its configuration.
        result: The recorded result, with arrays.
        weights: Weights of its best epoch, by name; None if they were not kept.
    """

    name: str
    config: Mapping[str, Value]
    result: TrialResult = field(repr=False)
    weights: Mapping[str, np.ndarray] | None = field(repr=False)


@runtime_checkable
class SupportsPages(Protocol):
    """Capability: the experiment makes interactive pages of a training.

    The run of a sweep's champion in MLflow has the pages as `interactive/`.
    """

    def pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        """Return files by name, such as self-contained HTML; each call returns the same ones.

        It imports nothing that trains.

        Args:
            data: The data of the training, prepared again; their digests were compared.
            trained: The champion.
            beside: Another training on the same data, for comparison; None without one.

        Raises:
            ValueError: Too little was kept; the message says what is missing.
        """
        ...


@dataclass(frozen=True)
class Signature:
    """The input and the output of a served model.

    Attributes:
        example: An example of a request, (n, ...). Every request has this dtype and this shape,
            except n.
        output_shape: Shape of the float32 output for one input; -1 where only the model knows it.
    """

    example: np.ndarray
    output_shape: tuple[int, ...]


class SupportsServing(Protocol):
    """Capability: the best model is registered in MLflow, which can serve it."""

    def signature(self, info: Mapping[str, Any]) -> Signature | None:
        """Return the signature of `predict`, from the `info` of `load_model`; None if unknown."""
        ...

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs of a loaded model for inputs (n, ...).

        Raises:
            ValueError: The inputs do not fit; the message says what is wrong.
        """
        ...
