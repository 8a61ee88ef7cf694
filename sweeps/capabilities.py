"""Capabilities: optional members of an experiment, beyond the contract.

An experiment has one by having its methods; what needs an ability that is not there is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from search_spaces.parameters import Value
from sweeps.experiment import OnEpoch, PreparedData, TrialResult, TrialSpec

__all__ = [
    "CalibrationTerms",
    "Signature",
    "SupportsCalibration",
    "SupportsCrossValidation",
    "SupportsExamination",
    "SupportsExport",
    "SupportsFiles",
    "SupportsPages",
    "SupportsSamples",
    "SupportsServing",
    "SupportsTestSet",
    "SupportsVerification",
    "SupportsVoting",
    "TestSet",
    "Trained",
]


_FORMER = {
    "Calibrates": "SupportsCalibration", "Confirms": "SupportsCrossValidation",
    "Examines": "SupportsExamination", "Exports": "SupportsExport",
    "Illustrates": "SupportsPages", "Samples": "SupportsSamples", "Serves": "SupportsServing",
    "TestPart": "TestSet", "Tests": "SupportsTestSet", "Votes": "SupportsVoting",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        raise ImportError(f"sweeps.capabilities.{name} is called {_FORMER[name]} now")
    raise AttributeError(f"module 'sweeps.capabilities' has no attribute {name!r}")


class SupportsCrossValidation(Protocol):
    """An experiment whose best trials can be judged again, on fresh folds of its data; optional.

    `cross_validation` is the import path of an experiment that takes the same parameters and one
    more, `block` (int, from 0): the trial is then judged on the samples of that fold, which scored
    no trial of a search, after training on the others, with a seed that follows from the fold. It
    prepares the same data, with the same digests. Its results have the metric `block_accuracy`
    (maximize) and the arrays `block_correct` (n,), 0 or 1, and `block_images` (n,), which images
    these are, numbers from 0. Folds 0 to 3 judge every image once, 4 to 7 again, and so on; they
    need not be of one size.

    If it also takes `search_split` (bool: train and score as the search does, with another seed)
    and has the metric `best_val_accuracy`, the selection bias of the search's best is told in its
    parts. If it takes `refit_epochs` (int: train on everything, so many epochs) and has the metric
    `epochs` (minimize), `confirm --refit` works; its results then say `best_epoch`.
    """

    cross_validation: str


class SupportsVoting(Protocol):
    """Capability of a `cross_validation` experiment: its trainings on a fold can vote.

    Its results have one array more, `block_logits` (n, classes), in the order of `block_images`.
    """

    def labels(self, data: PreparedData) -> np.ndarray:
        """Return (images,) the class of each image, at its number in `block_images`."""
        ...


@dataclass(frozen=True, eq=False)
class TestSet:
    """Samples that no training and no choice between models has seen.

    Attributes:
        digest: SHA-256 (hex) of them: readings are counted by it.
        inputs: (n, ...) as `SupportsTestSet.logits` takes them.
        labels: (n,) the class of each, from 0.
    """

    __test__ = False  # keeps pytest from collecting a class whose name begins with Test

    digest: str
    inputs: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)


class SupportsTestSet(Protocol):
    """Capability of a `cross_validation` experiment: a test set, which `confirm --test` reads."""

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test set of the experiment's own data or a named source; None without."""
        ...

    def logits(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return (n, classes), float32, the most likely class the largest, of a loaded model."""
        ...


@dataclass(frozen=True, eq=False)
class CalibrationTerms:
    """How far off the probabilities of one configuration's trainings are, image by image.

    Attributes:
        temperatures: Of each training, what its logits are divided by afterwards; fitted on none
            of these images.
        before: (trainings, n) by the name of a measure: the mean of all is the measure. `ece`:
            expected calibration error; `nll`: negative log-likelihood, nats. n is that of the
            largest fold; what stands at the end of a smaller one counts for nothing.
        after: The same, afterwards.
    """

    temperatures: Sequence[float]
    before: Mapping[str, np.ndarray] = field(repr=False)
    after: Mapping[str, np.ndarray] = field(repr=False)


@runtime_checkable
class SupportsCalibration(Protocol):
    """Capability of a `cross_validation` experiment: say whether calibration helps.

    It then takes a parameter `temperature` as well, for a network that is trained on all images
    (`confirm --refit`): none is left to fit it on.
    """

    def calibration_terms(self, results: Sequence[TrialResult]) -> CalibrationTerms | None:
        """Return what each image of each fold adds; None if a training did not keep what it takes.

        Args:
            results: One configuration on several folds; images in the order of `block_images`.
        """
        ...


class SupportsExport(Protocol):
    """An experiment whose models can leave the framework; optional."""

    def export(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        """Write the trained model, and how inputs are prepared, into a folder.

        Args:
            config: The trial's configuration.
            weights: As in `TrialResult.weights`.
            info: As for `load_model`.
            folder: Empty; the framework adds configuration and README.

        Returns:
            A few lines of Python that, run in the folder, load the model and predict.
        """
        ...


@runtime_checkable
class SupportsFiles(Protocol):
    """An experiment whose attempts write files, which become artifacts of their runs; optional."""

    def train_in(
        self, folder: Path, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Do what `Experiment.train` does; called in its place.

        Args:
            folder: Empty, and of this attempt alone. When the attempt ends, however it does, what
                lies there is kept with its record: regular files, 64 MB and 1000 of them at most.
                The last lines of `stdout.txt` and `stderr.txt` stand in the error of an attempt
                whose process was killed.
            spec: The attempt.
            data: What it is trained on.
            on_epoch: Called after each epoch.
        """
        ...


@runtime_checkable
class SupportsVerification(Protocol):
    """An experiment whose rebuilt models can be compared with what was recorded; optional.

    `sweeps export` then writes no model that answers otherwise than the one that was trained.
    """

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return recorded arrays of logits, by name, as a model of `load_model` answers now.

        Args:
            model: Rebuilt from the trial's configuration and weights.
            config: The trial's configuration.
            data: What the trial was trained on, prepared again; digests were compared.
        """
        ...


@runtime_checkable
class SupportsSamples(Protocol):
    """An experiment whose validation samples people can look at; optional.

    A report then says which samples go wrong, and whether two trials differ on the same samples.
    """

    def validation_labels(self, data: PreparedData) -> np.ndarray:
        """Return (n_validation,) the class of each sample, in the order of `validation_logits`."""
        ...

    def picture(self, data: PreparedData, index: int) -> bytes:
        """Return one validation sample as a PNG."""
        ...


@runtime_checkable
class SupportsExamination(Protocol):
    """An experiment that says what a trained trial gets wrong; optional.

    `sweeps examine` shows it, and the runs of finalists in MLflow have it as `evaluation/`.
    """

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return files by name, made from recorded arrays alone: the same ones each time.

        Trains nothing and imports nothing that trains. Of the files, `summary.txt` (plain text,
        the essentials in its first paragraph) is shown by the command, and `diagnostics.json` is
        part of what its `--json` prints.

        Args:
            config: The trial's configuration.
            data: What the trial was trained on, prepared again; digests were compared.
            result: As recorded, with arrays and without weights.

        Raises:
            ValueError: Too little was kept of the trial; says what is missing.
        """
        ...


@dataclass(frozen=True, eq=False)
class Trained:
    """A recorded training with everything it left.

    Attributes:
        name: What people call it, such as `mlp, trial 12`.
        config: Its configuration.
        result: As recorded, with arrays.
        weights: Of its best epoch, by name; None if it has none any more.
    """

    name: str
    config: Mapping[str, Value]
    result: TrialResult = field(repr=False)
    weights: Mapping[str, np.ndarray] | None = field(repr=False)


@runtime_checkable
class SupportsPages(Protocol):
    """An experiment that draws pages of a training that people can play with; optional.

    The run of a sweep's champion in MLflow has them as `interactive/`.
    """

    def pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        """Return files by name, such as self-contained HTML; the same ones each time.

        Imports nothing that trains.

        Args:
            data: What it was trained on, prepared again; digests were compared.
            trained: The champion.
            beside: Another training on the same data, to be compared with; None without one.

        Raises:
            ValueError: Too little was kept; says what is missing.
        """
        ...


@dataclass(frozen=True)
class Signature:
    """The input and the answer of a served model.

    Attributes:
        example: What a request may hold, (n, ...): every request has its dtype and its shape but n.
        output_shape: Shape of the float32 answer to one input, -1 where only the model knows.
    """

    example: np.ndarray
    output_shape: tuple[int, ...]


class SupportsServing(Protocol):
    """An experiment whose best model is registered in MLflow, which can serve it; optional."""

    def signature(self, info: Mapping[str, Any]) -> Signature | None:
        """Return what `predict` takes, by info as for `load_model`; None if that is silent."""
        ...

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Answer inputs (n, ...) by what `load_model` returned; ValueError says what is wrong."""
        ...
