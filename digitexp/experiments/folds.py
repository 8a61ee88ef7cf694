"""The experiment of a confirmation: it trains and judges configurations on fresh folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.data import load_source, split_source
from digitexp.data.loading import TITLES
from digitexp.data.source import Source
from digitexp.data.splits import Fold, Indices, Split, make_fold
from digitexp.evaluation.calibration import HIGHEST, LOWEST, measured_terms
from digitexp.experiments.digits import DigitExperiment, WithPages, trained_trial, trial_config
from digitexp.metrics import accuracy, cross_entropy
from digitexp.trained import ShownTrial, logits_of
from digitexp.training.outcome import TrainingData
from sweeps.capabilities import CalibrationTerms, Signature, TestSet, Trained
from sweeps.experiment import (
    EnginePlan,
    Experiment,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)

FOLD, REFIT, TEMPERATURE, FRESH = "block", "refit_epochs", "temperature", "fresh"
_OWN = (FOLD, FRESH, REFIT, TEMPERATURE)
_FORMER = ("again", "search_split", "fold_train_share")
"""In trainings that earlier versions recorded: their pictures are drawn without them."""
_MOST_FOLDS = 10_000
"""Folds of one drawing, a multiple of four: those of the next one have numbers behind them."""
_OF_TRAINING = ("best_epoch", "epochs", "train_seconds", "parameters")
_KEPT = ("best_val_accuracy", "train_accuracy", *_OF_TRAINING)


@dataclass(frozen=True)
class Pool:
    """The images of a source and the search's split of them, from which folds are made."""

    source: Source = field(repr=False)
    split: Split

    def fold_of(self, config: Mapping[str, Value]) -> Fold:
        """Return the fold that a configuration names."""
        number = int(config.get(FOLD) or 0) + _MOST_FOLDS * int(config.get(FRESH) or 0)
        return make_fold(self.source.labels, self.split, number)

    def arrays(self, fold: Fold) -> TrainingData:
        """Return the arrays of a fold."""
        return self._arrays(fold.train_indices, fold.inner_indices)

    def everything(self) -> TrainingData:
        """Return all images to train on.

        The search's validation set, which is among them, also validates each epoch.
        """
        return self._arrays(np.arange(len(self.source.labels)), self.split.validation_indices)

    def _arrays(self, train: Indices, validation: Indices) -> TrainingData:
        source = self.source
        return TrainingData.from_split(
            source.images, source.labels, train, validation, source.class_names
        )


