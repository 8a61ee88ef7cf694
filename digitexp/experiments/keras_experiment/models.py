"""A user's Keras model: checked, described, trained, judged by its best epoch.

Import this after `start_tensorflow()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from digitexp.experiments.keras_experiment.data import (
    ExamplesDigest,
    Parts,
    Tasks,
    arrays_of,
    by_name,
    check_count,
    classes_of,
    joined,
    mapped,
)
from digitexp.experiments.keras_experiment.judging import (
    judge,
    labels_of,
    needed_metrics,
    to_average,
    values_by_sample,
)
from digitexp.metrics import of_training, recalls
from digitexp.tensorflow_setup import begin_training, known_warnings_ignored
from digitexp.training import resuming
from digitexp.training.callbacks import Following
from digitexp.training.observer import Observer
from digitexp.training.resuming import Resumption
from digitexp.training.schedule import Schedule, shown_rate
from digitexp.training.trainer import train
from sweeps.capabilities import BY_SAMPLE, PREDICTIONS
from sweeps.experiment import OnEpoch, TrialResult, TrialSpec

if TYPE_CHECKING:
    from digitexp.training.resuming import SavesState


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


def named_weights(model: Any, arrays: Sequence[np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Return every weight, named so that sorting the names gives Keras's order.

    Args:
        model: The model.
        arrays: Its weights in Keras's order, if it does not have them itself.
    """
    with known_warnings_ignored():
        arrays = model.get_weights() if arrays is None else arrays
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


