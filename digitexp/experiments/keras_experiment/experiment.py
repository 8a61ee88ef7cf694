"""The adapter between a user's Keras model and the framework's contract."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from digitexp.config import DEFAULTS
from digitexp.experiments.exporting import combined, save, write_for_elsewhere
from digitexp.experiments.keras_experiment.data import (
    Numbers,
    Parts,
    Tasks,
    are_datasets,
    arrays_of,
    built_with,
    by_name,
    check_order,
    classes_of,
    digest_of,
    everything_of,
    folds_of,
    folds_of_numbers,
    mapped,
    named_arrays,
    numbers_of,
    read_datasets,
    read_parts,
    read_test,
    reading_digest,
)
from digitexp.experiments.keras_experiment.judging import metrics_of, needed_metrics
from digitexp.metrics import OF_TRAINING, recall_names
from digitexp.parameters import PARAMETERS
from digitexp.tensorflow_setup import PACKAGES, without_chatter
from sweeps.capabilities import Evaluated, Fold, Signature, TestSet
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)

TRAINING = (
    "epochs",
    "batch_size",
    "early_stopping_patience_epochs",
    "plateau_patience_epochs",
    "plateau_factor",
    "min_learning_rate",
)
"""Parameters that every such experiment has; meaning, limits and defaults as in `digits`."""


_KINDS: Final[Mapping[type, Literal["bool", "int", "float", "categorical"]]] = {
    bool: "bool",  # before int, which it is one of
    int: "int",
    float: "float",
    str: "categorical",
}


def described(name: str, value: Value | ParameterInfo) -> ParameterInfo:
    """Return the `ParameterInfo` of a parameter, made from its default if only that is given.

    Raises:
        ValueError: The default is of a type that no space could write.
    """
    if isinstance(value, ParameterInfo):
        return value
    for kind, word in _KINDS.items():
        if isinstance(value, kind):
            return ParameterInfo(word, default=value)
    raise ValueError(
        f"parameter {name!r}: default {value!r} is no number, text, True or False; give a "
        "ParameterInfo"
    )


def training_parameters() -> dict[str, ParameterInfo]:
    """Return the parameters that every such experiment has."""
    engine = ParameterInfo(
        "categorical",
        choices=("auto", "compiled", "graph", "keras"),
        default="auto",
        description="compiled (chains of dense layers), graph (an epoch is one call), keras "
        "(model.fit), or auto: the first that can",
    )
    return {
        name: ParameterInfo(
            type=PARAMETERS[name].kind,
            low=PARAMETERS[name].low,
            high=PARAMETERS[name].high,
            default=DEFAULTS[name],
            optional=PARAMETERS[name].optional,
            description=PARAMETERS[name].meaning,
        )
        for name in TRAINING
    } | {"engine": engine}


def _is_single(inputs: Any) -> bool:
    """Return whether facts are those of a single input."""
    return isinstance(inputs, Mapping) and isinstance(inputs.get("shape"), list)


def example_code(facts: Any) -> str:
    """Return Python code that makes one example of a model's inputs."""

    def of(one: Mapping[str, Any]) -> str:
        return f'np.zeros({(1, *one["shape"])}, "{one["dtype"]}")'

    if _is_single(facts):
        return of(facts)
    if isinstance(facts, Mapping):
        return "{" + ", ".join(f'"{name}": {of(one)}' for name, one in facts.items()) + "}"
    return f"[{', '.join(map(of, facts))}]"


def random_inputs(facts: Any) -> Any:
    """Return four examples of a model's inputs: floats from 0 to 2, integers 0 and 1."""
    draw = np.random.default_rng(0).random

    def of(one: Mapping[str, Any]) -> np.ndarray:
        return (2 * draw((4, *one["shape"]))).astype(one["dtype"])

    return of(facts) if _is_single(facts) else mapped(of, facts)


