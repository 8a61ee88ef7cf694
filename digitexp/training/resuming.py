"""Saves the state of a training at the end of an epoch; another one goes on from it.

That is the next attempt, or the same trial with more epochs. What comes out is that of an
undisturbed training, to the bit. The state is all that decides the epochs to come: weights and
other variables of the model, the optimizer's, callbacks, random generators. Import this after
`set_up_tensorflow()`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, Protocol

import keras
import numpy as np
import tensorflow as tf

from digitexp.tensorflow_setup import known_warnings_ignored


class SavesState(Protocol):
    """The place of a state; `sweeps.experiment.Checkpoint` says what each method does."""

    def load(self) -> Any:
        """Return the state that was saved; None without one."""
        ...

    def resume(self) -> int:
        """Go on from it; return the first epoch that is still to be trained."""
        ...

    def is_due(self, *, is_last: bool = False) -> bool:
        """Whether the state is to be saved now."""
        ...

    def save(self, state: Any, *, is_last: bool = False) -> None:
        """Save the state after the epoch that was last reported."""
        ...

    def refuse(self, why: str) -> None:
        """Say why the state cannot be saved, or the loaded one not be used."""
        ...


class Resumption:
    """The state of one training: restored at its beginning, saved at ends of epochs.

    Attributes:
        checkpoint: Where it is kept; None: every training begins anew, and nothing is saved.
        generators: NumPy's generators that decide epochs; to be filled before `begin`.
        graphs: The traced graphs of the steps; None for a step that runs eagerly. They are looked
            at before a state is saved for the first time.
        seconds_before: How long earlier attempts have trained the epochs that are not trained
            again.
    """

    def __init__(self, checkpoint: SavesState | None = None) -> None:
        self.checkpoint = checkpoint
        self.generators: list[np.random.Generator] = []
        self.seconds_before = 0.0
        self._began = perf_counter()
        self._epochs = 0
        self.graphs: list[Any] = []
        self._is_looked_at = False

    def begin(
        self, model: Any, callbacks: Sequence[Any], epochs: int, more: Sequence[Any] = ()
    ) -> int:
        """Restore the state, if there is one, after `on_train_begin`.

        Args:
            model: The compiled model, with its optimizer built.
            callbacks: All Keras callbacks, in order.
            epochs: Epochs at the most.
            more: Variables beyond those of model and optimizer.

        Returns:
            The first epoch to train, from 0.
        """
        self._began = perf_counter()
        self._model, self._callbacks, self._epochs = model, callbacks, epochs
        self._variables = [*model.variables, *model.optimizer.variables, *more]
        if self.checkpoint is None:
            return 0
        # As it was built: a rate may be reduced later.
        self._optimizer = model.optimizer.get_config()
        state = self.checkpoint.load()
        if state is None or not self._goes_on_from(state):
            return 0
        if (problem := self._misfit(state)) is not None:
            self.checkpoint.refuse(problem)
            return 0
        self._state = state
        self.restore()
        self.seconds_before = state["seconds"]
        return self.checkpoint.resume()

    def restore(self) -> None:
        """Give model, callbacks and generators the loaded state."""
        state = self._state
        for variable, value in zip(self._variables, state["variables"], strict=True):
            variable.assign(value)
        for callback, own in zip(self._callbacks, state["callbacks"], strict=True):
            if _has_methods(callback):
                callback.set_state(own["state"])
                continue
            for name, value in own["state"].items():
                setattr(callback, name, value)
        for generator, own in zip(self.generators, state["generators"], strict=True):
            generator.bit_generator.state = own
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])

    def _goes_on_from(self, state: Mapping[str, Any]) -> bool:
        """Whether the epochs of before are those of this training, if it has more of them."""
        epochs = state.get("epochs", self._epochs)
        if epochs == self._epochs:
            return True
        build = self._build() if epochs < self._epochs else None
        return build is not None and bool(build == state["build"])

    def _build(self) -> str | None:
        """Return a digest of all by which the number of epochs could decide each of them.

        None if a callback may know that number.
        """
        if any(map(_may_know_epochs, self._callbacks)):
            return None
        try:
            model = self._model.to_json()
        except Exception:  # whatever a user's class raises: it does not say how it was built
            return None
        return hashlib.sha256(f"{model} {self._optimizer!r}".encode()).hexdigest()

    def after_epoch(self, *, is_last: bool = False) -> None:
        """Save the state if it is time to; call this at the end of each epoch.

        Args:
            is_last: Whether it is the last one: the state serves a training with more.
        """
        if self.checkpoint is None or not self.checkpoint.is_due(is_last=is_last):
            return
        if (problem := self._problem()) is not None:
            self.checkpoint.refuse(problem)
            return
        with known_warnings_ignored():
            variables = [np.asarray(variable.numpy()) for variable in self._variables]
        self.checkpoint.save(
            {
                "variables": variables,
                "callbacks": [state_of(callback) for callback in self._callbacks],
                "generators": [one.bit_generator.state for one in self.generators],
                "python": random.getstate(),
                "numpy": np.random.get_state(),
                "seconds": self.seconds_before + perf_counter() - self._began,
                "epochs": self._epochs,
                "build": self._build() if is_last else None,
            },
            is_last=is_last,
        )

    def watched(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step of `model.fit` that adds the graph in which it is traced to `graphs`."""

        def watched_step(*arguments: Any) -> Any:
            result = step(*arguments)
            self.graphs.append(None if tf.executing_eagerly() else tf.compat.v1.get_default_graph())
            return result

        return watched_step

    def _misfit(self, state: Mapping[str, Any]) -> str | None:
        here = [(tuple(one.shape), str(one.dtype)) for one in self._variables]
        there = [(one.shape, str(one.dtype)) for one in state.get("variables", ())]
        if here != there:
            return "the model is built with other variables than before"
        names = [type(one).__name__ for one in self._callbacks]
        if names != [own["name"] for own in state["callbacks"]]:
            return "the callbacks are others than before"
        return None

    def _problem(self) -> str | None:
        for callback in self._callbacks:
            if (problem := unsavable(callback)) is not None:
                return problem
        if self._is_looked_at:
            return None
        self._is_looked_at = True
        known = {id(variable.value) for variable in self._variables}
        known |= {id(variable.value) for variable in self._model.metrics_variables}
        problems = (_problem_of_graph(graph, known) for graph in self.graphs)
        return next((problem for problem in problems if problem is not None), None)


