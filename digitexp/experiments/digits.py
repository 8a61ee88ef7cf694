"""The adapter of digits to the contract of `sweeps`: it translates names and holds no logic."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.calibration import fit_temperature
from digitexp.config import DEFAULTS, ConfigError, TrialConfig, only_keras
from digitexp.data import Source, load_source, split_source
from digitexp.data.loading import TITLES
from digitexp.diagnostics import Answers
from digitexp.experiments.exporting import save, write_for_elsewhere
from digitexp.metrics import HEADLINE_METRICS
from digitexp.models import count_parameters
from digitexp.numpy_functions import softmax
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
from sweeps.capabilities import Signature, Trained
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


class Digits:
    """Networks of digits, whichever images they are trained and judged on."""

    # To be raised when the same configuration and seed give other numbers; one more does not count.
    # 1: dense nets were trained by the engine `fused`. 2: by `compiled`, whose weights, order and
    # masks come of the seed otherwise.
    revision = 2
    engines = ("keras",)

    def _config(self, config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
        """Return the configuration of a space's values and the seed of a trial."""
        return trial_config(config, seed)

    def _recorded(self, config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
        """Return the configuration of a recorded trial, which may name an engine that is gone."""
        return self._config(as_today(config), seed)

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse a configuration that cannot be trained, or whose first weights are missing.

        Raises:
            ConfigError: It is impossible.
            UsageError: Keras trains it, and is not installed.
        """
        checked = self._config(config)
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
        engines = {engine_of(self._config(config))[0] for config in configs} or {"compiled"}
        if "keras" in engines:
            set_up_tensorflow()
        if "compiled" in engines:
            from digitexp.training.compiled.net import prepare_engine

            prepare_engine(say=say)

    def _plan(self, config: Mapping[str, Value], arrays: TrainingData) -> EnginePlan:
        plan = plan_training(
            self._config(config), len(arrays.train_labels), arrays.image_shape, arrays.n_classes
        )
        return EnginePlan(plan.engine, plan.reason, plan.seconds)

    def _train(
        self, config: TrialConfig, arrays: TrainingData, spec: TrialSpec, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train; the temperature is fitted on the logits of the images that stop it early."""
        from digitexp.training.train import train

        outcome = train(config, arrays, _asking(on_epoch), spec.checkpoint)
        return self._result(outcome, arrays)

    def train_by(
        self, engine: str, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train a configuration of the engine `compiled` by Keras, from the same weights and order.

        Raises:
            ConfigError: Another engine trains it.
        """
        from digitexp.training.train import repeat_by_keras

        config = self._config(spec.config, spec.seed)
        outcome = repeat_by_keras(config, data.payload, _asking(on_epoch))
        result = self._result(outcome, data.payload)
        own = "each engine draws its own dropout, so that the two are apart by its law"
        return replace(result, engine_reason=own if any(config.dropout_rates) else "")

    def _result(self, outcome: TrainingOutcome, arrays: TrainingData) -> TrialResult:
        shape, logits = list(arrays.image_shape), outcome.arrays.get("validation_logits")
        info = {"class_names": list(arrays.class_names), "image_shape": shape, **outcome.info}
        if logits is not None:
            info["temperature"] = fit_temperature(logits, arrays.validation_labels)
        return TrialResult(**{**vars(outcome), "info": info})

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw the curves, and the confusion matrix of the images that stopped it early."""
        from digitexp.experiments.pictures import draw_trial

        config = self._recorded(spec.config, spec.seed)
        return draw_trial(
            result.history,
            result.arrays["confusion"],
            result.info["class_names"],
            result.metrics.get("best_epoch"),
            f"trial {spec.trial}  ·  {config.describe()}  ·  "
            f"{result.stop_reason.replace('_', ' ')}",
        )

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a recorded training as the pages show it."""
        raise NotImplementedError

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
            self._recorded(config), tuple(info["image_shape"]), len(info["class_names"])
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


class DigitExperiment(Digits):
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
    cross_validation = "digitexp.on_blocks:experiment"  # the public name of folds.py
    measures: Mapping[str, str] = {"parameters": "trainable weights of the network"}

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load a source and split it into training and validation part, images flattened.

        Raises:
            DataError: The source is unknown, unreadable or unsound.
        """
        loaded = load_source(source)
        split = split_source(loaded, split_seed)
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
            payload=TrainingData.of_split(loaded, split),
        )

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Count the network's weights."""
        arrays: TrainingData = data.payload
        count = count_parameters(trial_config(config), arrays.image_shape, arrays.n_classes)
        return {"parameters": count}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine, the reason and about how many seconds all epochs take."""
        return self._plan(config, data.payload)

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train one configuration with the seed of the spec.

        Raises:
            MemoryError: The training needs more memory than there is.
        """
        return self._train(self._config(spec.config, spec.seed), data.payload, spec, on_epoch)

    def validation_labels(self, data: PreparedData) -> np.ndarray:
        """Return (n_validation,) the class of each validation image, from 0."""
        arrays: TrainingData = data.payload
        return arrays.validation_labels

    def picture(self, data: PreparedData, index: int) -> bytes:
        """Return one validation image as a PNG, ink on paper."""
        from digitexp.plots.images import draw_sample

        arrays: TrainingData = data.payload
        return draw_sample(arrays.validation_images[index].reshape(data.info["image_shape"]))

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        """Return the files of `evaluation_files` for the validation part.

        Raises:
            ValueError: The trial kept no logits.
        """
        from digitexp.plots.evaluation import evaluation_files

        arrays: TrainingData = data.payload
        answers = Answers(
            images=arrays.validation_images.reshape(-1, *data.info["image_shape"]),
            labels=arrays.validation_labels,
            logits=kept_logits(result, "validation_logits"),
            class_names=arrays.class_names,
            train_accuracy=result.metrics.get("train_accuracy"),
        )
        return evaluation_files(answers)

    def show(self, data: PreparedData, trained: Trained) -> ShownTrial:
        """Return a recorded trial as the interactive pages show it, on the validation part."""
        about = {**data.info, "name": data.name}
        config = self._recorded(trained.config)
        return trained_trial(trained, config, about).shown_on(data.payload)

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return the logits of the validation part, computed by the model now."""
        arrays: TrainingData = data.payload
        return {"validation_logits": logits_of(model, arrays.validation_images)}


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


def kept_logits(result: TrialResult, name: str) -> np.ndarray:
    """Return the logits that a training kept; raise ValueError if it kept none."""
    if name not in result.arrays:
        raise ValueError(
            "it kept no logits of images it was not trained on, as one that diverged or was "
            "trained on everything; take another one"
        )
    return result.arrays[name]


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


def as_today(config: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return recorded values as a configuration of today: the engine `fused` trains no more."""
    return {**config, "engine": "auto"} if config.get("engine") == "fused" else config


def trial_config(config: Mapping[str, Value], seed: int = 0) -> TrialConfig:
    """Return the configuration of a space's values and the seed of a trial."""
    if "seed" in config:
        raise ConfigError("A space may not set seed: the sweep gives each trial its own (--seed).")
    return TrialConfig.from_params({**config, "seed": seed})


experiment: Experiment = DigitExperiment()
"""The object that a space names: `experiment: digitexp.experiment:experiment`."""
