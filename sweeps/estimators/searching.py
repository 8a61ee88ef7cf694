"""Searches for the parameters of an estimator in one call, or as scikit-learn's searches do."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import RandomizedSearchCV
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, indexable

from sweeps.config.options import python_words
from sweeps.errors import TrialsError, UsageError
from sweeps.estimators.experiment import SPLITS, SklearnExperiment, last_step
from sweeps.estimators.spaces import space_of
from sweeps.experiments.given import lend

if TYPE_CHECKING:
    from sweeps.api import Sweep

PATH: Final = f"{__name__}:of_"
"""Begin of the import path of a search's experiment, which exists where it was called only."""


_ONE_LABEL: Final = frozenset({"binary", "multiclass"})


class SweepSearchCV(RandomizedSearchCV):
    """A search for the parameters of an estimator, as `RandomizedSearchCV`, by a sweep.

    `fit` searches by cross-validation on half of the samples, fits the best on all of them, and
    leaves the other half to `sweep_.confirm()`. With fewer than 80 samples all of them score the
    search, and nothing is confirmed.

    Attributes:
        sweep_: The `sweeps.Sweep`; None if `home` is None, whose folder is gone then.
        best_estimator_: The best, fitted on all samples.
        best_params_: Its parameters.
        best_score_: Its mean score over splits: of the best of many, so too good by luck.
        best_index_: Its place in `cv_results_`.
        cv_results_: A row for each trial that is complete, as of `RandomizedSearchCV`.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn wants each parameter here
        self,
        estimator: Any,
        space: Any,
        *,
        trials: int = 20,
        scoring: Any = None,
        cv: Any = 5,
        ordered: bool = False,
        refit: bool = True,
        seed: int = 0,
        name: str | None = None,
        home: Any = None,
        workers: int | None = None,
        progress: str = "auto",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Take what is searched; nothing is checked before `fit`.

        Args:
            estimator: An estimator or a pipeline.
            space: What may vary, by the names of `get_params`: lists, scipy's `loguniform`,
                `uniform` and `randint`, distributions of Optuna; or the path of a YAML file.
            trials: Number of trials.
            scoring: See `SklearnExperiment`.
            cv: See `SklearnExperiment`.
            ordered: See `SklearnExperiment`.
            refit: Whether the best is fitted on all samples.
            seed: Decides every trial.
            name: Name of the sweep; None: that of the estimator's class.
            home: Folder of records and databases; None: a temporary one.
            workers: Worker processes, one a core if None; 0 trains in this process.
            progress: `auto`, `plain`, `verbose`, `json` or `quiet`.
            options: Other options of `sweeps.run`, such as `{"budget": "10m"}`.
        """
        self.estimator, self.space, self.trials = estimator, space, trials
        self.scoring, self.cv, self.ordered, self.refit = scoring, cv, ordered, refit
        self.seed, self.name, self.home = seed, name, home
        self.workers, self.progress, self.options = workers, progress, options
        self.error_score, self.verbose, self.n_jobs = np.nan, 0, None
        self.return_train_score, self.pre_dispatch = False, "2*n_jobs"

    def fit(
        self, X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None
    ) -> SweepSearchCV:
        """Search, and fit the best.

        Args:
            X: (n, ...) the inputs.
            y: (n,) or (n, outputs) the targets.
            groups: (n,) the group of each sample; none is divided.
            sample_weight: (n,) the weight of each sample in trainings.

        Raises:
            UsageError: The space, or an option, is wrong.
            TrialsError: Too many trials in a row failed.
            ValueError: No trial is complete, or the data cannot be used.
        """
        X, y, groups, sample_weight = indexable(X, y, groups, sample_weight)
        if is_classifier(self.estimator) and y is not None:
            check_classification_targets(y)
            y = column_or_1d(y, warn=True) if type_of_target(y) in _ONE_LABEL else y
        parts = {"X": X, "y": y, "groups": groups, "sample_weight": sample_weight}
        experiment = SklearnExperiment(
            clone(self.estimator),
            lambda: parts,
            scoring=self.scoring,
            cv=self.cv,
            ordered=self.ordered,
            name=self.name,
        )
        self.scorer_ = check_scoring(self.estimator, self.scoring)
        self.multimetric_ = False
        with contextlib.ExitStack() as stack:
            home = self.home
            if home is None:
                folder = tempfile.TemporaryDirectory(prefix="sweeps-", ignore_cleanup_errors=True)
                home = stack.enter_context(folder)
            try:
                sweep = self._run(experiment, Path(home))
            except TrialsError as error:
                raise ValueError(str(error)) from None
            self._read(sweep, experiment)
            self.sweep_ = None if self.home is None else sweep
        if self.refit:
            began = time.monotonic()
            self.best_estimator_ = experiment.fitted(self._best_config, self._best_seed)
            self.refit_time_ = time.monotonic() - began
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    def _run(self, experiment: SklearnExperiment, home: Path) -> Sweep:
        from sweeps.api import run

        name = self.name or type(last_step(self.estimator)).__name__
        path = PATH + re.sub(r"\W", "_", name)
        space, experiment.values = space_of(self.space, path, experiment.metric, name, self.trials)
        lend(path, experiment)
        return run(
            space,
            trials=self.trials,
            seed=self.seed,
            home=home,
            workers=self.workers,
            progress=self.progress,
            **(self.options or {}),
        )

    def _read(self, sweep: Sweep, experiment: SklearnExperiment) -> None:
        store = sweep.home.store(sweep.info.id)
        complete = [one for one in store.read_all() if one.outcome == "complete"]
        if not complete:
            failed = next((one.error for one in store.read_all() if one.error), "none was trained")
            said = failed.partition("\nTraceback")[0].strip()
            kind = TypeError if said.startswith("TypeError") else ValueError  # as of a `fit`
            raise kind(f"no trial is complete; the first error: {said}")
        records = [store.read(one.key) for one in complete]
        results = [one.result for one in records if one.result is not None]
        scores = np.array([result.arrays[SPLITS] for result in results])
        means = scores.mean(axis=1)
        ranks = 1 + (means[None, :] > means[:, None]).sum(axis=1)
        params = [experiment.decoded(one.params) for one in records]
        names = dict.fromkeys(name for one in params for name in one)
        self.cv_results_ = {
            "mean_fit_time": np.array([result.timings["fit_seconds"] for result in results]),
            **{
                f"param_{name}": _masked([one.get(name, np.ma.masked) for one in params])
                for name in names
            },
            "params": params,
            **{f"split{n}_test_score": scores[:, n] for n in range(scores.shape[1])},
            "mean_test_score": means,
            "std_test_score": scores.std(axis=1),
            "rank_test_score": ranks.astype(np.int32),
        }
        self.n_splits_ = scores.shape[1]
        self.best_index_ = int(means.argmax())
        self.best_params_, self.best_score_ = params[self.best_index_], float(means.max())
        self._best_config = dict(records[self.best_index_].config)
        self._best_seed = records[self.best_index_].seed