_DRAWS: Final = frozenset({
    "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoisson",
    "RandomPoissonV2", "RandomShuffle", "RandomStandardNormal", "RandomUniform",
    "RandomUniformInt", "TruncatedNormal", "EagerPyFunc", "PyFunc", "PyFuncStateless",
})  # fmt: skip
"""Operations with a state that nobody can read: random ones of TensorFlow, and Python code."""


def _problem_of_graph(graph: Any, known: set[int]) -> str | None:
    if graph is None:
        return "the model runs eagerly, and Python code may keep a state"
    strange = [one for one in graph.variables if id(one) not in known]
    if strange:
        return f"its step uses a variable that is not the model's ({strange[0].name})"
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for one in definition.library.function for n in one.node_def)]
    drawing = sorted({node.op for node in nodes} & _DRAWS)
    return f"its step has the operation {drawing[0]}, whose state is unknown" if drawing else None


_STATES: Final[Mapping[type, tuple[str, ...]]] = {
    keras.callbacks.EarlyStopping: (
        "wait", "stopped_epoch", "best", "best_weights", "best_epoch",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.LearningRateScheduler: (),
    keras.callbacks.TerminateOnNaN: (),
    keras.callbacks.History: ("epoch", "history"),
}  # fmt: skip
"""Attributes of Keras's callbacks that change during a training."""


_WITHOUT_SCHEDULE: Final = frozenset(_STATES) - {keras.callbacks.LearningRateScheduler}


def _may_know_epochs(callback: Any) -> bool:
    if (schedule := getattr(callback, "schedule", None)) is not None and _is_own(callback):
        return bool(schedule.depends_on_epochs)
    return not (type(callback) in _WITHOUT_SCHEDULE or _is_own(callback))


def _is_own(callback: Any) -> bool:
    return type(callback).__module__.startswith("digitexp.")  # these only look at what was trained


def unsavable(callback: Any) -> str | None:
    """Return why the state of a callback cannot be saved; None if it can.

    It can if it has `get_state()` and `set_state(state)`, if it is one of Keras's that are known,
    or if all its attributes are plain: numbers, texts, arrays, and lists, tuples and dicts of them.
    """
    if _has_methods(callback) or type(callback) in _STATES:
        return None
    for name, value in _attributes(callback).items():
        if (odd := _odd_in(value)) is not None:
            return (
                f"the state of callback {type(callback).__name__} cannot be saved, for its "
                f"attribute {name} ({odd}); give it get_state() and set_state(state)"
            )
    return None


def state_of(callback: Any) -> dict[str, Any]:
    """Return the state of a callback whose state can be saved, and the name of its class."""
    if _has_methods(callback):
        own = callback.get_state()
    elif type(callback) in _STATES:
        own = {name: getattr(callback, name) for name in _STATES[type(callback)]}
    else:
        own = _attributes(callback)
    return {"name": type(callback).__name__, "state": own}


def _has_methods(callback: Any) -> bool:
    return callable(getattr(callback, "get_state", None)) and hasattr(callback, "set_state")


def _attributes(callback: Any) -> dict[str, Any]:
    """Return the attributes that a callback has beyond those of every callback."""
    plain = {*vars(keras.callbacks.Callback()), "model", "params"}
    return {name: value for name, value in vars(callback).items() if name not in plain}


def _odd_in(value: Any) -> str | None:
    """Return the type of something in a value that is not plain; None if all of it is."""
    if value is None or type(value) in {bool, int, float, str}:
        return None
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype) if value.dtype.hasobject or value.dtype.kind == "V" else None
    if type(value) is dict and all(type(key) is str for key in value):
        value = list(value.values())
    if type(value) in {list, tuple}:
        return next((odd for one in value if (odd := _odd_in(one)) is not None), None)
    return type(value).__name__


