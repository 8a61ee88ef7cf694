"""A user's Keras model: checked, described, trained, judged by its best epoch.

Import this after `start_tensorflow()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple

import keras
import numpy as np

from digitexp.experiments.keras_experiment.data import (
    ExamplesDigest,
    Parts,
    Tasks,
    arrays_of,
    by_name,
    classes_of,
    joined,
    mapped,
)
from digitexp.experiments.keras_experiment.judging import (
    by_sample,
    judge,
    needed_metrics,
    voting_predictions,
)
from digitexp.tensorflow_setup import begin_training, known_warnings_ignored
from digitexp.training import resuming
from digitexp.training.callbacks import Following
from digitexp.training.resuming import Resumption
from digitexp.training.schedule import Schedule, shown_rate
from sweeps.capabilities import BY_SAMPLE, PREDICTIONS
from sweeps.experiment import OnEpoch, TrialResult, TrialSpec


def checked(model: Any) -> Any:
    """Return a model that can be trained.

    Raises:
        ValueError: `model` is no Keras model, is not compiled, or has no weights yet.
    """
    if not isinstance(model, keras.Model):
        kind = type(model).__name__
        raise ValueError(f"build() returned {kind}, not a keras.Model")  # noqa: TRY004 - see above
    if getattr(model, "optimizer", None) is None:
        raise ValueError("build() returned a model that is not compiled; call model.compile")
    if not model.built:
        raise ValueError(
            "build() returned a model without weights yet; begin it with keras.layers.Input(shape)"
        )
    return model


def check_fits(model: Any, inputs: Any, targets: Any, task: Tasks) -> None:
    """Refuse a model whose inputs or outputs are not those of the data.

    Args:
        model: A Keras model. One of a subclass may not say what it takes; then that is not checked.
        inputs: Inputs as a part or a dataset has them, or their description.
        targets: Targets in the same form.
        task: Task of each output.

    Raises:
        ValueError: Inputs or outputs do not fit; the message names both.
    """
    takes = [one.name for one in getattr(model, "inputs", None) or ()]
    if takes:
        is_by_name = len(takes) > 1 and isinstance(model.input, Mapping)
        _check_inputs(takes, inputs, by_name=is_by_name)
    is_chain = isinstance(model, keras.Sequential)
    gives = [model.layers[-1].name] if is_chain else [*_outputs_of(model)]
    names = by_name(task, task)
    if not gives or (len(gives) == 1 and not isinstance(task, Mapping)):
        return
    if not isinstance(task, Mapping):
        example = ", ".join(f"{name!r}: 'classification'" for name in gives)
        raise ValueError(  # noqa: TRY004 - mistakes of the user are ValueErrors
            f"the model has the outputs {', '.join(gives)}, the data targets of one; give a dict "
            f"of targets, and say what each is: KerasExperiment(..., task={{{example}}})"
        )
    has_names = isinstance(targets, Mapping)
    if set(names) != set(gives) if has_names else [*names] != gives:
        order = "" if has_names else ", in this order, as its targets are a list"
        raise ValueError(
            f"the model has the outputs {', '.join(gives)}, `task` names {', '.join(names)}: give "
            f"both the same names{order}; an output has the name of its layer"
        )


def _check_inputs(takes: Sequence[str], inputs: Any, *, by_name: bool) -> None:
    given = arrays_of(inputs)
    if isinstance(inputs, Mapping):
        fits = len(takes) == len(given) == 1 or not set(takes) - given.keys()
    else:
        fits = len(takes) == len(given) and not by_name
    if not fits:
        names = ", ".join(given) if isinstance(inputs, Mapping) else str(len(given) or "none")
        raise ValueError(
            f"the model takes the inputs {', '.join(takes)}, the data have {names}; give x as a "
            "dict of arrays by the names of keras.layers.Input(shape, name=...)"
        )


def named_weights(model: Any) -> dict[str, np.ndarray]:
    """Return every weight, named so that sorting the names gives Keras's order."""
    with known_warnings_ignored():
        arrays = model.get_weights()
    return {
        f"{number:04d} {variable.path.replace('/', '.')}": np.asarray(array)
        for number, (variable, array) in enumerate(zip(model.weights, arrays, strict=True))
    }


def give_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Set every weight of a model to those of another one that was built alike.

    Raises:
        ValueError: Their shapes differ.
    """
    stored = [weights[name] for name in sorted(weights)]
    shapes = [tuple(variable.shape) for variable in model.weights]
    if shapes != [array.shape for array in stored]:
        raise ValueError(
            f"build() makes a model with weights of shapes {shapes}, the trial's are "
            f"{[array.shape for array in stored]}: was the function changed?"
        )
    model.set_weights(stored)


def summary_of(model: Any) -> str:
    """Return Keras's table of the layers."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    return "\n".join(lines)


