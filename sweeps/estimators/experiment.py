"""An estimator of scikit-learn, or what has its methods, as an experiment.

    experiment = SklearnExperiment(HistGradientBoostingClassifier(), load, scoring="roc_auc")

Half of the samples score the search, by cross-validation. The others train nothing and score
nothing until `sweeps confirm` divides them into fresh folds: each fold is scored by a model that
all other samples have trained.
"""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    clone,
    is_classifier,
    is_regressor,
)
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    check_cv,
)

from search_spaces.errors import did_you_mean
from search_spaces.parameters import ParameterInfo, Value
from sweeps.by_sample import by_sample
from sweeps.capabilities import (
    BY_SAMPLE,
    PREDICTIONS,
    Evaluated,
    Fold,
    TestSet,
    rolling_origin,
)
from sweeps.errors import UsageError
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    PreparedData,
    TrialResult,
    TrialSpec,
)
from sweeps.experiments.given import facts_of_function

_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
Indices = np.ndarray
Load = Callable[[], Any]
SEARCH_SHARE: Final = 0.5
"""Share of the samples that score the search."""
FEWEST_GROUPS: Final = 8
"""Groups that are needed for fresh folds: one for each, in their half."""
FEWEST: Final = 40
"""Samples that are needed for fresh folds; with fewer all of them score the search."""
ANSWERS: Final = "answers"
"""The array with the scores, else the classes, that a classifier without probabilities gave."""
SPLITS: Final = "split_scores"
"""The array with the score of each split of a cross-validation."""
REFITTED: Final = "refitted_"
"""Before the name of an array: what a model that was fitted to all samples says of the search's."""
_FORMS: Final = "give (X, y), or a dict of X, y and, if there are any, groups and sample_weight"


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a search, and which of them train and score.

    Attributes:
        X: The inputs: an array, a frame, a sparse matrix or a list, with a row for each sample.
        y: (n,) or (n, outputs) the targets; None without any.
        groups: (n,) the group of each; None without.
        weights: (n,) the weight of each in a training; None without.
        classes: The classes, as `y` has them; None of a regression.
        rows: The samples that score the search.
        fresh: The samples that fresh folds divide.
        fold: What trains and what scores in a training on a fold; None in the search.
    """

    X: Any
    y: Any
    groups: Any = None
    weights: Any = None
    classes: Any = None
    rows: Indices = field(default_factory=lambda: np.arange(0))
    fresh: Indices = field(default_factory=lambda: np.arange(0))
    fold: tuple[Indices, Indices] | None = None

    @property
    def truth(self) -> np.ndarray:
        """The targets as numbers: of a classification the number of each class."""
        if self.classes is None:
            return np.asarray(self.y)
        return np.searchsorted(self.classes, np.asarray(self.y))


class SklearnExperiment:
    """An estimator, its data and its score as an experiment; see the module.

    Every trial is cross-validated, and may be pruned after each split: what a pruner watches is the
    mean so far. Parameters are those of `get_params`, such as `clf__C` of a pipeline. A parameter
    `random_state` that is None gets the seed of the trial.
    """

    measures: Mapping[str, str] = {}
    searches_on_less = True

    def __init__(
        self,
        estimator: Any,
        load: Load,
        *,
        scoring: str | Callable[..., float] | None = None,
        cv: Any = 5,
        ordered: bool = False,
        test: Load | None = None,
        name: str | None = None,
        values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Describe the experiment; nothing is loaded yet.

        Args:
            estimator: It is cloned, never fitted itself.
            load: Returns (X, y), or a dict of `X`, `y`, and `groups` or `sample_weight`. Weights
                count in trainings, not in scores.
            scoring: A name of `sklearn.metrics.get_scorer_names`, a scorer of `make_scorer`, or a
                function (estimator, X, y); more is better. None: accuracy, or R2.
            cv: Number of splits, or what `sklearn.model_selection.check_cv` takes. With a list of
                splits all samples score the search, and none are left to confirm on.
            ordered: Whether samples are in time order, the oldest first; then what scores follows
                what trains.
            test: Returns (X, y) of a test set, for `sweeps confirm --test`.
            name: Its name; None: that of the estimator's class.
            values: Objects that parameters may have, by the name of the parameter and the text that
                stands for each in a space.
        """
        for member in ("get_params", "set_params", "fit", "predict"):
            if not hasattr(estimator, member) or isinstance(estimator, type):
                raise TypeError(
                    f"estimator {estimator!r}: has no `{member}`; give an object with the methods "
                    "of scikit-learn's estimators, such as LogisticRegression()"
                )
        cv = list(cv) if hasattr(cv, "__next__") else cv
        # Such splits are of all samples.
        self._divides_all = isinstance(cv, list | tuple) or hasattr(cv, "test_fold")
        self.estimator, self.load, self.cv, self.ordered = estimator, load, cv, ordered
        self.scoring, self._test_load = scoring, test
        self.values = values or {}
        self._classes: Any = None  # those of the data, once they were loaded
        self.name = name or type(last_step(estimator)).__name__
        self.metric = self._named()
        self._pooled = f"pooled_{self.metric}"
        self.metrics: Mapping[str, MetricInfo] = {
            self.metric: MetricInfo("maximize", self.metric, "mean over splits; more is better"),
            self._pooled: MetricInfo("maximize", None, "of all splits together", shown=False),
        }
        self.parameters: Mapping[str, ParameterInfo] = {
            name: ParameterInfo("any", default=value if is_plain(value) else None, optional=True)
            for name, value in estimator.get_params(deep=True).items()
        }
        if test is not None:
            self.test_set = self._loaded_test

    def _named(self) -> str:
        if not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring)):
            raise UsageError(f"scoring {self.scoring!r}: give a name, a scorer or a function")
        if self.scoring is None:
            otherwise = "r2" if is_regressor(self.estimator) else "score"
            return "accuracy" if is_classifier(self.estimator) else otherwise
        if isinstance(self.scoring, str):
            if self.scoring not in (known := get_scorer_names()):
                raise UsageError(
                    f"scoring {self.scoring!r}: is no name of scikit-learn"
                    f"{did_you_mean(self.scoring, known)}"
                )
            return self.scoring
        named = getattr(self.scoring, "__name__", None)
        inner = getattr(self.scoring, "_score_func", None)
        return str(named or getattr(inner, "__name__", "score")).strip("<>")

    def identity(self) -> Mapping[str, str]:
        """Return what decides the numbers, where no file says it: the estimator, and its package.

        Data are no part of it: their digest is.
        """
        package = type(last_step(self.estimator)).__module__.partition(".")[0]
        version = getattr(sys.modules.get(package), "__version__", "")
        shown = {name: _text(value) for name, value in self.estimator.get_params().items()}
        return {
            "(estimator)": json.dumps(shown, indent=1, sort_keys=True),
            "(class)": f"{type(self.estimator).__qualname__} of {package} {version}".strip(),
            "(scoring)": f"{self.metric}, {_text(self.scoring)}, cv {_text(self.cv)}, "
            f"ordered {self.ordered}",
        }

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse a parameter that the estimator does not have."""
        self._model(config, 0)

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load the samples, and part those of the search from those of fresh folds.

        Raises:
            ValueError: A source is given, or the data have none of the forms of `load`.
        """
        if source is not None:
            raise ValueError(f"data {source!r}: the experiment loads its own; leave --data out")
        samples = self._samples(self.load())
        self._classes, n = samples.classes, row_count(samples.X)
        rows, fresh = np.arange(n), np.arange(0)
        if not self._divides_all:
            rows, fresh = _parted(samples, n, split_seed, ordered=self.ordered)
        if self.ordered and samples.groups is not None:
            raise ValueError("ordered: samples in time order have no groups; leave one of them out")
        kept = (samples.X, samples.y, samples.groups, samples.weights)
        digest = digest_of(kept)
        info: dict[str, Any] = {"n_train": len(fresh), "n_validation": len(rows)}
        if samples.classes is not None:
            info["class_names"] = [str(one) for one in samples.classes]
        split = sha256(rows.tobytes() + fresh.tobytes()).hexdigest()
        payload = replace(samples, rows=rows, fresh=fresh)
        return PreparedData(self.name, digest, split, info, payload)

    def _samples(self, loaded: Any) -> Samples:
        if isinstance(loaded, Mapping):
            known = {"X", "y", "groups", "sample_weight"}
            if not {"X", "y"} <= loaded.keys() <= known:
                raise ValueError(f"data: a dict of {', '.join(map(str, loaded))}; {_FORMS}")
            parts = [loaded.get(name) for name in ("X", "y", "groups", "sample_weight")]
        elif isinstance(loaded, tuple | list) and len(loaded) == 2:
            parts = [*loaded, None, None]
        else:
            raise ValueError(f"data: {type(loaded).__name__}; {_FORMS}")
        n = row_count(parts[0])
        for name, one in zip(("y", "groups", "sample_weight"), parts[1:], strict=True):
            if one is not None and row_count(one) != n:
                raise ValueError(f"data: {n} rows of X and {row_count(one)} of {name}")
        is_of_classes = is_classifier(self.estimator) and np.asarray(parts[1]).ndim == 1
        classes = np.unique(np.asarray(parts[1])) if is_of_classes else None
        x, y, groups, weights = parts
        return Samples(x, y, groups, weights, classes)

    def folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Divide the samples that scored no trial; the search's train every fold's model, too.

        Raises:
            ValueError: There are too few.
        """
        samples: Samples = data.payload
        if not len(samples.fresh):
            needed = math.ceil(FEWEST / (1 - SEARCH_SHARE))
            raise ValueError(
                f"{len(samples.rows)} samples are too few to search on some and confirm on others, "
                f"or `cv` divides all: all of them scored the search. {needed} or more are needed, "
                f"with groups {FEWEST_GROUPS} or more of them, and a number as `cv`"
            )
        fresh, numbers = samples.fresh, np.arange(len(samples.fresh))
        if self.ordered:
            for past, fold in rolling_origin(len(fresh), seed, n):
                parts = np.concatenate([samples.rows, fresh[past]]), fresh[fold]
                yield Fold(replace(data, payload=replace(samples, fold=parts)), fold)
            return
        groups = None if samples.groups is None else _numbered(samples.groups)[fresh]
        which = _drawn(_strata(samples)[fresh], groups, n, seed)
        for fold in (numbers[which == number] for number in range(n)):
            train = np.concatenate([samples.rows, np.delete(fresh, fold)])
            part = replace(data, payload=replace(samples, fold=(train, fresh[fold])))
            yield Fold(part, fold, None if groups is None else groups[fold])

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return nothing: nothing is known before a training."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the estimator; its duration is not known before."""
        return EnginePlan("scikit-learn", type(last_step(self.estimator)).__name__, None)

    def warm_up(self) -> None:
        """Do nothing: what every training needs is imported with this module."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Cross-validate a configuration on the search's samples, or train it on a fold."""
        samples: Samples = data.payload
        began = time.perf_counter()
        splits = [samples.fold] if samples.fold is not None else self._splits(samples)
        scored = samples.rows if samples.fold is None else samples.fold[1]
        scores: list[float] = []
        means: list[float] = []
        fitted: list[float] = []
        said: dict[str, np.ndarray] = {}
        stop = None
        for number, (train, score) in enumerate(splits):
            model = self._model(spec.config, spec.seed)
            fit_began = time.perf_counter()
            self._fit(model, samples, train)
            fitted.append(time.perf_counter() - fit_began)
            scores.append(self._score(model, rows_of(samples.X, score), _rows(samples.y, score)))
            for kind, answers in self._answers(model, rows_of(samples.X, score), samples).items():
                if kind not in said:
                    said[kind] = np.full((len(scored), *answers.shape[1:]), np.nan)
                said[kind][np.searchsorted(scored, score)] = answers
            means.append(float(np.mean(scores)))
            if not math.isfinite(means[-1]):
                break
            stop = on_epoch(number, {self.metric: means[-1]})
            if stop is not None:
                break
        value = means[-1]
        is_finite = math.isfinite(value)
        arrays = self._kept(said, samples, scored, value if samples.fold is not None else None)
        pooled = {}
        if samples.fold is None and stop is None and is_finite and self._judges(arrays):
            pooled = {self._pooled: self._score_of(arrays[PREDICTIONS], samples.truth[scored])}
        return TrialResult(
            outcome="diverged" if not is_finite else "stopped" if stop else "complete",
            stop_reason="diverged" if not is_finite else stop.reason if stop else "finished",
            metrics={self.metric: value, **pooled} if is_finite else {},
            history={self.metric: [one for one in means if math.isfinite(one)]},
            arrays={SPLITS: np.array(scores), **arrays},
            weights={
                "rows": samples.rows if samples.fold is None else samples.fold[0],
                "seed": np.array([spec.seed]),
            },
            timings={
                "train_seconds": time.perf_counter() - began,
                "fit_seconds": float(np.mean(fitted)),
            },
            summary=repr(self._model(spec.config, spec.seed))[:2000],
            engine="scikit-learn",
        )

    def refit(
        self, spec: TrialSpec, data: PreparedData, epochs: int, on_epoch: OnEpoch
    ) -> TrialResult:
        """Fit a configuration to all samples; none is left to score it."""
        samples: Samples = data.payload
        began = time.perf_counter()
        rows = np.sort(np.concatenate([samples.rows, samples.fresh]))
        self._fit(model := self._model(spec.config, spec.seed), samples, rows)
        return TrialResult(
            outcome="complete",
            stop_reason="finished",
            metrics={},
            history={},
            arrays=self._said(model, samples),
            weights={"rows": rows, "seed": np.array([spec.seed])},
            timings={"train_seconds": time.perf_counter() - began},
            summary=repr(model)[:2000],
            engine="scikit-learn",
        )

    def _splits(self, samples: Samples) -> list[tuple[Indices, Indices]]:
        rows, y, by_class = samples.rows, samples.y, samples.classes is not None
        if not isinstance(self.cv, int):
            cv = copy.copy(check_cv(self.cv, y, classifier=by_class))
            if getattr(cv, "random_state", 0) is None:
                cv.random_state = 0  # the same splits for every trial
        elif self.ordered:
            cv = TimeSeriesSplit(self.cv)
        else:
            of_samples = StratifiedKFold if by_class else KFold
            of_groups = StratifiedGroupKFold if by_class else GroupKFold
            kind = of_samples if samples.groups is None else of_groups
            cv = kind(self.cv, shuffle=True, random_state=0)
        part = rows_of(samples.X, rows), _rows(y, rows), _rows(samples.groups, rows)
        return [(rows[train], rows[score]) for train, score in cv.split(*part)]

    def decoded(self, config: Mapping[str, Value]) -> dict[str, Any]:
        """Return a configuration with the objects that its texts stand for."""
        return {name: self.values.get(name, {}).get(str(one), one) for name, one in config.items()}

    def fitted(self, config: Mapping[str, Value], seed: int, rows: Indices | None = None) -> Any:
        """Return the estimator with a configuration, fitted on some samples; None: on all."""
        samples = self._samples(self.load())
        rows = np.arange(row_count(samples.X)) if rows is None else rows
        return self._fit(self._model(config, seed), samples, rows)

    def _model(self, config: Mapping[str, Value], seed: int) -> Any:
        """Return the estimator with a configuration, not fitted."""
        known = self.decoded(config)
        model = clone(self.estimator)
        fresh = {n: clone(one) if hasattr(one, "get_params") else one for n, one in known.items()}
        model.set_params(**fresh)
        seeds = {
            name: seed
            for name, value in model.get_params(deep=True).items()
            if (name == "random_state" or name.endswith("__random_state")) and value is None
        }
        if seeds and "random_state" not in {name.rpartition("__")[2] for name in known}:
            model.set_params(**seeds)
        return model

    def _fit(self, model: Any, samples: Samples, rows: Indices) -> Any:
        more = {}
        if samples.weights is not None:
            prefix, inner = "", model
            while steps := getattr(inner, "steps", None):
                prefix, inner = f"{prefix}{steps[-1][0]}__", steps[-1][1]
            more = {f"{prefix}sample_weight": _rows(samples.weights, rows)}
        x = rows_of(samples.X, rows)
        return (
            model.fit(x, **more)
            if samples.y is None
            else model.fit(x, _rows(samples.y, rows), **more)
        )

    def _score(self, model: Any, x: Any, y: Any) -> float:
        if self.scoring is None:
            return float(model.score(x, y))
        if callable(self.scoring):
            return float(self.scoring(model, x, y))
        return float(get_scorer(self.scoring)(model, x, y))

    def _answers(self, model: Any, x: Any, samples: Samples) -> dict[str, np.ndarray]:
        """Return probabilities, scores and predictions, as far as the model has them, as numbers.

        Probabilities have a column for each class of the data, also for one that no sample of the
        training had.
        """
        found = {}
        if samples.classes is not None and hasattr(model, "predict_proba"):
            shares = np.asarray(model.predict_proba(x))
            known = np.searchsorted(samples.classes, getattr(model, "classes_", samples.classes))
            whole = np.zeros((len(shares), len(samples.classes)))
            if shares.ndim == 2 and shares.shape[1] == len(known):
                whole[:, known] = shares
                found["predict_proba"] = whole
        if samples.classes is not None and hasattr(model, "decision_function"):
            found["decision_function"] = np.asarray(model.decision_function(x), float)
        answers = np.asarray(model.predict(x))
        if samples.classes is not None:
            answers = np.searchsorted(samples.classes, answers)
        if answers.dtype.kind in "iufb":
            found["predict"] = answers.astype(float)
        return found

    def _kept(
        self,
        said: Mapping[str, np.ndarray],
        samples: Samples,
        scored: Indices,
        value: float | None,
    ) -> dict[str, np.ndarray]:
        """Return the arrays of a training: answers, confusion matrix, and scores by sample.

        Args:
            said: Answers by the name of their method, of the samples that were scored.
            samples: All samples.
            scored: Those that were scored.
            value: The score on a fold, of which each sample has its own; None in a search.
        """
        arrays: dict[str, np.ndarray] = {}
        whole = {kind: answers for kind, answers in said.items() if np.isfinite(answers).all()}
        if not whole or samples.y is None:
            return arrays
        truth = samples.truth[scored]
        kind = "predict_proba" if "predict_proba" in whole else next(iter(whole))
        has_values = samples.classes is None and not is_classifier(self.estimator)
        if has_values or kind == "predict_proba":
            arrays[PREDICTIONS] = whole[kind].astype(np.float32)
        else:
            arrays[ANSWERS] = whole[kind].astype(np.float32)
        if samples.classes is not None and "predict" in whole:
            n = len(samples.classes)
            pairs = truth * n + whole["predict"].astype(np.int64)
            counts = np.bincount(pairs, minlength=n * n).reshape(1, n, n)
            arrays["confusion"] = counts.astype(np.uint32)
        if value is not None and math.isfinite(value) and not self.ordered:
            each = self._each(truth, whole, value)
            if each is not None:
                arrays[self.metric + BY_SAMPLE] = each
        return arrays

    def _each(
        self, truth: np.ndarray, said: Mapping[str, np.ndarray], value: float
    ) -> np.ndarray | None:
        for answers in said.values():
            as_given = (
                answers.astype(int)
                if answers is said.get("predict") and (truth.dtype.kind in "iub")
                else answers
            )
            each = by_sample(self.metric, truth, as_given, value)
            if each is not None:
                return each
        return None

    def validation_predictions(self, result: TrialResult, data: PreparedData) -> np.ndarray | None:
        """Return what the models of the cross-validation say of the samples that they did not see.

        Of a classifier without probabilities there are none, nor where a function scores, which
        may look at the inputs.
        """
        return result.arrays.get(PREDICTIONS) if self._judges(result.arrays) else None

    def _judges(self, arrays: Mapping[str, np.ndarray]) -> bool:
        is_function = callable(self.scoring) and not hasattr(self.scoring, "_score_func")
        return PREDICTIONS in arrays and not is_function

    def validation_truth(self, data: PreparedData) -> np.ndarray | None:
        """Return the targets of the samples that score the search."""
        samples: Samples = data.payload
        return None if samples.y is None else samples.truth[samples.rows]

    def judged(self, predictions: np.ndarray, truth: np.ndarray) -> Evaluated:
        """Score predictions of any samples together, which is no mean over splits."""
        value = self._score_of(predictions, truth)
        each = self._each(truth, {"": predictions}, value)
        arrays = {} if each is None else {self._pooled + BY_SAMPLE: each}
        return Evaluated({self._pooled: value}, arrays)

    def _score_of(self, predictions: np.ndarray, truth: np.ndarray) -> float:
        labels, classes = truth, None
        if is_classifier(self.estimator) and truth.ndim == 1:
            if self._classes is None:
                self._classes = self._samples(self.load()).classes
            classes = self._classes
            labels = truth if classes is None else classes[truth]
        return self._score(answering(predictions, classes), np.arange(len(truth)), labels)

    def _loaded_test(self, source: str | None) -> TestSet | None:
        assert self._test_load is not None
        samples = self._samples(self._test_load())
        return TestSet(digest_of((samples.X, samples.y)), samples.X, samples.y)

    def evaluate(self, model: Any, test_set: TestSet) -> Evaluated:
        """Score a model on the test set, as `train` scores it on a fold."""
        value = self._score(model, test_set.inputs, test_set.labels)
        samples = self._samples((test_set.inputs, test_set.labels))
        samples = replace(samples, classes=getattr(model, "classes_", samples.classes))
        said = self._answers(model, test_set.inputs, samples)
        arrays = self._kept(said, samples, np.arange(row_count(samples.X)), value)
        return Evaluated({self.metric: value}, arrays)

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw nothing: MLflow shows the curves, and counts are drawn for every experiment."""
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Return the fitted estimator: the samples and the seed of a training fit it again.

        Of a trial of the search, which has a model for each split, all its samples fit one.
        """
        return self.fitted(config, int(weights["seed"][0]), weights["rows"])

    def recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        """Return what the model says of the samples of its fold; a refit, of the search's."""
        return self._said(model, data.payload)

    def _said(self, model: Any, samples: Samples) -> dict[str, np.ndarray]:
        prefix, rows = (REFITTED, samples.rows) if samples.fold is None else ("", samples.fold[1])
        said = self._answers(model, rows_of(samples.X, rows), samples)
        kept = self._kept(said, samples, rows, None)
        return {f"{prefix}{name}": kept[name] for name in (PREDICTIONS, ANSWERS) if name in kept}

    def export(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        """Write the fitted estimator by skops, without a pickle, and load it in an empty process.

        Raises:
            ValueError: skops is missing, or what is loaded answers otherwise.
        """
        try:
            import skops.io
        except ImportError:
            raise ValueError("an estimator is exported by skops: pip install skops") from None
        model = self.load_model(config, weights, info)
        file = folder / "model.skops"
        skops.io.dump(model, file)
        trusted = skops.io.get_untrusted_types(file=file)
        code = _USE.format(trusted=trusted)
        x = rows_of(self._samples(self.load()).X, weights["rows"][:20])
        _prove(file, trusted, x, np.asarray(model.predict(x)))
        return code


_USE: Final = """\
import skops.io

# These types are trusted beside those that skops knows: look at them before you load.
trusted = {trusted}
model = skops.io.load("model.skops", trusted=trusted)
# model.predict(X)

# A container that serves it: `mlflow models generate-dockerfile -m served --output-directory image`
# import mlflow.sklearn; mlflow.sklearn.save_model(model, "served", skops_trusted_types=trusted)
"""
_PROVE: Final = """\
import io, pickle, sys, numpy as np, skops.io
model = skops.io.load(sys.argv[1], trusted=sys.argv[2:])
x = pickle.load(sys.stdin.buffer)
found, written = np.asarray(model.predict(x)), io.BytesIO()
np.save(written, found.astype(str) if found.dtype.hasobject else found, allow_pickle=False)
sys.stdout.buffer.write(written.getvalue())
"""


def _prove(file: Path, trusted: Sequence[str], x: Any, wanted: np.ndarray) -> None:
    """Load an exported model in an empty process, and compare what it says.

    Raises:
        ValueError: It cannot be loaded there, or says something else.
    """
    if wanted.dtype.hasobject:
        wanted = wanted.astype(str)
    done = subprocess.run(  # noqa: S603 - our own code, no shell
        [sys.executable, "-I", "-c", _PROVE, str(file), *trusted],
        input=pickle.dumps(x),  # over a pipe of our own
        capture_output=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"model.skops cannot be loaded in an empty process: {' '.join(last)}")
    found = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    same = (
        np.array_equal(found, wanted)
        if wanted.dtype.kind in "UiubS"
        else np.allclose(found, wanted, rtol=1e-6)
    )
    if not same:
        raise ValueError("model.skops answers otherwise in an empty process")


def last_step(estimator: Any) -> Any:
    """Return the estimator at the end of a pipeline, or itself."""
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if steps else estimator


def is_plain(value: object) -> bool:
    """Whether a space can write a value."""
    return value is None or isinstance(value, bool | int | float | str)


def _text(value: Any) -> str:
    """Return a parameter as text: of a function what it is made of; without an address."""
    if isinstance(value, np.ndarray):  # whose text leaves values out
        return digest_of([value])
    if callable(value) and not hasattr(value, "get_params") and not hasattr(value, "_score_func"):
        return json.dumps(facts_of_function(value))
    inner = getattr(value, "_score_func", None)
    made = "" if inner is None else json.dumps(facts_of_function(inner))
    return f"{_ADDRESS.sub('', repr(value))}{made}"


def row_count(value: Any) -> int:
    """Return the number of rows of an array, a frame, a sparse matrix or a list."""
    shape = getattr(value, "shape", None)
    return int(shape[0]) if shape else len(value)


def rows_of(value: Any, rows: Indices) -> Any:
    """Return some rows, in the form that they have."""
    if hasattr(value, "iloc"):
        return value.iloc[rows]
    if hasattr(value, "shape"):
        return value[rows]
    return [value[row] for row in rows]


def _rows(value: Any, rows: Indices) -> Any:
    return None if value is None else rows_of(value, rows)


def digest_of(parts: Iterable[Any]) -> str:
    """Return the SHA-256 (hex) of arrays, frames and sparse matrices, wherever they lie."""
    plain = [_plain(one) for one in parts]
    return sha256(joblib.hash(plain, hash_name="sha1").encode()).hexdigest()


def _plain(value: Any) -> Any:
    if hasattr(value, "tocsr"):
        rows = value.tocsr()
        return [rows.shape, *map(_plain, (rows.data, rows.indices, rows.indptr))]
    if hasattr(value, "columns"):
        return [
            (str(name), str(column.dtype), _plain(column.to_numpy()))
            for name, column in zip(value.columns, (value[c] for c in value.columns), strict=True)
        ]
    if hasattr(value, "to_numpy"):
        return _plain(value.to_numpy())
    return np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value


def _numbered(groups: Any) -> np.ndarray:
    numbers: np.ndarray = np.unique(np.asarray(groups), return_inverse=True)[1]
    return numbers.astype(np.int64)


def _strata(samples: Samples) -> np.ndarray:
    """Return the class of each sample, of which every part gets its share; 0 of a regression."""
    if samples.classes is None or np.ndim(samples.y) != 1:
        return np.zeros(row_count(samples.X), np.int64)
    return samples.truth


def _parted(samples: Samples, n: int, seed: int, *, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples of the search and those of fresh folds, each in order."""
    everyone = np.arange(n)
    few = samples.groups is not None and len(np.unique(samples.groups)) < FEWEST_GROUPS
    if few or n * (1 - SEARCH_SHARE) < FEWEST:
        return everyone, everyone[:0]
    if ordered:
        first = int(n * SEARCH_SHARE)
        return everyone[:first], everyone[first:]
    groups = None if samples.groups is None else _numbered(samples.groups)
    which = _drawn(_strata(samples), groups, 2, seed)
    return everyone[which == 0], everyone[which == 1]


def _drawn(strata: np.ndarray, groups: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Return the part, of n, of each sample: of each class every part has as many, give or take.

    Samples of a group are in one part; groups are dealt from the largest to the smallest.
    """
    keys = np.random.PCG64(seed).random_raw(len(strata))
    found = np.empty(len(strata), np.int64)
    if groups is None:
        found[np.lexsort((keys, strata))] = np.arange(len(strata)) % n
        return found
    numbers, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    filled = np.zeros(n, np.int64)
    part = np.empty(int(numbers.max()) + 1, np.int64)
    for place in np.lexsort((keys[first], -sizes)):
        smallest = int(filled.argmin())
        part[numbers[place]] = smallest
        filled[smallest] += sizes[place]
    drawn: np.ndarray = part[groups]
    return drawn


def answering(predictions: np.ndarray, classes: Any = None) -> Any:
    """Return an estimator that answers with predictions (n, ...), whatever it is asked about.

    Scorers of scikit-learn take nothing else.

    Args:
        predictions: Probabilities (n, classes), or values.
        classes: The classes, as targets have them; None of values.
    """
    return _Values(predictions) if classes is None else _Classes(predictions, classes)


class _Classes(ClassifierMixin, BaseEstimator):
    def __init__(self, predictions: np.ndarray, classes: Any) -> None:
        self.predictions, self.classes = predictions, classes
        self.classes_ = np.asarray(classes)

    def predict_proba(self, _x: Any) -> np.ndarray:
        """Return the probabilities; a mean of several, which scorers want to sum to 1."""
        whole = self.predictions.astype(float)
        shares: np.ndarray = whole / whole.sum(axis=1, keepdims=True)
        return shares

    def predict(self, _x: Any) -> np.ndarray:
        """Return the most probable class of each."""
        answers: np.ndarray = self.classes_[self.predictions.argmax(axis=1)]
        return answers


class _Values(RegressorMixin, BaseEstimator):
    def __init__(self, predictions: np.ndarray) -> None:
        self.predictions = predictions

    def predict(self, _x: Any) -> np.ndarray:
        """Return the values."""
        return self.predictions