class DigitsOnFolds(WithPages):
    """Digits on fresh folds: the parameter `block` names the fold; three more change the training.

    The seed of a trial follows from its fold, so that every finalist meets a fold under the same
    seed. `fresh` draws other folds, with other seeds. With `refit_epochs` a trial is trained that
    many epochs on everything but the test set. The epoch with the smallest loss on the search's
    validation set, which it was trained on, is kept. No image is left to judge it on, or to fit a
    temperature on: it answers at the `temperature` that it is given.

    `best_val_accuracy` is of the images that early stopping watches; on a fold, the inner part.
    """

    name = "digits-on-blocks"
    revision = DigitExperiment.revision
    parameters: Mapping[str, ParameterInfo] = {
        **DigitExperiment.parameters,
        FOLD: ParameterInfo(
            "int", low=0, high=_MOST_FOLDS - 1, default=0, description="fresh fold"
        ),
        FRESH: ParameterInfo(
            "int", low=0, high=9999, default=0, description="number of the drawing of folds"
        ),
        REFIT: ParameterInfo(
            "int",
            low=1,
            high=10_000,
            default=None,
            optional=True,
            description="train on all images, this many epochs",
        ),
        TEMPERATURE: ParameterInfo(
            "float",
            low=LOWEST,
            high=HIGHEST,
            default=None,
            optional=True,
            description="of the probabilities of a network trained on all images",
        ),
    }
    metrics: Mapping[str, MetricInfo] = {
        "block_accuracy": MetricInfo("maximize", None, "share right of the fold's images"),
        "block_cross_entropy": MetricInfo("minimize", None, "of the fold's images, nats"),
        **{name: DigitExperiment.metrics[name] for name in _KEPT},
    }
    requires = DigitExperiment.requires
    measures: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._digits = DigitExperiment()

    def check(self, config: Mapping[str, Value]) -> None:
        """Raise ValueError if the configuration is impossible."""
        self._digits.check(_without_fold(config))

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load a source and split off the search's validation set."""
        loaded = load_source(source)
        split = split_source(loaded, split_seed)
        info = {
            "n_v0": len(split.validation_indices),
            "n_pool": len(split.train_indices),
            "split_seed": split_seed,
            "image_shape": list(loaded.images.shape[1:]),
            "class_names": list(loaded.class_names),
            "policies": list(loaded.policies),
            "title": TITLES.get(loaded.name, loaded.name),
        }
        return PreparedData(loaded.name, loaded.digest, split.digest, info, Pool(loaded, split))

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return no numbers: constraints need none here."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine, the reason and about how many seconds all epochs take."""
        arrays = data.payload.arrays(data.payload.fold_of({}))
        search = PreparedData(data.name, data.digest, data.split_digest, data.info, arrays)
        return self._digits.plan(_without_fold(config), search)

    def warm_up(self) -> None:
        """Import and configure TensorFlow."""
        self._digits.warm_up()

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train on a fold and judge the best epoch on the fold's own images."""
        pool: Pool = data.payload
        fold = pool.fold_of(spec.config)
        config = _without_fold(spec.config)
        refit = spec.config.get(REFIT)
        if refit:
            config |= {"epochs": refit, "early_stopping_patience_epochs": None}
        own = replace(spec, seed=fold.seed % 2**32, config=config)
        arrays = pool.everything() if refit else pool.arrays(fold)
        inner = PreparedData(data.name, data.digest, data.split_digest, data.info, arrays)
        result = self._digits.train(own, inner, on_epoch)
        if result.weights is None:
            return TrialResult(**{**vars(result), "metrics": {}})
        if refit:
            of_training = {name: result.metrics[name] for name in _OF_TRAINING}
            info = {**result.info, TEMPERATURE: float(spec.config.get(TEMPERATURE) or 1.0)}
            return TrialResult(**{**vars(result), "metrics": of_training, "info": info})
        model = self._digits.load_model(config, result.weights, data.info)
        logits = self.logits(model, _rows(pool.source.images[fold.evaluation_indices]))
        labels = pool.source.labels[fold.evaluation_indices].astype(np.int32)
        metrics = {
            "block_accuracy": accuracy(logits, labels),
            "block_cross_entropy": cross_entropy(logits, labels),
            **{name: result.metrics[name] for name in _KEPT if name in result.metrics},
        }
        judged = {
            "block_correct": (logits.argmax(axis=1) == labels).astype(np.uint8),
            "block_images": fold.evaluation_indices.astype(np.int32),
            "block_labels": labels,
            "block_logits": logits,
        }
        kept = {"confusion": result.arrays["confusion"], **judged}
        info = {**result.info, "n_train": len(arrays.train_labels)}
        return TrialResult(**{**vars(result), "metrics": metrics, "arrays": kept, "info": info})

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw loss curves and confusion matrix of the part that stopped it early."""
        config = _without_fold(spec.config)
        return self._digits.draw(
            TrialSpec(spec.sweep, spec.trial, spec.attempt, spec.seed, config), result
        )

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return the evaluation of a training on its fold's own images, which it did not see.

        Raises:
            ValueError: The training has no logits to judge: it was on all images, or diverged.
        """
        from digitexp.plots.evaluation import evaluate_fold

        pool, kept = data.payload, result.arrays
        part, numbers = f"fold {config.get(FOLD) or 0}", kept.get("block_images")
        logits = kept.get("block_logits")
        return evaluate_fold(pool.source, numbers, logits, part, result.metrics)

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a training as the interactive pages show it, on its fold's own images.

        A training on all images is shown on the search's validation set, which is among them.
        """
        pool: Pool = data.payload
        asked, about = trained.config, {**data.info, "name": data.name}
        trial = trained_trial(trained, trial_config(_without_fold(asked)), about)
        if asked.get(REFIT):
            return trial.shown_on(
                pool.everything(), "the search's validation set, trained on as well"
            )
        number = int(asked.get(FOLD) or 0)
        fold, part = pool.fold_of(asked), f"the images of fold {number}"
        own = fold.evaluation_indices
        images, labels = pool.source.images[own], pool.source.labels[own]
        return trial.shown_on(pool.arrays(fold), part, images, labels, own)

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild the model, see `DigitExperiment.load_model`."""
        return self._digits.load_model(_without_fold(config), weights, info)

    def export(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        """Write the model for use elsewhere, see `DigitExperiment.export`."""
        return self._digits.export(_without_fold(config), weights, info, folder)

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return the logits of its fold's own images."""
        pool: Pool = data.payload
        if config.get(REFIT):
            return {}
        fold = pool.fold_of(config)
        return {"block_logits": logits_of(model, pool.source.images[fold.evaluation_indices])}

    def signature(self, info: Mapping[str, Any]) -> Signature:
        """Return the signature of `predict`, see `DigitExperiment.signature`."""
        return self._digits.signature(info)

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return class probabilities, see `DigitExperiment.predict`."""
        return self._digits.predict(model, inputs)

    def labels(self, data: PreparedData) -> np.ndarray:
        """Return (images,) the class of each image of the source."""
        pool: Pool = data.payload
        return pool.source.labels

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test images of a source, a row each; None if it has none."""
        test = load_source(source).test
        return None if test is None else TestSet(test.digest, _rows(test.images), test.labels)

    def calibration_terms(self, results: Sequence[TrialResult]) -> CalibrationTerms | None:
        """Return the terms of each image in calibration error and negative log-likelihood.

        Temperatures were fitted on the images that early stopping watched. The bins of the
        calibration error hold the answers of all trainings together. None is returned for
        trainings without a fitted temperature.
        """
        if any("block_labels" not in r.arrays or TEMPERATURE not in r.info for r in results):
            return None  # trained before temperatures were fitted
        temperatures = np.array([float(r.info[TEMPERATURE]) for r in results])
        logits = np.stack([r.arrays["block_logits"] for r in results])
        labels = np.stack([r.arrays["block_labels"] for r in results])
        terms = measured_terms(logits, labels, temperatures[:, np.newaxis])
        return CalibrationTerms(temperatures.tolist(), *terms)

    def logits(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return logits (n, classes), float32, of images (n, pixels)."""
        return logits_of(model, inputs)


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


def _without_fold(config: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in config.items() if name not in (*_OWN, *_FORMER)}


DigitsOnBlocks = DigitsOnFolds
"""Its former name, for programs."""

experiment: Experiment = DigitsOnFolds()
"""The object that the space of a confirmation names."""
