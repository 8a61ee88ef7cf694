"""The experiment of a confirmation: it trains and judges configurations on fresh folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from digitexp.calibration import HIGHEST, LOWEST, measured_terms
from digitexp.chain import Optimizer
from digitexp.config import TrialConfig
from digitexp.data import load_source, split_source
from digitexp.data.source import Source
from digitexp.data.splits import FoldIndices, Split, make_fold
from digitexp.diagnostics import Answers
from digitexp.experiments.digits import (
    DigitExperiment,
    Digits,
    facts_of,
    kept_logits,
    trained_trial,
    trial_config,
)
from digitexp.metrics import OF_TRAINING, accuracy, cross_entropy
from digitexp.models import chain_of
from digitexp.trained import ShownTrial, logits_of
from digitexp.training.engines import engine_of
from digitexp.training.outcome import TrainingData
from sweeps.capabilities import CalibrationTerms, TestSet, Trained
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
_KEPT = ("best_val_accuracy", "train_accuracy", *OF_TRAINING)


@dataclass(frozen=True)
class SplitSource:
    """The images of a source and the search's split of them, from which folds are made."""

    source: Source = field(repr=False)
    split: Split

    def fold_of(self, config: Mapping[str, Value]) -> FoldIndices:
        """Return the fold that a configuration names."""
        number = int(config.get(FOLD) or 0) + _MOST_FOLDS * int(config.get(FRESH) or 0)
        return make_fold(self.source.labels, self.split, number)

    def arrays(self, fold: FoldIndices) -> TrainingData:
        """Return the arrays of a fold."""
        train, inner = fold.train_indices, fold.inner_indices
        own = replace(self.split, train_indices=train, validation_indices=inner)
        return TrainingData.of_split(self.source, own)

    def everything(self) -> TrainingData:
        """Return all images to train on.

        The search's validation set, which is among them, also validates each epoch.
        """
        every = np.arange(len(self.source.labels))
        return TrainingData.of_split(self.source, replace(self.split, train_indices=every))