_SAY_NOTHING = frozenset({
    *("build", "build_model", "create_model", "get_model", "make_model", "model"),
    *("experiment", "main", "__main__"),
})  # fmt: skip


def _name_of(build: Callable[..., Any]) -> str:
    """Return the first that says something: the name of a function, its module, its folder."""
    module = getattr(build, "__module__", None) or ""
    file = getattr(sys.modules.get(module), "__file__", None)
    # What a notebook defines has the file of its kernel.
    folder = Path(file).resolve().parent if file and module != "__main__" else Path.cwd()
    names = [getattr(build, "__name__", ""), module.rpartition(".")[2], folder.name]
    return next((name for name in names if name and name not in _SAY_NOTHING), names[0] or "keras")


_RULE: Final = (
    "compiled if the model is a chain of dense layers, else graph, else model.fit; each trial says "
    "which, and why not another"
)

ClassWeight = Mapping[int, float] | Callable[[Mapping[str, Value]], Mapping[int, float]]


class KerasExperiment:
    """An experiment made of a function that builds a model, and data.

    Every trial is trained with EarlyStopping and ReduceLROnPlateau on `val_loss`, a whole epoch in
    one call. Its best weights are restored and judged on the validation part. Pictures are drawn,
    and `load_model` builds the trained model again. `sweeps confirm` divides arrays anew into
    folds, at random: examples are to be independent, or to have `groups`, or to be `ordered`.
    Import Keras inside the functions: commands that only look at sweeps need not wait for it then.

    A model may have several inputs and outputs: x and y are then dicts of arrays by their names (or
    lists or tuples, in the model's order), datasets yield such structures, and `task` says what
    each output is. Each output then has metrics of its own (`best_val_<output>_accuracy`,
    `best_val_<output>_mae`, ...) and a picture of its own; `best_val_loss` is the loss of all.
    Tables of confusions in reports, and MLflow's server, take single inputs and outputs only.

    Example:
        def build(params):
            import keras
            layers = [keras.layers.Dense(params["units"], "relu"), keras.layers.Dense(3)]
            model = keras.Sequential([keras.layers.Input((13,)), *layers])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            adam = keras.optimizers.Adam(params["learning_rate"])
            model.compile(adam, loss, metrics=["accuracy"])
            return model

        experiment = KerasExperiment(build, load, {"units": 16, "learning_rate": 1e-3})
    """

    requires = PACKAGES
    measures: Mapping[str, str] = {}
    revision = 4  # to be raised when the same model, configuration and seed give other numbers

    def __init__(  # noqa: PLR0913 - each is a fact of the model or of its data
        self,
        build: Callable[[Mapping[str, Value]], Any],
        data: Any,
        parameters: Mapping[str, Value | ParameterInfo],
        *,
        task: Tasks = "classification",
        metrics: Mapping[str, Literal["maximize", "minimize"]] | None = None,
        name: str | None = None,
        callbacks: Callable[[Mapping[str, Value]], Sequence[Any]] | None = None,
        groups: Any = None,
        ordered: bool = False,
        test: Any = None,
        class_weight: ClassWeight | None = None,
        class_names: Sequence[str] | None = None,
        monitor: str = "val_loss",
        gap: int = 0,
        examples: int | None = None,
    ) -> None:
        """Describe the experiment; nothing is loaded or built yet.

        Args:
            build: Takes every parameter by name, returns a compiled `keras.Model`; for
                classification with one score a class and the metric `accuracy`. Losses, loss
                weights and metrics of several outputs are dicts or lists, as Keras takes them.
            data: (x, y), of which a fifth becomes the validation part; ((x, y), (x_val, y_val));
                a pair of batched `tf.data` datasets; or a function that returns one of these. Each
                (x, y) may be (x, y, w), with how much each example counts in the training loss;
                scores count all alike, but for `val_loss` of a dataset that has weights. A
                function gets the source given by `--data` as its first argument, if that has no
                default, or a text or None; other defaults stay. Build datasets in a
                function: it is called for every trial, under the seed of the trial, so that no
                trial depends on another one, and a shuffle needs no seed. A sweep on datasets
                that shuffle and are given as objects is tagged `reproducible=false`. With
                `examples`, a function of two arrays of numbers, of the examples that train and of
                those that validate, which returns the two datasets: those of a search, and of each
                fold of a confirmation. The second has one example a number, in their order.
            parameters: What `build` reads, by name: a default value, which also says the type, or
                a `ParameterInfo` with limits.
            task: `classification` (accuracy, confusion matrix; of targets of 0 and 1 that give an
                example several labels, or none, label by label) or `regression` (mean absolute
                error, residuals); of several outputs which one each is, by the names of their
                layers: `{"kind": "classification", "price": "regression"}`.
            metrics: More metrics the model is compiled with, and which way is better; `auc`
                becomes the headline metric `best_val_auc`, and `kind_auc`, of an output `kind`
                among several, `best_val_kind_auc`.
            name: Short name, of experiment and data; None = the name of `build`, or where that says
                nothing, such as `build_model`, that of its module or folder.
            callbacks: Takes every parameter by name, returns more Keras callbacks, called after
                EarlyStopping and ReduceLROnPlateau in every engine. One that looks at batches has
                the model trained by `model.fit`, a call each step. A long trial that is cut off
                goes on from its checkpoint only if their state can be saved: they are Keras's own,
                or have plain attributes only, or `get_state()` and `set_state(state)`.
            groups: (n,) the group of each example of (x, y), such as its patient, or a function
                that returns it. No group is then both trained on and scored, and confirmations
                compare group by group, since the examples of a group are alike.
            ordered: Whether the examples are in time order, the oldest first. The last fifth of
                (x, y) then validates, and a confirmation trains on the past of what it scores
                (see `rolling_origin` in sweeps/capabilities.py), by one number per fold. With
                `groups` nothing is trained on of a group that scores.
            test: (x, y) of samples that are not in `data`, or a function that returns them, with an
                argument like that of `data`. It is read for `sweeps confirm --test` only: no trial
                and no fold sees it, and each evaluation is counted.
            class_weight: How much the examples of each class count in the training loss, by its
                number; a class that is left out counts 1. Or a function that takes every parameter
                by name and returns that, so that a space can search it. Scores count all alike.
            class_names: Name of each class, in the order of their numbers: pictures and reports say
                it, and a trial has the recall of each, `recall_<class>`.
            monitor: The metric of an epoch that decides which one is best, when to stop early, and
                when the rate falls: `val_loss`, `val_accuracy`, or `val_<name>` of one of
                `metrics`, which says which way is better.
            gap: Of ordered examples, so many lie unused between those that train and those that
                score: as many as their windows overlap (purging), or as a forecast looks ahead.
            examples: How many examples there are, numbered from 0, of which the function `data`
                makes datasets. With it datasets have folds, `groups` and `ordered`.

        Raises:
            ValueError: A parameter has the name of one that every experiment has, or a default
                that no space could write; or `task` is none of those above, or takes no class
                weights or names; or there is a gap without an order, or no such `monitor`; or there
                are `examples`, but no function.
        """
        if examples is not None and not callable(data):
            raise ValueError(
                f"examples {examples}: data is {type(data).__name__}; give a function of the "
                "numbers that train and of those that validate, which returns two batched tf.data "
                "datasets"
            )
        if (gap and not ordered) or gap < 0:
            raise ValueError(f"gap {gap}: it is for ordered examples, and a number from 0 on")
        if class_weight is not None and task != "classification":
            raise ValueError("class_weight: it is for a single output that is a classification")
        if class_names is not None and task != "classification":
            raise ValueError("class_names: they are for a single output that is a classification")
        of_task = metrics_of(task) | {
            recall: MetricInfo("maximize", None, f"share of {name} recognised", shown=False)
            for recall, name in zip(recall_names(class_names or ()), class_names or (), strict=True)
        }
        taken = sorted({*training_parameters(), "seed"} & parameters.keys())
        if taken:
            raise ValueError(f"parameters {', '.join(taken)}: every experiment has them already")
        self.name: str = name or _name_of(build)
        own = {key: described(key, value) for key, value in parameters.items()}
        self.parameters: Mapping[str, ParameterInfo] = own | training_parameters()
        more = metrics or {}
        self._more = {f"best_val_{key}": f"val_{key}" for key in more}
        asked = {f"best_val_{key}": MetricInfo(way, f"val_{key}") for key, way in more.items()}
        self.metrics: Mapping[str, MetricInfo] = {**of_task, **asked}
        watched = {info.epoch_metric: info.direction for info in self.metrics.values()}
        if monitor not in watched:
            raise ValueError(
                f"monitor {monitor!r}: is no metric of an epoch; "
                f"there are {', '.join(name for name in watched if name)}"
            )
        self._monitored = monitor, -1 if watched[monitor] == "maximize" else 1
        self._gap, self._examples = gap, examples
        self._build, self._data, self._task = build, data, task
        self._callbacks, self._groups, self.ordered = callbacks, groups, ordered
        self._test, self._class_weight = test, class_weight
        self._class_names = None if class_names is None else [*map(str, class_names)]

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing: limits are in `parameters`, and `build` may refuse the rest."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load the data, check and split them.

        Raises:
            ValueError: The data have none of the forms that a `KerasExperiment` takes.
        """
        parts, names = self._read(source, split_seed), self._class_names
        if names is not None and parts.classes != len(names):
            has = f"have {parts.classes} classes" if parts.classes else "give several labels each"
            raise ValueError(f"class_names: {len(names)} names, but the examples {has}")
        anew = {"validation_examples": parts.examples, "dataset_seed": parts.dataset_seed}
        return PreparedData(
            name=source or self.name,
            digest=parts.digest,
            split_digest=parts.split_digest,
            info={
                "n_train": parts.n_train,
                "n_validation": parts.n_validation,
                "n_test": self._n_test(),
                "split_seed": split_seed,
                "classes": parts.classes,
                "inputs": parts.inputs,
                "source": source,
                **({} if names is None else {"class_names": names}),
                **(anew if parts.is_dataset else {}),
            },
            # Every trial builds its own datasets.
            payload=self._numbers(split_seed) if parts.is_dataset else parts,
            irreproducible=parts.irreproducible,
        )

    def _n_test(self) -> int | None:
        """Return the number of test examples; None without a test set, and if a function has it."""
        if not isinstance(self._test, tuple | list) or len(self._test) < 2:
            return None
        _, y, *_ = self._test
        return next((len(one) for one in arrays_of(y).values() if np.ndim(one)), None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return no numbers: none are known before the model is built."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine; the time that a user's model takes is not known in advance."""
        engine = str(self._params(config)["engine"])
        if not isinstance(data.payload, Parts):
            engine, reason = "keras", "its data are tf.data datasets"
        elif engine != "auto":
            reason = "asked for"
        else:
            reason = _RULE
        classes = data.info["classes"]
        needed = needed_metrics(self._task, classes, self._more)
        if needed:
            names = ", ".join(name.removeprefix("val_") for name in needed)
            reason += f"; compile it with: {names}"
        of, tasks = by_name(classes, self._task), by_name(self._task, self._task)
        if any(of[name] is None and kind != "regression" for name, kind in tasks.items()):
            reason += (
                "; its examples have several labels: accuracy is the share of labels told right, "
                "and there is no confusion matrix"
            )
        if isinstance(classes, Mapping):
            reason += "; each output has a picture of its own, which reports and MLflow's grid lack"
        return EnginePlan(engine, reason, None)

    def recognise(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine that will train the model, which is built for it: this imports Keras."""
        plan, params = self.plan(config, data), self._params(config)
        if plan.engine != "auto":
            return plan
        from digitexp.tensorflow_setup import start_tensorflow

        start_tensorflow()
        from digitexp.experiments.keras_experiment.models import recognised

        own = () if self._callbacks is None else self._callbacks(params)
        engine, reason = recognised(lambda: self._build(params), data.payload, self._task, own)
        return replace(plan, engine=engine, reason=plan.reason.replace(_RULE, reason))

    def warm_up(self) -> None:
        """See `warm_up_for`."""
        self.warm_up_for([{}], lambda line: print(line, file=sys.stderr, flush=True))

    def warm_up_for(
        self, configs: Sequence[Mapping[str, Value]], say: Callable[[str], None]
    ) -> None:
        """Import and configure TensorFlow; runs nothing yet, so that workers can be forked.

        Args:
            configs: Some configurations.
            say: Receives a line if machine code has to be made, which takes 15 seconds.
        """
        from digitexp.tensorflow_setup import set_up_tensorflow

        set_up_tensorflow()
        if any(self._params(config)["engine"] in {"auto", "compiled"} for config in configs):
            from digitexp.training.compiled.net import prepare_engine

            prepare_engine(say=say)

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Build and train one model.

        Raises:
            MemoryError: The training needs more memory than there is.
            ValueError: `build` returned no compiled model, or one without a metric that is needed.
        """
        from digitexp.tensorflow_setup import memory_errors

        with memory_errors():
            from digitexp.experiments.keras_experiment.models import run_trial

            return run_trial(
                lambda: self._build(self._params(spec.config)),
                self._parts(data, spec.seed),
                self._params(spec.config),
                spec,
                on_epoch,
                task=self._task,
                more=self._more,
                info=data.info,
                callbacks=self._callbacks,
                class_weight=self._class_weight,
                monitored=self._monitored,
            )

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Divide the training part into folds, which scored no trial; classes keep their shares.

        Raises:
            ValueError: The data are datasets, of which no example can be left out.
        """
        if data.payload is None:
            raise ValueError(
                "data: fresh folds cannot be made of tf.data datasets; give (x, y) as arrays, or a "
                "function of the numbers that train and those that validate: "
                "KerasExperiment(..., examples=...)"
            )
        given = None if self.ordered else data.payload.groups
        numbers = None if given is None else np.unique(given, return_inverse=True)[1]
        divided: Iterable[tuple[Parts | Numbers, np.ndarray]]
        if isinstance(data.payload, Numbers):
            divided = folds_of_numbers(data.payload, seed, n, ordered=self.ordered, gap=self._gap)
        else:
            divided = folds_of(data.payload, self._task, seed, n)
        for parts, samples in divided:
            groups = None if numbers is None else numbers[samples]
            yield Fold(replace(data, payload=parts), samples, groups)

    def test_set(self, source: str | None) -> TestSet | None:
        """Return the test set; None without one.

        Raises:
            ValueError: It is no (x, y), or its sizes, types or targets are wrong.
        """
        if self._test is None:
            return None
        takes_source = callable(self._test) and _source_parameter(self._test) is not None
        found = _given(self._test, source if takes_source else None)
        x, y, samples = read_test(found, self._task)
        return TestSet(digest_of(*named_arrays(x, y)), x, y, samples)

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        """Train on training and validation part, for a number of epochs; nothing is left to score.

        The weights of the epoch with the lowest loss on the validation part, which is trained on as
        well, are kept, and the predictions of that part, by which `export` knows the model again.

        Raises:
            ValueError: See `train`.
        """
        config = {**spec.config, "epochs": epochs, "early_stopping_patience_epochs": None}
        everything = replace(data, payload=everything_of(data.payload))
        result = self.train(replace(spec, config=config), everything, on_epoch)
        predicted = {k: v for k, v in result.arrays.items() if k.startswith("predicted")}
        metrics = {k: v for k, v in result.metrics.items() if k in OF_TRAINING}
        return replace(result, metrics=metrics, arrays=predicted)

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        """Return (n, ...) the probabilities or values that a trial kept; None of several outputs.

        Of many validation examples it kept the first ones.
        """
        from digitexp.experiments.keras_experiment.judging import to_average

        kept, true = result.arrays.get("predicted"), self.validation_truth(data)
        if kept is None or true is None or isinstance(self._task, Mapping):
            return None
        if self._task == "regression":
            kept = kept.reshape(true.shape)
        return to_average(kept, self._task, data.payload.classes)[0]

    def validation_truth(self, data: PreparedData) -> np.ndarray | None:
        """Return the target of each validation example; None of several outputs, or of datasets."""
        if not isinstance(data.payload, Parts) or isinstance(self._task, Mapping):
            return None
        (y,) = arrays_of(data.payload.validation[1]).values()
        return np.asarray(y)

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        """Score predictions, such as the mean of several models' ones, without a model."""
        from digitexp.experiments.keras_experiment.judging import judge, values_by_sample

        classes = classes_of(truth, self._task)
        metrics, _ = judge(predictions, truth, self._task, classes)
        if not self._is_independent:
            return Evaluated(metrics, {})
        return Evaluated(
            metrics, values_by_sample(metrics, predictions, truth, self._task, classes)
        )

    @property
    def _is_independent(self) -> bool:
        return self._groups is None and not self.ordered

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        """Score a model on the test set; samples one by one, if they are independent.

        Raises:
            ValueError: The model does not take its inputs, or has other outputs.
        """
        from digitexp.experiments.keras_experiment.models import evaluate, without_samples

        x, y = test_set.inputs, test_set.labels
        metrics, arrays = evaluate(model, x, y, self._task, self._more)
        kept = arrays if self._is_independent else without_samples(arrays)
        return Evaluated(metrics, kept)

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw the curves, and the confusion matrix or the residuals, of the best epoch.

        Of an output `a` among several they are `confusion_matrix_a.png` or `residuals_a.png`.
        """
        from digitexp.experiments.pictures import draw_matrix
        from digitexp.plots.training import draw_curves, draw_residuals

        shown = " ".join(f"{k}={v}" for k, v in spec.config.items())
        title = f"trial {spec.trial}  ·  {shown}  ·  {result.stop_reason.replace('_', ' ')}"
        history, arrays, best = result.history, result.arrays, result.metrics.get("best_epoch")
        measured = [name for name in history if f"val_{name}" in history and name != "loss"]
        epoch, beside = None if best is None else int(best), next(iter(measured), None)
        files = {"loss_curves.png": draw_curves(history, epoch, title, beside=beside)}
        for key, array in arrays.items():
            what, _, output = key.partition("_")
            if what == "confusion":
                names = self._class_names or [*map(str, range(len(array[0])))]
                files |= draw_matrix(array[0], names, epoch, output)
            elif what == "true":
                suffix = f"_{output}" if output else ""
                heading = f"{output}: validation" if output else "Validation"
                files[f"residuals{suffix}.png"] = draw_residuals(
                    array, arrays[f"predicted{suffix}"], f"{heading} after epoch {epoch}"
                )
        return files

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Build the model again and give it a trial's weights.

        Raises:
            ValueError: The weights do not belong to what `build` makes of this configuration.
        """
        from digitexp.tensorflow_setup import start_tensorflow

        start_tensorflow()  # before any other import of TensorFlow, which would log its start
        from digitexp.experiments.keras_experiment.models import checked, give_weights

        model = checked(self._build(self._params(config)))
        give_weights(model, weights)
        return model

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return the model's present predictions of the validation part, as trials record them.

        There are none for a dataset that gives its examples in another order each time, or for a
        model whose answers are random: such predictions cannot be compared one by one.
        """
        from digitexp.experiments.keras_experiment.models import answers

        seed = data.info["split_seed"]
        parts = self._parts(data, seed)
        if parts.is_dataset:
            again = (parts, self._built_anew(data, seed), self._built_anew(data, seed + 1))
            if len({reading_digest(one) for one in (parts, *again)}) > 1:
                return {}
        return answers(model, parts, self._task)

    def signature(self, info: Mapping[str, Any]) -> Signature | None:
        """Return the shape and dtype of the inputs; None if a sweep did not note them yet.

        There is none for several inputs or outputs either: a request is one array, and so is an
        answer. The width of an answer is left open (-1), since only the model knows it.
        """
        has_several = isinstance(info.get("classes"), Mapping)
        if "inputs" not in info or has_several or not _is_single(info["inputs"]):
            return None
        shape, dtype = info["inputs"]["shape"], np.dtype(info["inputs"]["dtype"])
        if dtype.kind not in "fiub":
            return None
        return Signature(np.zeros((1, *shape), dtype), (-1,))

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return the model's outputs (n, outputs); raise ValueError if it takes no such inputs."""
        expected = model.input_shape
        fits = [size in (None, found) for size, found in zip(expected, inputs.shape, strict=False)]
        if len(expected) != inputs.ndim or not all(fits):
            raise ValueError(f"inputs of shape {inputs.shape}; give {('n', *expected[1:])}")
        if inputs.dtype.kind not in "fiub" or not np.isfinite(inputs).all():
            raise ValueError(f"inputs of dtype {inputs.dtype}; give finite numbers")
        found: np.ndarray = np.asarray(model(inputs, training=False))
        return found.reshape(len(found), -1)

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
        """Write `model.keras`; return Python code that uses it, see `write_for_elsewhere`."""
        model = self.load_model(config, weights, info)
        early = {"shape": [*model.input_shape[1:]], "dtype": "float32"}  # did not note its inputs
        facts = info.get("inputs") or early
        use = f"""\
inputs = {example_code(facts)}  # yours, prepared as the training data were
print(model.predict(inputs, verbose=0))
"""
        return write_for_elsewhere(model, folder, use, random_inputs(facts))

    def export_ensemble(
        self,
        models: Sequence[Any],
        weights: Sequence[float],
        info: Mapping[str, Any],
        data: PreparedData,
        folder: Path,
    ) -> tuple[str, np.ndarray]:
        """Write one `model.keras`, inputs -> mean prediction; see `SupportsEnsembleExport`."""
        import keras

        from digitexp.experiments.keras_experiment.judging import to_average
        from digitexp.experiments.keras_experiment.models import predicted_by

        parts, facts, true = data.payload, data.info["inputs"], self.validation_truth(data)
        assert true is not None, "without true values nothing was selected"
        task: Any = self._task
        turned = [to_average(predicted_by(one, parts), task, parts.classes) for one in models]

        def of(one: Mapping[str, Any], name: str | None = None) -> Any:
            return keras.Input(one["shape"], dtype=one["dtype"], name=name)

        if _is_single(facts):
            inputs = of(facts)
        elif isinstance(facts, Mapping):
            inputs = {name: of(one, name) for name, one in facts.items()}
        else:
            inputs = [of(one) for one in facts]
        whole = combined(models, weights, [activation for _, activation in turned], inputs)
        use = f"""\
inputs = {example_code(facts)}  # yours, prepared as the training data were
print(model.predict(inputs, verbose=0))
"""
        code = write_for_elsewhere(whole, folder, use, random_inputs(facts))
        predicted = predicted_by(whole, parts)
        return code, predicted.reshape(true.shape) if task == "regression" else predicted

    def _params(self, config: Mapping[str, Value]) -> dict[str, Value]:
        return {key: info.default for key, info in self.parameters.items()} | dict(config)

    def _read(self, source: str | None, split_seed: int) -> Parts:
        has_tensorflow = "tensorflow" in sys.modules  # with our settings; data may need a seed
        with built_with(split_seed, split_seed) if has_tensorflow else nullcontext():
            data = self._load(source, numbers := self._numbers(split_seed))
        if numbers is not None and not are_datasets(data):
            raise ValueError(
                f"data: received {type(data).__name__}; with examples={self._examples} return two "
                "batched tf.data datasets"
            )
        if are_datasets(data):  # built once more, as for a trial: under a seed, by our settings
            if self._groups is not None and numbers is None:
                raise ValueError("groups: tf.data datasets are split already; leave groups out")
            if self.ordered and numbers is None:
                raise ValueError("ordered: tf.data datasets are split already; leave ordered out")
            if self._class_weight is not None:
                raise ValueError("class_weight: weigh the examples in the tf.data datasets")
            return read_datasets(
                lambda: self._load(source, numbers), self._task, split_seed, numbers
            )
        groups = self._groups() if callable(self._groups) else self._groups
        return read_parts(data, self._task, split_seed, groups, ordered=self.ordered, gap=self._gap)

    def _numbers(self, split_seed: int) -> Numbers | None:
        """Return the numbers of which a search makes its datasets; None of other data."""
        if self._examples is None:
            return None
        groups = self._groups() if callable(self._groups) else self._groups
        return numbers_of(self._examples, split_seed, groups, ordered=self.ordered, gap=self._gap)

    def _load(self, source: str | None, numbers: Numbers | None) -> Any:
        """Return the data as they are given, or what their function makes of numbers."""
        if numbers is None:
            return _given(self._data, source)
        if source is not None:
            raise ValueError(f"data {source!r}: the data function takes numbers; leave --data out")
        with without_chatter():
            return self._data(numbers.train, numbers.validation)

    def _parts(self, data: PreparedData, seed: int) -> Parts:
        return data.payload if isinstance(data.payload, Parts) else self._built_anew(data, seed)

    def _built_anew(self, data: PreparedData, seed: int) -> Parts:
        """Return the datasets of one trial, whose state no other trial has touched.

        A set that shuffles has a state, which goes on from one reading to the next.
        """
        info, numbers, fold = data.info, data.payload, None
        fixed = info["dataset_seed"]
        with built_with(seed if fixed is None else fixed, info["split_seed"]):
            train, validation = self._load(info["source"], numbers)
            if numbers is not None and numbers.fold is not None:
                _, fold = self._load(None, replace(numbers, validation=numbers.fold))
                check_order(self._data, numbers, fold)
        return Parts(
            train=train,
            validation=validation,
            n_train=None,
            n_validation=info["n_validation"] if fold is None else len(numbers.fold),
            classes=info["classes"],
            inputs=info["inputs"],
            digest=data.digest,
            split_digest=data.split_digest,
            examples=info["validation_examples"] if fold is None else None,
            fold=fold,
            ordered=self.ordered,
        )


def _given(data: Any, source: str | None) -> Any:
    """Return data as they were given, or what their function returns for a source.

    Raises:
        ValueError: There is a source, and the data take none.
    """
    if not callable(data):
        if source is not None:
            raise ValueError(f"data {source!r}: this experiment has its own; leave --data out")
        return data
    with without_chatter():  # it may import TensorFlow, or be the first to use it
        takes = _source_parameter(data)
        if source is not None and takes is None:
            raise ValueError(
                f"data {source!r}: the data function takes no source; leave --data out"
            )
        needs_one = takes is not None and takes.default is takes.empty
        return data(source) if source is not None or needs_one else data()


def _source_parameter(function: Callable[..., Any]) -> inspect.Parameter | None:
    """Return the first parameter if it may be a source: it has no default, or a text or None."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind not in {first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD}:
        return None
    may_be = first.default is first.empty or isinstance(first.default, str | Path | None)
    return first if may_be else None