def _who_ended(callbacks: Sequence[Any]) -> str:
    """Return in one word which callback of the user's ended a training."""
    stopped = [one for one in callbacks if getattr(one, "stopped_epoch", 0) > 0] or callbacks
    if len(stopped) != 1:
        return "callback"  # which one of them is not known
    (one,) = stopped
    monitor = getattr(one, "monitor", None)
    return type(one).__name__ + (f"({monitor})" if isinstance(monitor, str) else "")


class _Fitting(NamedTuple):
    """All callbacks, those of the user among them, the seed of shuffling, and the state."""

    watchers: Sequence[Any]
    callbacks: Sequence[Any]
    seed: int
    resumption: Resumption


def _fit(model: Any, parts: Parts, params: Mapping[str, Any], how: _Fitting) -> tuple[str, str]:
    """Train by the engine that is asked for, or the fastest that can; return it and why."""
    by_batch = [type(one).__name__ for one in how.callbacks if _looks_at_batches(one)]
    if params["engine"] == "keras":
        reason: str | None = "asked for"
    elif by_batch:
        reason = f"the callback {by_batch[0]} looks at batches"
    elif parts.is_dataset:
        reason = "its data are tf.data datasets"
    else:
        reason = _fit_by_graph(model, parts, params, how)
    if reason is None:
        return "graph", "an epoch is one call, a structure is traced once"
    if params["engine"] == "graph":
        raise ValueError(f"engine graph cannot train this model: {reason}. Set engine to auto")
    if parts.is_dataset:
        steps, arguments = int(parts.train.cardinality()), {"x": parts.train, "shuffle": False}
    else:
        x, y = parts.train
        steps = math.ceil((parts.n_train or 0) / params["batch_size"])
        arguments = {"x": x, "y": y, "batch_size": params["batch_size"]}
    # All steps of an epoch in one call of the compiled function, where their number is known:
    # below 0 is a dataset that does not know its length.
    model.steps_per_execution = 1 if by_batch else max(1, steps)
    resuming.fit(
        model,
        how.watchers,
        how.resumption,
        steps=steps if steps >= 0 else None,
        epochs=params["epochs"],
        validation_data=parts.validation,
        **arguments,
    )
    return "keras", reason


def _fit_by_graph(model: Any, parts: Parts, params: Mapping[str, Any], how: _Fitting) -> str | None:
    """Train by the graph engine; return why not if it cannot."""
    from digitexp.training.graph import engine

    generator, count = np.random.default_rng((how.seed, _SHUFFLING)), parts.n_train
    how.resumption.generators = [generator]
    assert count is not None  # only a dataset does not say
    try:
        engine.fit(
            model,
            parts.train,
            parts.validation,
            batch_size=params["batch_size"],
            epochs=params["epochs"],
            callbacks=how.watchers,
            order=lambda _: generator.permutation(count),
            is_left_alone=not how.callbacks,
            resumption=how.resumption,
        )
    except engine.Untraceable as error:
        how.resumption.generators = []
        return str(error)
    return None


_SHUFFLING: Final = 0
_OF_BATCHES: Final = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)


def _looks_at_batches(callback: Any) -> bool:
    plain = keras.callbacks.Callback
    return any(getattr(type(callback), name) is not getattr(plain, name) for name in _OF_BATCHES)


def predict(model: Any, parts: Parts) -> tuple[Any, Any]:
    """Return predictions and targets of the part that scores, in the same order; of every output.

    Raises:
        ValueError: A dataset holds other examples than when the sweep began.
    """
    found, examples = [], ExamplesDigest()
    for x, y in parts.scoring_batches():
        found.append((_outputs(model, x), y))
        if parts.examples is not None:
            examples.add(x, y)
    if parts.examples is not None and examples.hexdigest() != parts.examples:
        raise ValueError(
            "the data function gave other validation examples than the sweep began with; "
            "no two trials could be compared; have it build the same set each time"
        )
    predictions, targets = (joined(column) for column in zip(*found, strict=True))
    return predictions, targets