def _masked(values: Sequence[Any]) -> np.ma.MaskedArray[Any, Any]:
    """Return (n,) objects, such as tuples; masked where a trial has none."""
    mask = [one is np.ma.masked for one in values]
    plain = np.empty(len(values), dtype=object)
    for place, one in enumerate(values):
        plain[place] = None if mask[place] else one
    return np.ma.MaskedArray(plain, mask=mask)


@python_words()
def search(
    estimator: Any,
    space: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    **options: Any,
) -> SweepSearchCV:
    """Search for the parameters of an estimator, and fit the best.

    Args:
        estimator: An estimator of scikit-learn, a pipeline, or what has their methods.
        space: What may vary, by the names of `get_params`; see `SweepSearchCV`.
        X: (n, ...) the inputs.
        y: (n,) or (n, outputs) the targets.
        groups: (n,) the group of each sample; none is divided.
        sample_weight: (n,) the weight of each sample in trainings.
        **options: Those of `SweepSearchCV`, such as `scoring="roc_auc"`, `trials=40`,
            `home="mlruns"`; the others of `sweeps.run`.

    Raises:
        UsageError: The space, or an option, is wrong.
        TrialsError: No trial is complete.
    """
    own = {
        "trials",
        "scoring",
        "cv",
        "ordered",
        "refit",
        "seed",
        "name",
        "home",
        "workers",
        "progress",
    }
    taken = {name: value for name, value in options.items() if name in own}
    others = {name: value for name, value in options.items() if name not in own}
    if "data" in others:
        raise UsageError("data: the samples are X and y")
    found = SweepSearchCV(estimator, space, **taken, options=others or None)
    return found.fit(X, y, groups=groups, sample_weight=sample_weight)