class UserNet:
    """A user's model with its data; see `digitexp.training.trainer.Net`.

    Attributes:
        model: The compiled model.
        outputs: Inputs -> outputs of the net with its weights as they are, as arrays.
    """

    def __init__(
        self,
        model: Any,
        parts: Parts,
        params: Mapping[str, Any],
        *,
        seed: int,
        needed: Sequence[str],
        own: Sequence[Any],
        counts: np.ndarray | None,
    ) -> None:
        """Take a model.

        Args:
            model: The compiled model.
            parts: Training and validation part.
            params: Parameters of the training.
            seed: Decides the order of the samples, and dropout of the engine `compiled`.
            needed: Metrics that each epoch must have.
            own: Callbacks of the user's.
            counts: (n_train,) how much each training example counts; None if all count alike.
        """
        self.model = model
        self.outputs: Callable[[Any], Any] = partial(_outputs, model)
        self.engine = self.engine_reason = ""
        self._parts, self._params, self._seed = parts, params, seed
        self._needed, self._own, self._counts = needed, own, counts
        self._weights: Sequence[np.ndarray] | None = None  # in Keras's order, if it has others

    @property
    def summary(self) -> str:
        """Keras's table of the layers."""
        return summary_of(self.model)

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return copies of all weights by name."""
        return named_weights(self.model, self._weights)

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train by the engine that is asked for, or the fastest that can.

        Raises:
            ValueError: The engine that is asked for cannot train the model.
        """
        asked, reason = self._params["engine"], "asked for"
        general = _why_by_batches(self._parts, self._own)
        if asked in {"auto", "compiled"}:
            found = general or self._fit_by_chain(observer, checkpoint)
            if not isinstance(found, str):
                self.engine, self.engine_reason = "compiled", _COMPILED
                return found
            reason = found
        resumption = Resumption(checkpoint)
        watchers = [Following(observer, self._handing_over(observer)), *self._own]
        if asked in {"auto", "graph"}:
            why_not = general or self._fit_by_graph(watchers, resumption)
            if why_not is None:
                why = f"; not compiled, for {reason}" if asked == "auto" else ""
                self.engine, self.engine_reason = "graph", _GRAPH + why
                return resumption.seconds_before
            reason = why_not
        if asked in {"compiled", "graph"}:
            raise ValueError(
                f"engine {asked} cannot train this model: {reason}. Set engine to auto"
            )
        self._fit_by_keras(watchers, resumption)
        self.engine, self.engine_reason = "keras", reason
        return resumption.seconds_before

    def _fit_by_chain(self, observer: Observer, checkpoint: SavesState | None) -> float | str:
        """Train by the engine `compiled`; return why not if it cannot, else as `fit`."""
        from digitexp.training.compiled import engine
        from digitexp.training.compiled.net import CompiledNet, Data
        from digitexp.training.keras_chain import NoChain, chain_of

        if self._own:
            return _LOOKS_AT_IT
        (x, y), (held_out_x, held_out_y) = self._parts.train, self._parts.validation
        try:
            own = chain_of(self.model, y)
            answers, held_out = own.answers(y), own.answers(held_out_y)
            counts = () if self._counts is None else self._counts
            data = Data.of(own.samples(x), answers, counts, dtype=own.dtype)
            validation = Data.of(own.samples(held_out_x), held_out, dtype=own.dtype)
        except NoChain as error:
            return str(error)
        net = CompiledNet(own.chain, own.optimizer, own.weights(), self._seed, own.dtype)
        schedule, hand_over = observer.schedule, self._handing_over(observer)
        schedule.rate = float(self.model.optimizer.learning_rate)  # may have 64 bits

        def after_epoch(epoch: int, loss: float, outputs: np.ndarray, order: np.ndarray) -> None:
            val_loss, predicted = net.evaluate(validation)
            later = {"loss": val_loss, **own.measured(held_out, predicted)}
            hand_over(epoch, {
                "loss": loss,
                **own.measured(answers[order], outputs),
                **{f"val_{name}": value for name, value in later.items()},
                "learning_rate": shown_rate(schedule.rate),
            })  # fmt: skip

        seconds = engine.fit(
            net,
            data,
            observer,
            after_epoch,
            epochs=self._params["epochs"],
            batch_size=self._params["batch_size"],
            seed=self._seed,
            build=repr((own.chain, own.optimizer, {**self._params, "epochs": 1})),
            checkpoint=checkpoint,
        )
        if self._parts.fold is not None:  # Keras scores it, too
            own.give_back(net.named_weights())
        self._weights = own.in_order(self.model, net.named_weights())
        self.outputs = lambda x: net.forward(own.samples(x))[0]
        return seconds

    def _fit_by_graph(self, watchers: Sequence[Any], resumption: Resumption) -> str | None:
        """Train by the graph engine; return why not if it cannot."""
        from digitexp.training.graph import engine

        parts, count = self._parts, self._parts.n_train
        generator = np.random.default_rng((self._seed, _SHUFFLING))
        ones = np.ones(parts.n_validation, np.float32)
        resumption.generators = [generator]
        assert count is not None  # only a dataset does not say
        try:
            engine.fit(
                self.model,
                parts.train if self._counts is None else (*parts.train, self._counts),
                parts.validation if self._counts is None else (*parts.validation, ones),
                batch_size=self._params["batch_size"],
                epochs=self._params["epochs"],
                callbacks=watchers,
                order=lambda _: generator.permutation(count),
                is_left_alone=not self._own,
                resumption=resumption,
            )
        except engine.Untraceable as error:
            resumption.generators = []
            return str(error)
        return None

    def _fit_by_keras(self, watchers: Sequence[Any], resumption: Resumption) -> None:
        """Train by `model.fit`, all steps of an epoch in one call of the compiled function."""
        parts, batch_size = self._parts, self._params["batch_size"]
        if parts.is_dataset:
            steps, arguments = int(parts.train.cardinality()), {"x": parts.train, "shuffle": False}
        else:
            x, y = parts.train
            steps = math.ceil((parts.n_train or 0) / batch_size)
            arguments = {"x": x, "y": y, "batch_size": batch_size}
            arguments |= {} if self._counts is None else {"sample_weight": self._counts}
        # Where the number of steps is known: below 0 is a dataset that does not know its length.
        by_batch = any(map(_looks_at_batches, self._own))
        self.model.steps_per_execution = 1 if by_batch else max(1, steps)
        resuming.fit(
            self.model,
            watchers,
            resumption,
            steps=steps if steps >= 0 else None,
            epochs=self._params["epochs"],
            validation_data=parts.validation,
            **arguments,
        )

    def _handing_over(self, observer: Observer) -> Callable[[int, dict[str, Any]], None]:
        """Return a function that hands an epoch, counted from 0, with its metrics to an observer.

        Callbacks of the user's then see what it has added.
        """

        def hand_over(epoch: int, logs: dict[str, Any]) -> None:
            logs.setdefault("learning_rate", shown_rate(float(self.model.optimizer.learning_rate)))
            missing = [name for name in self._needed if name not in logs]
            if missing:
                raise ValueError(
                    f"the model reports no {', '.join(missing)}, only {', '.join(sorted(logs))}; "
                    "compile it with these metrics"
                )
            observer.take(epoch, {name: float(value) for name, value in logs.items()})
            if observer.diverged:
                logs["val_loss"] = math.nan

        return hand_over


_SHUFFLING: Final = 0
_COMPILED: Final = "a chain of dense layers: an epoch is one call of machine code"
_LOOKS_AT_IT: Final = "a callback may look at the model"
_GRAPH: Final = "an epoch is one call, a structure is traced once"
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


def _why_by_batches(parts: Parts, own: Sequence[Any]) -> str | None:
    """Return why an epoch cannot be one call, whatever the model; None if it can."""
    if by_batch := [type(one).__name__ for one in own if _looks_at_batches(one)]:
        return f"the callback {by_batch[0]} looks at batches"
    return "its data are tf.data datasets" if parts.is_dataset else None


