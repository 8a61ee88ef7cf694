"""Checks whether a sweep can be confirmed, and explains what failed trainings leave open.

The experiment on folds is imported. Its parameters and its metrics are checked. Then it is tried,
to see what its trainings keep (`try_folds`).
"""

from __future__ import annotations

import itertools
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_spaces.errors import did_you_mean
from search_spaces.objectives import Objective, is_function, is_script
from search_spaces.parameters import Value
from search_spaces.space import Confirming, Defaults
from sweeps.capabilities import (
    FOLDS_A_REPEAT,
    PREDICTIONS,
    SAMPLES,
    SupportsFiles,
    SupportsFolds,
    TestSet,
)
from sweeps.config.sweep import SPLIT_SEED, SweepConfig
from sweeps.confirm.comparison import SEE, check_kept, check_repeats, fold_answers
from sweeps.confirm.finalists import Finalist, Scored
from sweeps.errors import UsageError
from sweeps.executors import Attempt, Executor, InProcessExecutor, Nobody
from sweeps.experiment import Experiment, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.experiments.code import RevisedCode, declare_same, is_shipped, load_same
from sweeps.experiments.folds import EPOCHS, FRESH, ON_FOLDS, REFIT_EPOCHS
from sweeps.experiments.loading import (
    ask,
    check_installed,
    experiment_folder,
    experiment_in_words,
    load_experiment,
    recorded_experiment,
)
from sweeps.home import Home
from sweeps.records import FINALIST, FOLD, Record, RecordStore, SweepInfo, is_same_data, ranked
from sweeps.wording import counted, first_line

ENOUGH_SECONDS: Final = 60
"""Time after which no further fold is tried."""
_CONFIGURATIONS: Final = 2


@dataclass(frozen=True)
class OnFolds:
    """An experiment that trains on folds, and its data.

    Attributes:
        path: Its import path.
        directory: The folder in which it is looked up first, see `load_experiment`.
        workers: Number of worker processes of the confirmation; 0: this process trains.
        searched: Numbers of the samples that scored the search, where a script gave them.
    """

    path: str
    directory: Path | None
    experiment: Experiment
    data: PreparedData
    workers: int | None
    scored: Scored
    searched: np.ndarray | None = None

    @property
    def is_script(self) -> bool:
        """Whether a script trains, which tells its samples only at its end."""
        return is_script(self.path)

    def executor(self, folder: Path) -> Executor:
        """Return an executor that trains one fold after the other, as the confirmation would."""
        writes_files = isinstance(self.experiment, SupportsFiles)
        folders = folder if writes_files else None
        if self.workers == 0:
            return InProcessExecutor(
                self.experiment, self.data, Nobody(), lambda spec: None, folders
            )
        from sweeps.executors.local.executor import WorkersExecutor
        from sweeps.executors.preloading import make_preload

        preload = make_preload(
            self.path, self.directory, self.data, [__name__], writes_files=writes_files
        )
        return WorkersExecutor(1, preload, Nobody(), folders=folders)


class _OneEpoch:
    """Ends a training after its first epoch."""

    notes: Mapping[str, Any] = {}

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop:
        return Stop("tried")


def try_folds(
    on_folds: OnFolds,
    configs: Sequence[Mapping[str, Value]],
    note: Callable[[str], None],
) -> None:
    """Refuse an experiment whose trainings on folds cannot be compared.

    It is trained for one epoch on folds 0 to 3, which together evaluate every sample once; else
    arrays of wrong names, sizes or types would be seen only after all trainings. An experiment that
    keeps too little when it is stopped after one epoch is trained whole. A training that diverges,
    or fails by anything but a mistake in its code, refuses nothing, since the next one may succeed.
    `note` receives a line when the trial begins, and one if it is broken off.

    Raises:
        UsageError: The message names the fold, and what its training kept.
    """
    is_script = on_folds.is_script
    who = "the script" if is_script else f"experiment {on_folds.path!r}"
    named = who if is_script else on_folds.path
    note(f"trying {named}: {'once' if is_script else 'one epoch'} on each of four folds")
    scored = on_folds.scored
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(on_folds.executor(Path(folder))) as ex,
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
            raise UsageError(f"{who}, tried on fold {fold}, {problem} ({SEE})")
        results.append(attempt.result)
    arrays = [result.arrays for result in results]
    samples = [fold_answers(result, scored).samples for result in results]
    if all(PREDICTIONS in kept for kept in arrays):
        check_kept(f"{who}, tried", range(len(arrays)), arrays)
    if on_folds.searched is not None:
        _check_fresh(who, [kept.get(SAMPLES, np.empty(0)) for kept in arrays], on_folds.searched)
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
    return TrialSpec("tried", fold, attempt=0, seed=fold, config={**config, FOLD: fold})


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