def fit(
    model: Any,
    callbacks: Sequence[Any],
    resumption: Resumption,
    *,
    more: Sequence[Any] = (),
    steps: int | None,
    epochs: int,
    **arguments: Any,
) -> None:
    """Call `model.fit`, and go on where an earlier attempt was cut off.

    Its data are made by TensorFlow with random states that nobody can read. So the epochs of
    before are passed over: their data are read, which moves these states, and nothing is trained.

    Args:
        model: A compiled model.
        callbacks: Keras callbacks, called in this order after each epoch.
        resumption: The state.
        more: Variables of its step beyond those of model and optimizer.
        steps: Batches of an epoch; None if unknown.
        epochs: Epochs at the most.
        arguments: Other arguments of `model.fit`, such as its data.
    """
    arguments |= {"epochs": epochs, "verbose": 0}
    if resumption.checkpoint is None:
        model.fit(callbacks=list(callbacks), **arguments)
        return
    params = {"model": model, "verbose": 0, "epochs": epochs, "steps": steps}
    is_dataset = isinstance(arguments["x"], tf.data.Dataset)
    watchers = _Watchers(list(callbacks), resumption, more, is_dataset=is_dataset, **params)
    before = {name: vars(model).get(name) for name in _STEPS}
    for name in _STEPS:
        setattr(model, name, resumption.watched(getattr(model, name)))
    try:
        model.fit(callbacks=watchers, **arguments)
    finally:
        for name, own in before.items():
            if own is None:
                delattr(model, name)  # a model with a step of its own is predicted otherwise
            else:
                setattr(model, name, own)


_STEPS: Final = ("train_step", "test_step")
_RESULTS: Final = "get_metrics_result"
"""The method by which `model.fit` reads the metrics of an epoch."""


class _Watchers(keras.callbacks.CallbackList):  # type: ignore[misc]  # Keras is untyped
    """The callbacks of `model.fit`; those of epochs that are passed over are not called."""

    callbacks: list[Any]

    def __init__(
        self,
        callbacks: list[Any],
        resumption: Resumption,
        more: Sequence[Any],
        *,
        is_dataset: bool,
        **others: Any,
    ) -> None:
        super().__init__(callbacks, add_history=True, **others)
        self._resumption, self._more, self._is_dataset = resumption, more, is_dataset
        self._first, self._kept = 0, self.callbacks

    def on_train_begin(self, logs: Any = None) -> None:
        """Load the state; let the epochs of before be passed over."""
        super().on_train_begin(logs)
        optimizer, weights = self.model.optimizer, self.model.trainable_variables
        if not optimizer.built:
            optimizer.build(weights)
        epochs = self.params["epochs"]
        self._first = self._resumption.begin(self.model, self._kept, epochs, self._more)
        if self._first:
            self.callbacks = []
            passing = _passed_over(self.model, is_dataset=self._is_dataset)
            self.model.train_function = self.model.test_function = passing
            self.model.__dict__[_RESULTS] = dict  # metrics are built with the first step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin to train once the epochs of before are passed over."""
        if self._first and epoch == self._first:
            self.callbacks = self._kept
            del self.model.__dict__[_RESULTS]
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)
            self._resumption.restore()  # user's data may have drawn random numbers of Python
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Call the callbacks, then save the state, unless the training ends."""
        super().on_epoch_end(epoch, logs)
        if epoch >= self._first and not self.model.stop_training:
            self._resumption.after_epoch(is_last=epoch + 1 == self.params["epochs"])


def _passed_over(model: Any, *, is_dataset: bool) -> Callable[[Any], dict[str, float]]:
    """Return a function that reads the batches of a step of `model.fit`, and does no more.

    Of arrays it reads the first one: their order is drawn before it, for the whole epoch.
    """

    def pass_over(iterator: Any) -> dict[str, float]:
        next(iterator)  # at the end of the data it ends the epoch, as a step would
        for _ in range(model.steps_per_execution - 1 if is_dataset else 0):
            if next(iterator, None) is None:
                break
        return {}

    return pass_over