def recognised(
    build: Callable[[], Any], parts: Parts, task: Tasks, own: Sequence[Any]
) -> tuple[str, str]:
    """Return the engine that will train a model if it may choose, and why not another.

    Args:
        build: See `run_trial`, also for `parts` and `task`.
        parts: Training and validation part, arrays.
        task: Task of each output.
        own: Callbacks of the user's.

    Raises:
        ValueError: `build` returned no compiled model, or one that does not fit the data.
    """
    from digitexp.training.graph.structure import why_not

    keras.backend.clear_session(free_memory=False)  # layers have the names that trials give them
    model, (x, y) = checked(build()), parts.train
    check_fits(model, x, y, task)
    if (reason := _why_by_batches(parts, own)) is not None:
        return "keras", reason
    if (not_compiled := _LOOKS_AT_IT if own else _why_no_chain(model, x, y)) is None:
        return "compiled", _COMPILED
    if (reason := why_not(model)) is not None:
        return "keras", reason
    return "graph", f"{_GRAPH}; not compiled, for {not_compiled}"


def _why_no_chain(model: Any, x: Any, y: Any) -> str | None:
    from digitexp.training.keras_chain import NoChain, chain_of

    try:
        chain = chain_of(model, y)
        chain.samples(mapped(lambda one: one[:1], x))
        chain.answers(y)
    except NoChain as error:
        return str(error)
    return None


def predict(outputs: Callable[[Any], Any], parts: Parts) -> tuple[Any, Any]:
    """Return predictions and targets of the part that scores, in the same order; of every output.

    Args:
        outputs: Inputs -> outputs of a model, as arrays.
        parts: Its data.

    Raises:
        ValueError: A dataset holds other examples than when the sweep began.
    """
    found, examples = [], ExamplesDigest()
    for x, y in parts.scoring_batches():
        found.append((outputs(x), y))
        if parts.examples is not None:
            examples.add(x, y)
    if parts.examples is not None and examples.hexdigest() != parts.examples:
        raise ValueError(
            "the data function gave other validation examples than the sweep began with; "
            "no two trials could be compared; have it build the same set each time"
        )
    predictions, targets = (joined(column) for column in zip(*found, strict=True))
    if parts.is_dataset and parts.fold is not None:
        check_count(len(next(iter(arrays_of(targets).values()))), parts.n_validation)
    return predictions, targets


def _outputs(model: Any, x: Any) -> Any:
    """Return the model's outputs as arrays, by one trace for all models of its structure."""
    from digitexp.training.graph import engine

    try:
        return engine.predict(model, x)
    except engine.Untraceable:
        return mapped(np.asarray, model.predict(x, batch_size=engine.CHUNK, verbose=0))