def _outputs(model: Any, x: Any) -> Any:
    """Return the model's outputs as arrays, by one trace for all models of its structure."""
    from digitexp.training.graph import engine

    try:
        return engine.predict(model, x)
    except engine.Untraceable:
        return mapped(np.asarray, model.predict(x, batch_size=engine.CHUNK, verbose=0))


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Keeps the history, asks `on_epoch`, and ends a training that diverges; the first callback."""

    def __init__(self, on_epoch: OnEpoch, metrics: list[str]) -> None:
        super().__init__()
        self._on_epoch, self._metrics = on_epoch, metrics
        self.history: dict[str, list[float]] = {}
        self.diverged = False
        self.stop_reason: str | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Store the metrics of an epoch, and end the training if it diverged or is to stop."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = shown_rate(float(self.model.optimizer.learning_rate))
        missing = [name for name in self._metrics if name not in logs]
        if missing:
            raise ValueError(
                f"the model reports no {', '.join(missing)}, only {', '.join(sorted(logs))}; "
                "compile it with these metrics"
            )
        values = {name: float(value) for name, value in logs.items()}
        self.diverged = not all(math.isfinite(values[name]) for name in ("loss", "val_loss"))
        for name, value in values.items():
            known = value if math.isfinite(value) else math.nan
            self.history.setdefault(name, []).append(known)
        if self.diverged:
            logs["val_loss"] = math.nan  # never an improvement: an earlier epoch is restored
        elif (stop := self._on_epoch(epoch, values)) is not None:
            self.stop_reason = stop.reason
        if self.diverged or self.stop_reason is not None:
            self.model.stop_training = True

    def get_state(self) -> dict[str, Any]:
        """Return the history so far; see `digitexp.training.resuming`."""
        return {"history": self.history}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the history of an earlier attempt."""
        self.history = {name: list(values) for name, values in state["history"].items()}


def run_trial(  # noqa: PLR0913 - each is a part of the experiment or of the trial
    build: Callable[[], Any],
    parts: Parts,
    params: Mapping[str, Any],
    spec: TrialSpec,
    on_epoch: OnEpoch,
    *,
    task: Tasks,
    more: Mapping[str, str],
    info: Mapping[str, Any],
    callbacks: Callable[[Mapping[str, Any]], Sequence[Any]] | None,
) -> TrialResult:
    """Train one model and return the result of the trial.

    Args:
        build: Returns the model, compiled.
        parts: Training and validation part.
        params: Parameters of training and callbacks.
        spec: Its seed decides everything random; its checkpoint keeps the state.
        on_epoch: The framework's callback.
        task: Decides how predictions are judged; of several outputs by name.
        more: Further headline metrics, each with the per-epoch metric it is taken from.
        info: Facts of the data.
        callbacks: Returns the user's callbacks, called after those of the parameters.

    Raises:
        ValueError: `build` returned no compiled model, or one without a metric that is needed.
    """
    started = perf_counter()
    begin_training(spec.seed)
    model = checked(build())
    inputs, targets = parts.train.element_spec if parts.is_dataset else parts.train
    check_fits(model, inputs, targets, task)
    built = perf_counter()
    resumption = Resumption(spec.checkpoint)
    own: Sequence[Any] = () if callbacks is None else callbacks(params)
    reporter = _Reporter(on_epoch, needed_metrics(task, parts.classes, more))
    schedule = Schedule({**params, **_SCHEDULE})
    watchers = [reporter, Following(schedule), *own]
    with known_warnings_ignored():
        how = _Fitting(watchers, own, spec.seed, resumption)
        engine, reason = _fit(model, parts, params, how)
    train_seconds = perf_counter() - built + resumption.seconds_before
    result = TrialResult(
        *_how_it_ended(reporter, schedule, params["epochs"], own),
        metrics={},
        history=reporter.history,
        timings={"build_seconds": built - started, "train_seconds": train_seconds},
        summary=summary_of(model),
        engine=engine,
        engine_reason=reason,
        info=dict(info),
    )
    if not np.isfinite(reporter.history.get("val_loss", [])).any():
        return result
    metrics, arrays = _judged(model, parts, reporter.history, task, more)
    metrics["train_seconds"] = train_seconds
    metrics["parameters"] = float(sum(np.prod(v.shape) for v in model.trainable_variables))
    return replace(result, metrics=metrics, arrays=arrays, weights=named_weights(model))


_SCHEDULE: Final = {
    "learning_rate_schedule": "plateau",
    "plateau_monitor": "val_loss",
    "learning_rate": 0.0,
}
"""A plateau lowers the rate that the user's optimizer has."""


def _how_it_ended(
    reporter: _Reporter, schedule: Schedule, epochs: int, callbacks: Sequence[Any]
) -> tuple[Literal["complete", "stopped", "diverged"], str]:
    if reporter.diverged:
        return "diverged", "diverged"
    if reporter.stop_reason is not None:
        return "stopped", reporter.stop_reason
    if schedule.has_stopped:
        return "complete", "early_stopping"
    has_all = len(reporter.history["loss"]) >= epochs
    return "complete", "max_epochs" if has_all else _who_ended(callbacks)


