"""The adapter of digits to the contract of `sweeps`; nothing is trained or measured here."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.calibration import fit_temperature, measured_terms
from digitexp.chain import Optimizer
from digitexp.config import DEFAULTS, ConfigError, TrialConfig, only_keras
from digitexp.data import Source, Split, load_source, split_source
from digitexp.data.loading import TITLES
from digitexp.data.splits import FoldIndices, fresh_folds
from digitexp.diagnostics import Answers
from digitexp.experiments.exporting import combined, save, write_for_elsewhere
from digitexp.metrics import HEADLINE_METRICS, OF_TRAINING
from digitexp.models import chain_of, count_parameters
from digitexp.numpy_functions import softmax, sparse_cross_entropy
from digitexp.parameters import PARAMETERS
from digitexp.tensorflow_setup import (
    UNUSED,
    MissingTensorFlowError,
    check_tensorflow,
    leave_out,
    set_up_tensorflow,
)
from digitexp.trained import ShownTrial, TrainedTrial, logits_of
from digitexp.training.engines import engine_of, plan_training
from digitexp.training.outcome import TrainingData, TrainingOutcome
from digitexp.weights_files import check_initial_weights
from sweeps.capabilities import (
    BY_SAMPLE,
    PREDICTIONS,
    REPEATS_A_DRAWING,
    SAMPLES,
    CalibrationTerms,
    Evaluated,
    Fold,
    Signature,
    TestSet,
    Trained,
)
from sweeps.errors import UsageError
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
    only_trains,
)
from sweeps.wording import install_command


def checked_images(images: np.ndarray, n_features: int) -> np.ndarray:
    """Return images as the network takes them, or refuse them.

    Args:
        images: (n, n_features), grey values from 0 to 1, row by row.
        n_features: Pixels of an image, such as 400 for 20x20.

    Returns:
        The images as float32.

    Raises:
        ValueError: The images have another shape, are no numbers, or lie outside [0, 1].
    """
    if images.ndim != 2 or images.shape[1] != n_features:
        raise ValueError(
            f"images of shape {images.shape}; give (n, {n_features}): each image as one row of "
            "pixels, row by row"
        )
    if images.dtype.kind not in "fiu":
        raise ValueError(f"images of dtype {images.dtype}; give numbers, best float32")
    with np.errstate(over="ignore"):
        checked = images.astype(np.float32)
    bad = ~((checked >= 0) & (checked <= 1))  # true for NaN, too
    if bad.any():
        row, pixel = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"pixel {pixel} of image {row} is {images[row, pixel]}; give values from 0 "
            "(background) to 1 (ink)"
        )
    return checked


def _asking(on_epoch: OnEpoch) -> Callable[[int, Mapping[str, float]], str | None]:
    """Return a function that asks the framework, and returns why it says stop."""

    def ask(epoch: int, values: Mapping[str, float]) -> str | None:
        stop = on_epoch(epoch, values)
        return None if stop is None else stop.reason

    return ask


@dataclass(frozen=True, eq=False)
class SplitImages:
    """The images of a source, and how they are divided for a training.

    Attributes:
        source: The images.
        split: The split of the search.
        fold: The fold that scores; None: the validation part of the split scores.
        part: Name of the images that score.
    """

    source: Source = field(repr=False)
    split: Split
    fold: FoldIndices | None = None
    part: str = "the validation part"

    @property
    def scoring_indices(self) -> np.ndarray:
        """(n,) the numbers of the images that score, in the source."""
        return self.split.validation_indices if self.fold is None else self.fold.evaluation_indices

    @cached_property
    def arrays(self) -> TrainingData:
        """The images as the network takes them."""
        if self.fold is None:
            return TrainingData.of_split(self.source, self.split)
        train, inner = self.fold.train_indices, self.fold.inner_indices
        own = replace(self.split, train_indices=train, validation_indices=inner)
        images, labels = (one[self.scoring_indices] for one in (self.source.images, self.labels))
        scored = images.reshape(len(images), -1).astype(np.float32, copy=False), labels
        return replace(TrainingData.of_split(self.source, own), fold=scored)

    @property
    def labels(self) -> np.ndarray:
        """(images,) the class of each image of the source, int32."""
        return self.source.labels.astype(np.int32)

    def everything(self) -> SplitImages:
        """Return all images to train on.

        The search's validation set, which is among them, also validates each epoch.
        """
        every = np.arange(len(self.source.labels))
        return replace(self, split=replace(self.split, train_indices=every))


class DigitExperiment:
    """Handwritten digits (or any small images) and a multilayer perceptron."""

    name = "digits"
    parameters: Mapping[str, ParameterInfo] = {
        name: ParameterInfo(
            type=parameter.kind,
            low=parameter.low,
            high=parameter.high,
            choices=parameter.choices,
            default=DEFAULTS.get(name),
            optional=parameter.optional,
            description=parameter.meaning,
        )
        for name, parameter in PARAMETERS.items()
        if name != "seed"  # the framework gives each trial its own
    }
    metrics: Mapping[str, MetricInfo] = {
        name: MetricInfo(*described) for name, described in HEADLINE_METRICS.items()
    }
    measures: Mapping[str, str] = {"parameters": "trainable weights of the network"}

    # To be raised when the same configuration and seed give other numbers; one more does not count.
    # 1: dense nets were trained by the engine `fused`. 2: by `compiled`, whose weights, order and
    # masks come of the seed otherwise.
    revision = 2
    engines = ("keras",)

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse a configuration that cannot be trained, or whose first weights are missing.

        Raises:
            ConfigError: It is impossible.
            UsageError: Keras trains it, and is not installed.
        """
        checked = trial_config(config)
        if engine_of(checked)[0] == "keras":
            check_keras(f"Keras trains it ({only_keras(checked) or 'engine keras'})")
        check_initial_weights(checked)

    def warm_up(self) -> None:
        """Load the engine of dense nets; a net that only Keras can train brings TensorFlow in."""
        self.warm_up_for([], lambda line: print(line, file=sys.stderr, flush=True))

    def warm_up_for(
        self, configs: Sequence[Mapping[str, Value]], say: Callable[[str], None]
    ) -> None:
        """Load what trains such nets: TensorFlow only if one of them needs Keras.

        Args:
            configs: Some configurations; without any, the engine of dense nets is loaded.
            say: Receives a line if machine code has to be made, which takes 15 seconds.
        """
        if only_trains():
            leave_out([*UNUSED, "pandas"])
        engines = {engine_of(trial_config(config))[0] for config in configs} or {"compiled"}
        if "keras" in engines:
            set_up_tensorflow()
        if "compiled" in engines:
            from digitexp.training.compiled.net import prepare_engine

            prepare_engine(say=say)

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine, the reason and about how many seconds all epochs take."""
        arrays: TrainingData = data.payload.arrays
        plan = plan_training(
            trial_config(config), len(arrays.train_labels), arrays.image_shape, arrays.n_classes
        )
        return EnginePlan(plan.engine, plan.reason, plan.seconds)

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train one configuration with the seed of the spec.

        The temperature is fitted on the logits of the images that stop it early.

        Raises:
            MemoryError: The training needs more memory than there is.
        """
        from digitexp.training.train import train

        images, config = data.payload, trial_config(spec.config, spec.seed)
        outcome = train(config, images.arrays, _asking(on_epoch), spec.checkpoint)
        return self._result(outcome, images)

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train on all images but those of a test set; the epoch with the lowest loss is kept.

        That loss is of the search's validation set, which is trained on as well, so that no image
        is left to judge the network on, or to fit a temperature on.
        """
        config = {**spec.config, "epochs": epochs, "early_stopping_patience_epochs": None}
        everything = replace(data, payload=data.payload.everything())
        result = self.train(replace(spec, config=config), everything, on_epoch)
        metrics = {name: value for name, value in result.metrics.items() if name in OF_TRAINING}
        return replace(result, metrics=metrics)

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Divide the images that scored no trial, see `fresh_folds`."""
        images, first = data.payload, seed % REPEATS_A_DRAWING * n
        for number, fold in enumerate(
            fresh_folds(images.source.labels, images.split, seed, n), first
        ):
            own = replace(images, fold=fold, part=f"fold {number}")
            yield Fold(replace(data, payload=own), fold.evaluation_indices)

    def train_by(
        self, engine: str, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train a configuration of the engine `compiled` by Keras, from the same weights and order.

        Raises:
            ConfigError: Another engine trains it.
        """
        from digitexp.training.train import repeat_by_keras

        config = trial_config(spec.config, spec.seed)
        outcome = repeat_by_keras(config, data.payload.arrays, _asking(on_epoch))
        result = self._result(outcome, data.payload)
        own = "each engine draws its own dropout, so that the two are apart by its law"
        return replace(result, engine_reason=own if any(config.dropout_rates) else "")

    def _result(self, outcome: TrainingOutcome, images: SplitImages) -> TrialResult:
        own, arrays = images.arrays, dict(outcome.arrays)
        shape, logits = list(own.image_shape), arrays.get("validation_logits")
        info = {"class_names": list(own.class_names), "image_shape": shape, **outcome.info}
        if logits is not None:
            info["temperature"] = fit_temperature(logits, own.validation_labels)
        if own.fold is not None and logits is not None:
            del arrays["validation_logits"]
            arrays |= _by_sample(arrays.pop("fold_logits"), own.fold[1])
            info["n_train"] = len(own.train_labels)
        return TrialResult(**{**vars(outcome), "arrays": arrays, "info": info})

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw the curves, and the confusion matrix of the images that stopped it early."""
        from digitexp.experiments.pictures import draw_trial

        config = recorded_config(spec.config, spec.seed)
        return draw_trial(
            result.history,
            result.arrays["confusion"],
            result.info["class_names"],
            result.metrics.get("best_epoch"),
            f"trial {spec.trial}  ·  {config.describe()}  ·  "
            f"{result.stop_reason.replace('_', ' ')}",
        )

    def pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        """Return the interactive pages on a training by name."""
        from digitexp.pages import interactive_pages

        others = [] if beside is None else [self.show(data, beside)]
        return interactive_pages(self.show(data, trained), *others)

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild the compiled Keras model: (n, features) images in [0, 1] -> (n, classes) logits.

        Args:
            config: The trial's configuration.
            weights: As in `TrialResult.weights`.
            info: `image_shape` and `class_names`, as in `TrialResult.info`, and the `temperature`
                of `predict`'s answers: 1 where none was fitted. The model gets it as an attribute.

        Raises:
            ValueError: The weights do not belong to this configuration.
            UsageError: Keras is not installed.
        """
        check_keras("a trained model is one of Keras")
        from digitexp.models import build_model, set_weights
        from digitexp.tensorflow_setup import start_tensorflow

        start_tensorflow()
        model = build_model(
            recorded_config(config), tuple(info["image_shape"]), len(info["class_names"])
        )
        set_weights(model, weights)
        model.temperature = float(info.get("temperature", 1.0))
        return model

    def signature(self, info: Mapping[str, Any]) -> Signature:
        """Return the signature of `predict`: a grey image (1, pixels), a number for each class."""
        example = np.full((1, math.prod(info["image_shape"])), 0.5, np.float32)
        return Signature(example, (len(info["class_names"]),))

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, classes), float32, of images (n, pixels).

        The probabilities are at the temperature that was fitted on the validation part.

        Raises:
            ValueError: The inputs are no such images.
        """
        images = checked_images(inputs, model.input_shape[-1])
        logits = np.asarray(model(images, training=False))
        return softmax(logits, model.temperature).astype(np.float32)

    def save_model(self, model: Any, folder: Path) -> None:
        """Write a loaded model as `model.keras`."""
        save(model, folder)

    def export(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        """Write `model.keras` and `preprocessing.json`; return code, see `write_for_elsewhere`."""
        model = self.load_model(config, weights, info)
        shape = tuple(info["image_shape"])
        about = {
            "image_shape": list(shape),
            "values": "float32 from 0 to 1, as the data source has them",
            "layout": "each image as one row of pixels, row by row",
            "class_names": list(info["class_names"]),
            "policies": list(info["policies"]),
            "temperature": model.temperature,
            "probabilities": "softmax(logits / temperature)",
        }
        (folder / "preprocessing.json").write_text(json.dumps(about, indent=1) + "\n")
        use = f"""\
temperature = json.load(open("preprocessing.json"))["temperature"]
images = np.zeros((1, {", ".join(map(str, shape))}), "float32")  # yours: values from 0 to 1
logits = model.predict(images.reshape(len(images), -1), verbose=0)
print(keras.ops.convert_to_numpy(keras.ops.softmax(logits / temperature)).tolist())
"""
        images = np.random.default_rng(0).random((4, math.prod(shape)), np.float32)
        return write_for_elsewhere(model, folder, use, images, "json, keras, numpy as np")

    def export_ensemble(
        self,
        models: Sequence[Any],
        weights: Sequence[float],
        info: Mapping[str, Any],
        data: PreparedData,
        folder: Path,
    ) -> tuple[str, np.ndarray]:
        """Write one `model.keras`, images -> mean probabilities; see `SupportsEnsembleExport`."""
        import keras

        arrays: TrainingData = data.payload.arrays
        width = math.prod(info["image_shape"])
        whole = combined(models, weights, ["softmax"] * len(models), keras.Input((width,)))
        use = f"""\
images = np.zeros((1, {", ".join(map(str, info["image_shape"]))}), "float32")  # yours: from 0 to 1
print(model.predict(images.reshape(len(images), -1), verbose=0).tolist())
"""
        images = np.random.default_rng(0).random((4, width), np.float32)
        code = write_for_elsewhere(whole, folder, use, images)
        return code, _logits(whole, arrays.validation_images)

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load a source and split it into training and validation part, images flattened.

        Raises:
            DataError: The source is unknown, unreadable or unsound.
        """
        loaded = load_source(source)
        split = split_source(loaded, split_seed)
        images = SplitImages(loaded, split)
        _ = images.arrays  # once, before workers are forked
        return PreparedData(
            name=loaded.name,
            digest=loaded.digest,
            split_digest=split.digest,
            info={
                "n_train": len(split.train_indices),
                "n_validation": len(split.validation_indices),
                "n_test": len(loaded.test.labels) if loaded.test else None,
                **facts_of(loaded, split_seed),
            },
            payload=images,
        )

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Count the network's weights."""
        arrays: TrainingData = data.payload.arrays
        count = count_parameters(trial_config(config), arrays.image_shape, arrays.n_classes)
        return {"parameters": count}

    def validation_labels(self, data: PreparedData) -> np.ndarray:
        """Return (n_validation,) the class of each validation image, from 0."""
        arrays: TrainingData = data.payload.arrays
        return arrays.validation_labels

    def picture(self, data: PreparedData, index: int) -> bytes:
        """Return one validation image as a PNG, ink on paper."""
        from digitexp.plots.images import draw_sample

        arrays: TrainingData = data.payload.arrays
        return draw_sample(arrays.validation_images[index].reshape(data.info["image_shape"]))

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return the files of `evaluation_files` for the images that scored a training.

        Raises:
            ValueError: It has no logits to judge: it was trained on all images, or diverged.
        """
        from digitexp.plots.evaluation import evaluation_files

        images: SplitImages = data.payload
        numbers = images.scoring_indices
        answers = Answers(
            images=images.source.images[numbers],
            labels=images.labels[numbers],
            logits=_kept_logits(result),
            class_names=images.source.class_names,
            part=images.part,
            train_accuracy=result.metrics.get("train_accuracy"),
            image_numbers=numbers,
        )
        return evaluation_files(answers)

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a recorded training as the interactive pages show it, on the images that scored.

        A training on all images is shown on the search's validation set, which is among them.
        """
        about = {**data.info, "name": data.name}
        trial = trained_trial(trained, recorded_config(trained.config), about)
        images, part = data.payload, data.payload.part
        if trained.result.metrics and not _is_scored(trained.result):
            images, part = images.everything(), "the search's validation set, trained on as well"
        numbers = images.scoring_indices
        shown = images.source.images[numbers], images.source.labels[numbers]
        return trial.shown_on(images.arrays, part, *shown, numbers)

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return what the model answers now to the images that scored, as trainings keep it."""
        images: SplitImages = data.payload
        logits = _logits(model, images.source.images[images.scoring_indices])
        if images.fold is None:
            return {"validation_logits": logits}
        return {PREDICTIONS: softmax(logits)}

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        """Return (n_validation, classes) the probabilities that a trial of the search kept."""
        logits = result.arrays.get("validation_logits")
        return None if logits is None else softmax(logits)

    def validation_truth(self, data: PreparedData) -> np.ndarray:
        """Return (n_validation,) the class of each validation image."""
        return self.validation_labels(data)

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        """Score probabilities (n, classes), such as the mean of several networks' ones."""
        return _evaluated(_logs(predictions), truth)

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test images of a source, a row each; None if it has none."""
        test = load_source(source).test
        if test is None:
            return None
        rows = test.images.reshape(len(test.images), -1).astype(np.float32)
        return TestSet(test.digest, rows, test.labels)

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        """Score a loaded model, or network, on the test set."""
        return _evaluated(_logits(model, test_set.inputs), test_set.labels)

    def calibration_terms(
        self, results: Sequence[TrialResult], data: PreparedData
    ) -> CalibrationTerms | None:
        """Return the terms of each image in calibration error and negative log-likelihood.

        Temperatures were fitted on the images that early stopping watched. The bins of the
        calibration error hold the answers of all trainings together. None is returned for
        trainings without a fitted temperature.
        """
        if any("temperature" not in result.info for result in results):
            return None  # trained before temperatures were fitted
        temperatures = np.array([float(result.info["temperature"]) for result in results])
        logits = np.stack([_logs(result.arrays[PREDICTIONS]) for result in results])
        every = data.payload.source.labels
        labels = np.stack([every[result.arrays[SAMPLES]] for result in results])
        terms = measured_terms(logits, labels, temperatures[:, np.newaxis])
        return CalibrationTerms(temperatures.tolist(), *terms)

    def load_network(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild a network for `evaluate`: one of Keras, or a chain that needs no TensorFlow.

        Arguments as for `load_model`.
        """
        own = recorded_config(config)
        if engine_of(own)[0] == "keras":
            return self.load_model(config, weights, info)
        from digitexp.training.compiled.net import CompiledNet

        chain = chain_of(own, tuple(info["image_shape"]), len(info["class_names"]))
        return CompiledNet(chain, Optimizer(), weights, seed=0)


def check_keras(why: str) -> None:
    """Raise UsageError if TensorFlow or Keras is not installed; imports neither.

    Args:
        why: What needs them, as the beginning of the message.
    """
    try:
        check_tensorflow()
    except MissingTensorFlowError as error:
        raise UsageError(f"{why}: {error}: {install_command('keras')}") from None


def facts_of(source: Source, split_seed: int) -> dict[str, Any]:
    """Return what records note of a source and its split."""
    return {
        "split_seed": split_seed,
        "image_shape": list(source.images.shape[1:]),
        "class_names": list(source.class_names),
        "policies": list(source.policies),
        "title": TITLES.get(source.name, source.name),
    }


def _by_sample(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a training keeps of each image that scores it."""
    right = (logits.argmax(axis=1) == labels).astype(np.uint8)
    return {
        f"best_val_accuracy{BY_SAMPLE}": right,
        f"best_val_cross_entropy{BY_SAMPLE}": sparse_cross_entropy(logits, labels),
        PREDICTIONS: softmax(logits).astype(np.float32),
    }


def _evaluated(logits: np.ndarray, labels: np.ndarray) -> Evaluated:
    arrays = _by_sample(logits, labels)
    scores = {name: one for name, one in arrays.items() if name.endswith(BY_SAMPLE)}
    means = {name.removesuffix(BY_SAMPLE): float(one.mean()) for name, one in scores.items()}
    return Evaluated(means, arrays)


def _logits(network: Any, images: np.ndarray) -> np.ndarray:
    """Return logits (n, classes), float32, of images (n, ...) by a model or a network."""
    if not hasattr(network, "forward"):
        return logits_of(network, images)
    rows = np.ascontiguousarray(images.reshape(len(images), -1), np.float32)
    logits: np.ndarray = network.forward(rows)[0]
    return logits


def _logs(probabilities: np.ndarray) -> np.ndarray:
    """Return logits of which these are the probabilities; 0 is taken for the smallest float32."""
    logits: np.ndarray = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return logits


def _is_scored(result: TrialResult) -> bool:
    """Whether images that it was not trained on score a training."""
    return "best_val_accuracy" in result.metrics


def _kept_logits(result: TrialResult) -> np.ndarray:
    """Return the logits of the images that scored a training; raise ValueError if none did."""
    if _is_scored(result) and "validation_logits" in result.arrays:
        return result.arrays["validation_logits"]
    if PREDICTIONS in result.arrays:
        return _logs(result.arrays[PREDICTIONS])
    raise ValueError(
        "it kept no logits of images it was not trained on, as one that diverged or was "
        "trained on everything; take another one"
    )


def trained_trial(trained: Trained, config: TrialConfig, about: Mapping[str, Any]) -> TrainedTrial:
    """Return a training that a sweep recorded as a `TrainedTrial`.

    Args:
        trained: The record, with arrays and weights.
        config: Its configuration.
        about: See `TrainedTrial`; facts that the record has itself may be missing.
    """
    result = trained.result
    confusion, best = result.arrays["confusion"], result.metrics.get("best_epoch")
    return TrainedTrial(
        name=trained.name,
        config=config,
        about={"split_seed": 0, **result.info, **about},
        outcome=result.outcome,
        stop_reason=result.stop_reason,
        metrics=result.metrics,
        history={name: np.array(values, float) for name, values in result.history.items()},
        confusion=confusion,
        counts=None if best is None else confusion[int(best) - 1].astype(np.int64),
        weights=trained.weights,
        temperature=float(result.info.get("temperature", 1.0)),
    )


_FORMER = ("again", "search_split", "fold_train_share")
"""Parameters of a confirmation that earlier versions recorded."""


def recorded_config(config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
    """Return the configuration of a recorded trial; the engine `fused` trains no more."""
    own = {name: value for name, value in config.items() if name not in _FORMER}
    return trial_config({**own, "engine": "auto"} if own.get("engine") == "fused" else own, seed)


def trial_config(config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
    """Return the configuration of a space's values and the seed of a trial."""
    if "seed" in config:
        raise ConfigError("A space may not set seed: the sweep gives each trial its own (--seed).")
    return TrialConfig.from_params({**config, "seed": seed})


experiment: Experiment = DigitExperiment()
"""The object that a space names: `experiment: digitexp.experiment:experiment`."""