def predicted_by(model: Any, parts: Parts) -> np.ndarray:
    """Return what a model of one output, compiled or not, predicts of the part that scores."""
    x, _ = next(iter(parts.scoring_batches()))
    (found,) = keras.tree.flatten(model.predict(x, batch_size=4096, verbose=0))
    return np.asarray(found)


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
    class_weight: Any = None,
    monitored: tuple[str, int] = ("val_loss", 1),
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
        class_weight: How much the examples of each class count, or a function that returns it.
        monitored: The metric that decides which epoch is best, and -1 if more is better, else 1.

    Raises:
        ValueError: `build` returned no compiled model, or one without a metric that is needed.
    """
    began, (monitor, sign) = perf_counter(), monitored
    begin_training(spec.seed)
    model = checked(build())
    inputs, targets = (parts.train.element_spec if parts.is_dataset else parts.train)[:2]
    check_fits(model, inputs, targets, task)
    own: Sequence[Any] = () if callbacks is None else callbacks(params)
    rate = float(model.optimizer.learning_rate)
    observer = Observer(
        lambda epoch, values: None if (stop := on_epoch(epoch, values)) is None else stop.reason,
        Schedule(
            {
                **params,
                "learning_rate_schedule": "plateau",  # lowers the rate of the user's optimizer
                "learning_rate": rate,
                "plateau_monitor": monitor,
                "monitor": monitor,
                "monitor_sign": sign,
            }
        ),
    )
    net = UserNet(
        model,
        parts,
        params,
        seed=spec.seed,
        needed=[*dict.fromkeys([*needed_metrics(task, parts.classes, more), monitor])],
        own=own,
        counts=_counts(class_weight, params, parts),
    )
    with known_warnings_ignored():
        outcome = train(
            net,
            observer,
            lambda: _judged(
                net, parts, observer.history, task, more, info.get("class_names"), monitored
            ),
            began=began,
            checkpoint=spec.checkpoint,
            info=dict(info),
        )
    if outcome.stop_reason == "max_epochs" and len(outcome.history["loss"]) < params["epochs"]:
        outcome = replace(outcome, stop_reason=_who_ended(own))
    return TrialResult(**vars(outcome))


def _counts(class_weight: Any, params: Mapping[str, Any], parts: Parts) -> np.ndarray | None:
    """Return (n_train,) how much each training example counts; None if all count alike.

    Raises:
        ValueError: A weight is none, or of a class that does not exist.
    """
    if class_weight is None:
        return parts.weights
    given = class_weight(params) if callable(class_weight) else class_weight
    if parts.classes is None or not isinstance(parts.classes, int):
        raise ValueError("class_weight: examples with several labels have no class")
    weights = np.ones(parts.classes, np.float32)
    for number, weight in given.items():
        if number not in range(parts.classes) or not 0 <= weight < math.inf:
            raise ValueError(
                f"class_weight: {number!r}: {weight!r}; give finite numbers from 0 for the classes "
                f"0 to {parts.classes - 1}"
            )
        weights[number] = weight
    found: np.ndarray = weights[labels_of(parts.train[1])]
    return found if parts.weights is None else found * parts.weights


def _judged(
    net: UserNet,
    parts: Parts,
    history: Mapping[str, Sequence[float]],
    task: Tasks,
    more: Mapping[str, str],
    class_names: Sequence[str] | None,
    monitored: tuple[str, int],
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the metrics of the best epoch, whose weights the model has, and the arrays kept."""
    model, (monitor, sign) = net.model, monitored
    found = of_training(history, monitor, sign=sign)
    best = int(found["best_epoch"]) - 1
    predicted, true = predict(net.outputs, parts)
    judged, arrays = judge(predicted, true, task, parts.classes, _outputs_of(model))
    metrics = judged | {
        "best_val_loss": history["val_loss"][best],
        **{name: history[of][best] for name, of in more.items()},
        **found,
        "parameters": float(sum(np.prod(v.shape) for v in model.trainable_variables)),
    }
    if class_names is not None:
        metrics |= recalls(arrays["confusion"][0], class_names)
    if parts.fold is None:
        return metrics, arrays
    if parts.is_dataset:
        given = {"x": parts.fold.map(lambda x, y, *_: (x, y))}  # scores count all alike
    else:
        given = {"x": parts.fold[0], "y": true, "batch_size": 4096}
    own, scores = _scores_apart(model, given, true, predicted, judged, task, more, parts.classes)
    return metrics | own, arrays | (without_samples(scores) if parts.ordered else scores)


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
    given = {"x": x, "y": y, "batch_size": 4096}
    metrics, scores = _scores_apart(model, given, y, predicted, judged, task, more, classes)
    return judged | metrics, scores


def _scores_apart(
    model: Any,
    given: Mapping[str, Any],
    y: Any,
    predicted: Any,
    judged: Mapping[str, float],
    task: Tasks,
    more: Mapping[str, str],
    classes: Any,
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Score samples that did not stop the training; `model.evaluate` takes them as `given`.

    Returns:
        The loss and further metrics; and arrays: metrics sample by sample, and the predictions of a
        single output, whose mean over models is a prediction.
    """
    scores: dict[str, np.ndarray] = {}
    metrics: dict[str, float] = {}
    losses = _loss_by_sample(model, predicted, y)
    if losses is not None:
        scores["best_val_loss_by_sample"] = losses
        metrics["best_val_loss"] = float(losses.mean())
    if losses is None or more:
        with known_warnings_ignored():  # these may be no means over samples
            found = model.evaluate(**given, verbose=0, return_dict=True)
        metrics["best_val_loss"] = float(found["loss"])
        metrics |= {name: float(found[of.removeprefix("val_")]) for name, of in more.items()}
    known = {**judged, **{name: metrics[name] for name in more}}
    scores |= values_by_sample(known, predicted, y, task, classes, _outputs_of(model))
    if not isinstance(task, Mapping):
        kept, _ = to_average(predicted, task, classes)
        scores |= {PREDICTIONS: kept} if kept.size <= _MOST_KEPT else {}
    return metrics, scores


_MOST_KEPT: Final = 1_000_000
"""Numbers of predictions of a fold that are kept, at most: 4 MB a training."""


def without_samples(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays without metrics sample by sample: those of samples that are alike."""
    return {name: one for name, one in arrays.items() if not name.endswith(BY_SAMPLE)}


def answers(model: Any, parts: Parts, task: Tasks) -> dict[str, np.ndarray]:
    """Return a trained model's predictions of the validation part, by the names of the arrays.

    There are none if the model predicts otherwise each time.
    """
    first, again = (
        judge(*predict(partial(_outputs, model), parts), task, parts.classes, _outputs_of(model))[1]
        for _ in range(2)
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
