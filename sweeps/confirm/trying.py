"""Tries a user's own experiment on folds before a confirmation: do its trainings keep all arrays?

The experiment is trained for one epoch on folds 0 to 3, which together evaluate every sample once.
Nothing is recorded. Without the trial, arrays of wrong names, sizes or types would be seen only
after all trainings.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_spaces.parameters import Value
from sweeps.capabilities import FOLDS_A_REPEAT, SupportsFiles
from sweeps.confirm.comparison import check_repeats, fold_answers
from sweeps.confirm.finalists import BLOCK_ACCURACY, Scored
from sweeps.confirm.votes import check_logits
from sweeps.errors import UsageError
from sweeps.executors import Attempt, Executor, InProcessExecutor
from sweeps.experiment import Experiment, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.records import BLOCK

ENOUGH_SECONDS: Final = 60
"""Time after which no further fold is tried."""
_CONFIGURATIONS: Final = 2
_SEE: Final = "see `SupportsFolds` and `SupportsCrossValidation` in sweeps/capabilities.py"


@dataclass(frozen=True)
class CrossValidation:
    """An experiment that trains on folds, and its data.

    Attributes:
        path: Its import path.
        directory: The folder in which it is looked up first, see `load_experiment`.
        experiment: The experiment.
        data: The data that it trains on.
        workers: Number of worker processes of the confirmation; 0: this process trains.
        scored: The metric of the comparison.
        searched: Numbers of the samples that scored the search, where a script gave them.
    """

    path: str
    directory: Path | None
    experiment: Experiment
    data: PreparedData
    workers: int | None
    scored: Scored = BLOCK_ACCURACY
    searched: np.ndarray | None = None

    @property
    def is_script(self) -> bool:
        """Whether a script trains, which tells its samples only at its end."""
        return self.path.startswith("script:")

    def executor(self, folder: Path) -> Executor:
        """Return an executor that trains one fold after the other, as the confirmation would."""
        writes_files = isinstance(self.experiment, SupportsFiles)
        folders = folder if writes_files else None
        if self.workers == 0:
            return InProcessExecutor(
                self.experiment, self.data, _Nobody(), lambda spec: None, folders
            )
        from sweeps.executors.local.executor import WorkersExecutor
        from sweeps.executors.preloading import make_preload

        preload = make_preload(
            self.path, self.directory, self.data, [__name__], writes_files=writes_files
        )
        return WorkersExecutor(1, preload, _Nobody(), folders=folders)


class _Nobody:
    """A listener that ignores the progress of attempts."""

    def started(self, spec: TrialSpec) -> None:
        """Say nothing."""

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Say nothing."""


class _OneEpoch:
    """Ends a training after its first epoch."""

    notes: Mapping[str, Any] = {}

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop:
        return Stop("tried")


def try_folds(
    cross_validation: CrossValidation,
    configs: Sequence[Mapping[str, Value]],
    note: Callable[[str], None],
) -> None:
    """Refuse an experiment whose trainings on folds cannot be compared.

    An experiment that keeps too little when it is stopped after one epoch is trained whole. A
    training that diverges, or fails by anything but a mistake in its code, refuses nothing, since
    the next one may succeed.

    Args:
        cross_validation: The experiment.
        configs: Configurations to train, in the order in which they are tried.
        note: Receives a line when the trial begins, and one if it is broken off.

    Raises:
        UsageError: The message names the fold, and what its training kept.
    """
    is_script = cross_validation.is_script
    who = "the script" if is_script else f"experiment {cross_validation.path!r}"
    named = who if is_script else cross_validation.path
    note(f"trying {named}: {'once' if is_script else 'one epoch'} on each of four folds")
    scored = cross_validation.scored
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(cross_validation.executor(Path(folder))) as ex,
    ):
        policies = (None,) if is_script else (_OneEpoch(), None)
        attempts = list(_attempts(ex, configs, scored, policies))
    results = []
    for fold, attempt in enumerate(attempts):
        why = (attempt.error or attempt.reason).partition("\n")[0]
        if attempt.result is None and attempt.reason == "invalid":
            raise UsageError(f"{who}, tried on fold {fold}, failed: {why}")
        if _is_useless(attempt):
            how = "failed: " + why if attempt.result is None else "diverged"
            note(f"{who} was tried on fold {fold}, and {how}")
            return
        assert attempt.result is not None
        if problem := _problem(attempt.result, scored):
            raise UsageError(f"{who}, tried on fold {fold}, {problem} ({_SEE})")
        results.append(attempt.result)
    arrays = [result.arrays for result in results]
    samples = [fold_answers(result, scored).samples for result in results]
    if all("block_logits" in kept for kept in arrays):
        check_logits(f"{who}, tried", range(len(arrays)), arrays)
    if cross_validation.searched is not None:
        _check_fresh(who, samples, cross_validation.searched)
    if len(samples) == FOLDS_A_REPEAT and all(map(len, samples)):
        try:
            check_repeats(range(FOLDS_A_REPEAT), samples)
        except UsageError as error:
            raise UsageError(f"{who}, tried: {error}") from None


def _check_fresh(who: str, samples: Sequence[np.ndarray], searched: np.ndarray) -> None:
    """Refuse folds with samples that scored the search."""
    for fold, own in enumerate(samples):
        if len(again := np.intersect1d(own, searched)):
            raise UsageError(
                f"{who}, tried on fold {fold + 1}, was scored on {len(again)} of the "
                f"{len(searched)} samples that scored the search (number {again[0]} is one): fold "
                "0 is the validation set of the search, whose samples may train in the others, but "
                "not score (docs/scripts.md, Confirm a script)"
            )


def _attempts(
    executor: Executor,
    configs: Sequence[Mapping[str, Value]],
    scored: Scored,
    policies: Sequence[_OneEpoch | None],
) -> Iterator[Attempt]:
    """Yield the attempts on folds 0 to 3, until time is up or one cannot be compared."""
    began = time.monotonic()
    for config, stop_policy in itertools.product(configs[:_CONFIGURATIONS], policies):
        attempt = executor.submit(_spec(0, config), stop_policy).result()
        is_whole = stop_policy is None and not _is_useless(attempt)
        if is_whole or not (_is_useless(attempt) or _problem(attempt.result, scored)):
            break
    yield attempt
    for fold in range(1, FOLDS_A_REPEAT):
        is_time_up = time.monotonic() - began > ENOUGH_SECONDS
        if is_time_up or _is_useless(attempt) or _problem(attempt.result, scored):
            return
        attempt = executor.submit(_spec(fold, config), stop_policy).result()
        yield attempt


def _spec(fold: int, config: Mapping[str, Value]) -> TrialSpec:
    return TrialSpec("tried", fold, attempt=0, seed=fold, config={**config, BLOCK: fold})


def _is_useless(attempt: Attempt) -> bool:
    return attempt.result is None or attempt.result.outcome == "diverged"


def _problem(result: TrialResult, scored: Scored) -> str:
    """Return why a training cannot be compared; empty if it can."""
    if scored.metric not in result.metrics:
        return f"has no metric {scored.metric!r}"
    try:
        fold_answers(result, scored)
    except ValueError as error:
        return str(error)
    return ""