def _judged(
    model: Any,
    parts: Parts,
    history: Mapping[str, Sequence[float]],
    task: Tasks,
    more: Mapping[str, str],
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the metrics of the best epoch, whose weights the model has, and the arrays kept."""
    best = int(np.nanargmin(history["val_loss"]))
    predicted, true = predict(model, parts)
    metrics, arrays = judge(predicted, true, task, parts.classes, _outputs_of(model))
    metrics |= {
        "best_val_loss": history["val_loss"][best],
        **{name: history[of][best] for name, of in more.items()},
        "best_epoch": float(best + 1),
        "epochs": float(len(history["loss"])),
    }
    if parts.fold is None:
        return metrics, arrays
    x = parts.fold[0]
    own, scores = _scores_apart(model, x, true, predicted, task, more, parts.classes)
    is_independent = parts.groups is None and not parts.ordered
    return metrics | own, arrays | (scores if is_independent else without_samples(scores))


def _outputs_of(model: Any) -> Sequence[str]:
    """Return the names of a model's outputs; none where a subclass does not say."""
    return getattr(model, "output_names", None) or ()


def evaluate(
    model: Any, x: Any, y: Any, task: Tasks, more: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return metrics of a test set, and arrays: its predictions, and metrics sample by sample.

    Args:
        model: A trained model, compiled.
        x: Inputs.
        y: Targets.
        task: Task of each output.
        more: Further headline metrics, each with the per-epoch metric that it comes from.

    Raises:
        ValueError: The model does not take such inputs, or has other outputs.
    """
    check_fits(model, x, y, task)
    takes, given = list(getattr(model, "inputs", None) or ()), arrays_of(x)
    if len(takes) == len(given) == 1:
        wanted, shape = tuple(takes[0].shape[1:]), next(iter(given.values())).shape
        sizes = zip(wanted, shape[1:], strict=False)
        if len(wanted) != len(shape) - 1 or any(a not in {None, b} for a, b in sizes):
            raise ValueError(f"test: inputs {shape}, but the model takes {('n', *wanted)}")
    predicted = _outputs(model, x)
    classes = classes_of(y, task)
    judged, _ = judge(predicted, y, task, classes, _outputs_of(model))
    metrics, scores = _scores_apart(model, x, y, predicted, task, more, classes)
    return judged | metrics, scores


def _scores_apart(
    model: Any, x: Any, y: Any, predicted: Any, task: Tasks, more: Mapping[str, str], classes: Any
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Score samples that did not stop the training.

    Returns:
        The loss and further metrics; and arrays: metrics that are means sample by sample, and the
        predictions of a single output, which vote by their mean.
    """
    scores, metrics = by_sample(predicted, y, task, classes, _outputs_of(model)), {}
    losses = _loss_by_sample(model, predicted, y)
    if losses is not None:
        scores["best_val_loss_by_sample"] = losses
        metrics["best_val_loss"] = float(losses.mean())
    if losses is None or more:
        with known_warnings_ignored():  # these may be no means over samples
            found = model.evaluate(x, y, batch_size=4096, verbose=0, return_dict=True)
        metrics["best_val_loss"] = float(found["loss"])
        metrics |= {name: float(found[of.removeprefix("val_")]) for name, of in more.items()}
    if not isinstance(task, Mapping):
        votes = voting_predictions(predicted, task, classes)
        scores |= {PREDICTIONS: votes} if votes.size <= _MOST_KEPT else {}
    return metrics, scores


_MOST_KEPT: Final = 1_000_000
"""Numbers of predictions of a fold that are kept for votes, at most: 4 MB a training."""


def without_samples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays without metrics sample by sample: those of samples that are alike."""
    return {name: one for name, one in arrays.items() if not name.endswith(BY_SAMPLE)}


def answers(model: Any, parts: Parts, task: Tasks) -> dict[str, np.ndarray]:
    """Return a trained model's predictions of the validation part, by the names of the arrays.

    There are none if the model predicts otherwise each time.
    """
    first, again = (
        judge(*predict(model, parts), task, parts.classes, _outputs_of(model))[1] for _ in range(2)
    )
    found = {name: array for name, array in first.items() if name.startswith("predicted")}
    is_steady = all(np.array_equal(array, again[name]) for name, array in found.items())
    return found if is_steady else {}


def _loss_by_sample(model: Any, predicted: Any, true: Any) -> np.ndarray | None:
    """Return (n,) the compiled loss of each sample, with the penalties; None of several outputs."""
    loss = model.loss
    if not (isinstance(loss, str) or callable(loss)) or isinstance(true, Mapping | list | tuple):
        return None
    found = keras.losses.get(loss)
    each = found.call if isinstance(found, keras.losses.Loss) else found
    is_column = predicted.ndim == true.ndim + 1 and predicted.shape[-1] == 1
    targets = true[..., np.newaxis] if is_column else true  # as Keras does before a loss
    values = np.asarray(each(targets.astype(np.float32), predicted), float)
    if values.shape[:1] != true.shape[:1]:
        return None  # a function of the user that averages itself
    losses: np.ndarray = values.reshape(len(true), -1).mean(axis=1)
    return losses + sum(float(one) for one in model.losses)