def check_run(
    config: SweepConfig, source: str | None, option: str, note: Callable[[str], None]
) -> None:
    """Refuse to start a sweep that is to be confirmed at its end but cannot be.

    Errors name the `option` that asks for the confirmation, such as `--confirm`.

    Raises:
        UsageError: Something is missing; nothing was begun.
    """
    space = config.space
    if len(space.objectives) > 1:
        raise UsageError(
            f"{option}: several objectives leave no best trial to confirm; leave it out, or leave "
            "one objective in the space"
        )
    try:
        says = space.defaults.confirm or Confirming()
        (objective,) = space.objectives
        named, scored = _on_folds(config.experiment, space.experiment, objective, says)
        on_folds = load_experiment(named, space.directory)
        check_installed(on_folds, named)
        if not is_shipped(named, on_folds):
            is_new = config.name not in {info.name for info in config.home.sweeps()}
            # The search of the others shows it.
            if is_new and not (is_script(space.experiment) or is_function(space.experiment)):
                own = OnFolds(
                    named,
                    space.directory,
                    on_folds,
                    config.data,
                    config.parallelism.workers,
                    scored,
                )
                try_folds(own, _some_configurations(config), note)
    except UsageError as error:
        raise UsageError(f"{option}: {error}; nothing was begun") from None


def experiment_on_folds(home: Home, info: SweepInfo) -> tuple[str, Scored]:
    """Return the import path of the experiment that trains a sweep's configurations on folds.

    Returns:
        The path, and the metric that its trainings are compared by.

    Raises:
        UsageError: Its experiment has no fresh folds, or not the metric that the space asks for.
    """
    experiment, objective = recorded_experiment(info, home.sweeps_folder), info.objectives[0]
    return _on_folds(experiment, info.experiment, objective, asked_by(info))


def asked_by(info: SweepInfo) -> Confirming:
    """Return what the space of a sweep says about its confirmation; else the defaults."""
    defaults = info.space.get("defaults")
    return (defaults and Defaults.from_dict(defaults).confirm) or Confirming()


def scored_in(config: SweepConfig) -> Scored:
    """Return what `sweeps confirm` would compare the best of a sweep by.

    Raises:
        UsageError: It cannot be confirmed.
    """
    says, space = config.space.defaults.confirm or Confirming(), config.space
    if len(space.objectives) > 1:
        raise UsageError(f"sweep {config.name!r} has several objectives: none is the best")
    return _on_folds(config.experiment, space.experiment, space.objectives[0], says)[1]


def how_it_is_confirmed(config: SweepConfig) -> str:
    """Return how `sweeps confirm` would compare the best, in words; empty without folds."""
    says, searched = config.space.defaults.confirm or Confirming(), None
    if says.is_off:
        return "none, as the space says"
    try:
        scored = scored_in(config)
        if isinstance(config.experiment, SupportsFolds):
            searched = next(iter(config.experiment.folds(config.data, 0, FOLDS_A_REPEAT)), None)
    except UsageError:
        return ""
    except Exception as error:  # of the experiment: it can be run all the same
        return f"not possible: {type(error).__name__}: {first_line(str(error))}"
    among = config.data.info.get("n_train")
    of = f"the {among} samples" if among else "the samples"
    if searched is not None:
        of = f"{len(searched.samples)} samples each"
    of = f" of {of} that score no trial"
    if searched is not None and not len(searched.samples):
        of = ", as the script divides by {fold}"
    if getattr(config.experiment, "ordered", False):
        of += " and follow those that train (rolling origin)"
    return f"by {scored.called}, on {says.folds} folds{of}"