class DigitsOnFolds(Digits):
    """Digits on fresh folds: the parameter `block` names the fold; three more change the training.

    The seed of a trial follows from its fold, so that every finalist meets a fold under the same
    seed. `fresh` draws other folds, with other seeds. With `refit_epochs` a trial is trained that
    many epochs on everything but the test set. The epoch with the smallest loss on the search's
    validation set, which it was trained on, is kept. No image is left to judge it on, or to fit a
    temperature on: it answers at the `temperature` that it is given.

    `best_val_accuracy` is of the images that early stopping watches; on a fold, the inner part.
    """

    name = "digits-on-blocks"
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
            optional=True,
            description="train on all images, this many epochs",
        ),
        TEMPERATURE: ParameterInfo(
            "float",
            low=LOWEST,
            high=HIGHEST,
            optional=True,
            description="of the probabilities of a network trained on all images",
        ),
    }
    metrics: Mapping[str, MetricInfo] = {
        "block_accuracy": MetricInfo("maximize", None, "share right of the fold's images"),
        "block_cross_entropy": MetricInfo("minimize", None, "of the fold's images, nats"),
        **{name: DigitExperiment.metrics[name] for name in _KEPT},
    }
    measures: Mapping[str, str] = {}

    def _config(self, config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
        own = {name: value for name, value in config.items() if name not in (*_OWN, *_FORMER)}
        return trial_config(own, seed)

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load a source and split off the search's validation set."""
        loaded = load_source(source)
        split = split_source(loaded, split_seed)
        info = {
            "n_v0": len(split.validation_indices),
            "n_pool": len(split.train_indices),
            **facts_of(loaded, split_seed),
        }
        payload = SplitSource(loaded, split)
        return PreparedData(loaded.name, loaded.digest, split.digest, info, payload)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return no numbers: constraints need none here."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine, the reason and about how many seconds all epochs take."""
        pool: SplitSource = data.payload
        return self._plan(config, pool.arrays(pool.fold_of({})))

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train on a fold and judge the best epoch on the fold's own images."""
        pool: SplitSource = data.payload
        fold = pool.fold_of(spec.config)
        config = dict(spec.config)
        refit = config.get(REFIT)
        if refit:
            config |= {"epochs": refit, "early_stopping_patience_epochs": None}
        arrays = pool.everything() if refit else pool.arrays(fold)
        result = self._train(self._config(config, fold.seed % 2**32), arrays, spec, on_epoch)
        if result.weights is None:
            return replace(result, metrics={})
        if refit:
            of_training = {name: result.metrics[name] for name in OF_TRAINING}
            info = {**result.info, TEMPERATURE: float(spec.config.get(TEMPERATURE) or 1.0)}
            return replace(result, metrics=of_training, info=info)
        network = self.load_network(config, result.weights, data.info)
        logits = self.logits(network, pool.source.images[fold.evaluation_indices])
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
        return replace(result, metrics=metrics, arrays=kept, info=info)

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return the evaluation of a training on its fold's own images, which it did not see.

        Raises:
            ValueError: The training has no logits to judge: it was on all images, or diverged.
        """
        from digitexp.plots.evaluation import evaluation_files

        pool: SplitSource = data.payload
        logits = kept_logits(result, "block_logits")
        numbers = result.arrays["block_images"]
        answers = Answers(
            images=pool.source.images[numbers],
            labels=pool.source.labels[numbers],
            logits=logits,
            class_names=pool.source.class_names,
            part=f"fold {config.get(FOLD) or 0}",
            train_accuracy=result.metrics.get("train_accuracy"),
            image_numbers=numbers,
        )
        return evaluation_files(answers)

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a training as the interactive pages show it, on its fold's own images.

        A training on all images is shown on the search's validation set, which is among them.
        """
        pool: SplitSource = data.payload
        asked, about = trained.config, {**data.info, "name": data.name}
        trial = trained_trial(trained, self._recorded(asked), about)
        if asked.get(REFIT):
            return trial.shown_on(
                pool.everything(), "the search's validation set, trained on as well"
            )
        number = int(asked.get(FOLD) or 0)
        fold, part = pool.fold_of(asked), f"the images of fold {number}"
        own = fold.evaluation_indices
        images, labels = pool.source.images[own], pool.source.labels[own]
        return trial.shown_on(pool.arrays(fold), part, images, labels, own)

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return the logits of its fold's own images; of a refit, those of the validation set."""
        pool: SplitSource = data.payload
        if config.get(REFIT):
            images = pool.everything().validation_images
            return {"validation_logits": logits_of(model, images)}
        fold = pool.fold_of(config)
        return {"block_logits": logits_of(model, pool.source.images[fold.evaluation_indices])}

    def labels(self, data: PreparedData) -> np.ndarray:
        """Return (images,) the class of each image of the source."""
        pool: SplitSource = data.payload
        return pool.source.labels

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test images of a source, a row each; None if it has none."""
        test = load_source(source).test
        if test is None:
            return None
        rows = test.images.reshape(len(test.images), -1).astype(np.float32)
        return TestSet(test.digest, rows, test.labels)

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

    def load_network(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild a network for `logits`: one of Keras, or a chain that needs no TensorFlow.

        Arguments as for `load_model`.
        """
        own = self._recorded(config)
        if engine_of(own)[0] == "keras":
            return self.load_model(config, weights, info)
        from digitexp.training.compiled.net import CompiledNet

        chain = chain_of(own, tuple(info["image_shape"]), len(info["class_names"]))
        return CompiledNet(chain, Optimizer(), weights, seed=0)

    def logits(self, network: Any, inputs: np.ndarray) -> np.ndarray:
        """Return logits (n, classes), float32, of images (n, ...) by a loaded network."""
        if not hasattr(network, "forward"):
            return logits_of(network, inputs)
        rows = np.ascontiguousarray(inputs.reshape(len(inputs), -1), np.float32)
        logits: np.ndarray = network.forward(rows)[0]
        return logits


DigitsOnBlocks = DigitsOnFolds
"""Its former name, for programs."""

experiment: Experiment = DigitsOnFolds()
"""The object that the space of a confirmation names."""