def _on_folds(
    experiment: Experiment, path: str, objective: Objective, says: Confirming
) -> tuple[str, Scored]:
    if isinstance(experiment, SupportsFolds):
        if says.metric is None:
            return f"{path}{ON_FOLDS}", Scored.by(objective.metric, objective.direction)
        if says.metric not in experiment.metrics:
            raise UsageError(
                f"confirm: {{metric: {says.metric}}}: {experiment_in_words(path)} has no such "
                f"metric{did_you_mean(says.metric, experiment.metrics)}"
            )
        direction = experiment.metrics[says.metric].direction
        return f"{path}{ON_FOLDS}", Scored.by(says.metric, direction)
    if is_script(path):
        raise UsageError(
            "a script has no fresh folds to confirm on unless its command hands over their number, "
            "{fold}; see docs/scripts.md, Confirm a script"
        )
    if is_function(path):
        raise UsageError(
            f"{path.partition('@')[0]} has no fresh folds to confirm on: give the function a "
            "second argument, objective(trial, fold), the number of the fold that scores it: 0 in "
            "the search, fresh ones from 1 on"
        )
    raise UsageError(
        f"experiment {path!r} has no fresh folds to confirm on; give it `folds` ({SEE})"
    )


def searched_by(store: RecordStore, info: SweepInfo) -> np.ndarray | None:
    """Return the numbers of the samples that scored a script's best trial; None if unknown."""
    if not is_script(info.experiment):
        return None
    for record in ranked(store.read_all(), info.direction)[:1]:
        result = store.read(record.key).result
        return result.arrays.get(SAMPLES) if result else None
    return None


def check_data(home: Home, info: SweepInfo, source: str | None) -> tuple[Experiment, PreparedData]:
    """Refuse data that are not the sweep's.

    Returns:
        The experiment that trains on folds, and the data.

    Raises:
        UsageError: The data differ from those that scored the sweep's trials, or are unreadable.
    """
    folder = experiment_folder(info, home.sweeps_folder)
    experiment = load_experiment(experiment_on_folds(home, info)[0], folder)
    data = _prepared(experiment, source)
    if not is_same_data(data, info.data):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}); name them by "
            "--data, nothing was begun"
        )
    return experiment, data


def _prepared(on_folds: Experiment, source: str | None) -> PreparedData:
    try:
        return on_folds.prepare(source, SPLIT_SEED)
    except (ValueError, OSError) as error:
        raise UsageError(f"data of the confirmation: {error}") from None


def _some_configurations(config: SweepConfig) -> list[Mapping[str, Value]]:
    """Return up to two configurations that trials may have: baselines, then sampled points."""
    space = config.space
    points = [*space.baselines.values(), *(walk.params for walk in space.samples(8)[2:])]
    admissible = (point for point in points if config.admissible(point))
    return [config.space.configuration(point) for point in itertools.islice(admissible, 2)]


def check_code(store: RecordStore, info: SweepInfo, *, same_code: bool = False) -> None:
    """Refuse an experiment that was edited since the search: it would train other models.

    With `same_code` the user declares the edited code equivalent; the declaration is kept.

    Raises:
        UsageError: The experiment was edited; the message names the differences and the ways out.
    """
    for record in ranked(store.read_all(), info.direction)[:1]:
        if same_code:
            declare_same(store, info, record)
        try:
            load_same(store, info, record, to_train=not same_code)
        except RevisedCode as error:
            raise UsageError(
                f"{error}; or have its finalists compared by trainings of today: --same-code"
            ) from None


def check_offers(path: str, on_folds: Experiment, fresh: int, *, refit: bool) -> None:
    """Refuse what the experiment on folds does not have.

    Args:
        path: Import path of the experiment that searched.
        on_folds: The experiment.
        fresh: Number of the drawing of folds.
        refit: Whether the champion is to be trained on all data.
    """
    highest = on_folds.parameters[FRESH].high
    if highest is not None and fresh > highest:
        raise UsageError(f"--fresh {fresh}: there are drawings of folds up to {highest:g}")
    if refit and REFIT_EPOCHS not in on_folds.parameters:
        raise UsageError(
            f"--refit: experiment {path!r} trains on folds only, not on everything; give it "
            "`refit`, see `SupportsRefit` in sweeps/capabilities.py, or leave --refit out"
        )
    if refit and on_folds.metrics[EPOCHS].direction != "minimize":
        raise UsageError(f"--refit: metric {EPOCHS!r} of experiment {path!r} is to be minimized")


def test_set_of(experiment: Experiment, source: str | None) -> TestSet | None:
    """Return the test set that models can be scored on; None without one, see `SupportsTestSet`.

    Raises:
        UsageError: `test_set` of the experiment raised.
    """
    if not (hasattr(experiment, "test_set") and hasattr(experiment, "evaluate")):
        return None
    found: TestSet | None = ask(experiment, "test_set", source)
    return found


def why_no_verdict(
    search: str,
    confirmation: str,
    records: Sequence[Record],
    finalists: Sequence[Finalist],
    *,
    is_whole: bool,
    more: int,
) -> str:
    """Return an explanation, in lines, of a confirmation without a verdict.

    It names the finalists whose trainings failed, and the ways out. The confirmation is whole if
    every training has an outcome; else so many in a row failed that the rest was not begun. So many
    `more` configurations of the search could take part (`--top`).
    """
    lines = [
        f"no verdict, and the same command brings none: it takes {2 * FOLDS_A_REPEAT} folds, in "
        f"two whole repeats, on each of which a finalist is trained ({confirmation})"
        if is_whole
        else f"no verdict: {confirmation} was ended, for its trainings failed one after another"
    ]
    retried, without = [], []
    for finalist in finalists:
        own = [r for r in _final(records) if r.params.get(FINALIST) == finalist.label]
        failed = [record.trial for record in own if record.outcome == "failed"]
        retried += failed
        if any(record.outcome != "complete" for record in own):
            without.append(finalist)
            lines.append(f"  {finalist.label}: {_count(own)}")
    lines.append("ways out:")
    if retried:
        numbers = " ".join(map(str, sorted(retried)))
        lines.append(
            f"  mend the cause, then: `sweeps retry {shlex.quote(confirmation)} {numbers}`, and "
            "the same command"
        )
    searched = [finalist for finalist in without if not finalist.is_control]
    left = len(finalists) - len(searched)
    added = max(0, 2 - left)
    if searched and added <= more:
        top = f" --top {len(finalists) + added}" if added else ""
        numbers = " ".join(f"--leave-out {finalist.trial}" for finalist in searched)
        lines.append(
            f"  leave {'it' if len(searched) == 1 else 'them'} out: `sweeps confirm "
            f"{shlex.quote(search)}{top} {numbers}`"
        )
    if len(searched) < len(without):
        lines.append("  leave the random trials out: no --control")
    return "\n".join(lines)


def why_no_control(home: Home, control: SweepInfo) -> str:
    """Return an explanation of why none of the random trials can be confirmed."""
    records = home.store(control.id).read_all()
    return (
        f"no verdict: of the random trials ({control.name}) {_count(_final(records))}; mend the "
        f"cause, then: `sweeps retry {shlex.quote(control.name)}`; or leave --control out"
    )


def why_no_refit(home: Home, refit: SweepInfo, winner: str) -> str:
    """Return an explanation of why the refit of the winner is missing."""
    records = home.store(refit.id).read_all()
    return (
        f"the verdict stands, but {winner} is not there as trained on everything: "
        f"{_count(_final(records))}; mend the cause, then: `sweeps retry {shlex.quote(refit.name)}`"
        ", and the same command; or leave --refit out"
    )


def _final(records: Sequence[Record]) -> list[Record]:
    """Return the last attempts of the trials that have an outcome."""
    return [record for record in records if record.ends_trial]


def _count(records: Sequence[Record]) -> str:
    """Return `of 20 trainings 2 diverged, 1 failed, the first with: ...`."""
    counts = Counter(str(record.outcome) for record in records)
    parts = [f"{counts[word]} {word}" for word in ("diverged", "pruned") if counts[word]]
    failed = [record for record in records if record.outcome == "failed"]
    if failed:
        cause = first_line(failed[0].error or failed[0].reason or "")
        parts.append(f"{len(failed)} failed, the first with: {cause}")
    return f"of {counted(len(records), 'training')} {', '.join(parts)}"
