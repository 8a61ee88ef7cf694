"""Prepares and runs the confirmation of a sweep, which is itself a sweep: finalists by fresh folds.

So a confirmation has everything that a sweep has: workers, records, resumption after any kill, runs
in MLflow, doctor. Its space is made in memory, and stands in its own journal. The folder in which
that space would lie, below the sweep that it confirms, connects the two, not a name. The same
command continues it.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from search_spaces.objectives import Direction
from search_spaces.parameters import Value
from search_spaces.space import Confirming, Space
from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.config.options import RunOptions
from sweeps.config.policies import FAILURES
from sweeps.config.sweep import ASK_AHEAD_UNTAUGHT, SweepConfig
from sweeps.confirm.best import LOOKS, POWER, nominal, normal_critical
from sweeps.confirm.checks import experiment_on_folds, scored_in
from sweeps.confirm.comparison import FIRST, GO_ON
from sweeps.confirm.finalists import (
    CONTROL,
    Finalist,
    Scored,
    best_distinct,
    finalist_of,
    label_of,
)
from sweeps.errors import UsageError
from sweeps.experiments.folds import EPOCHS, REFIT_EPOCHS, TEMPERATURE
from sweeps.experiments.loading import is_same_experiment
from sweeps.home import Home
from sweeps.journal import Asked, SweepState
from sweeps.launch import run_options
from sweeps.progress import Mode, Progress, Stages
from sweeps.records import (
    FINALIST,
    FOLD,
    Conclusions,
    ConfirmationRecord,
    Record,
    RecordStore,
    SweepInfo,
    heard,
    is_same_data,
    ranked,
    source_of,
)
from sweeps.records.conclusions import Components, without_place
from sweeps.records.enqueued import enqueue
from sweeps.runner.budget import Reserve, parts_of
from sweeps.wording import format_seconds
from sweeps.workspace.names import free_name

_CONFIRMATION: Final = "-confirmation"
"""Suffix of the name of a confirmation."""
REFIT, CONTROL_FOLDER = "refit", "finalists-0"
"""Folders of spaces: that of the refit in the confirmation's folder, that of the random trials
beside it."""


@dataclass(frozen=True)
class Confirmation:
    """A confirmation to run, or to continue.

    Attributes:
        name: Name of its sweep.
        space: Its space.
        finalists: The finalists to train: those that take part, and those that were left out after
            it had begun.
        experiment: Import path of the experiment that trains on folds.
    """

    name: str
    space: Space
    finalists: Sequence[Finalist]
    folds: int

    @property
    def folder(self) -> Path:
        """The folder of its space."""
        assert self.space.directory is not None
        return self.space.directory


def plan_confirmation(
    home: Home,
    info: SweepInfo,
    finalists: Sequence[Finalist],
    folds: int,
    left_out: Sequence[Finalist] = (),
    most: int = 0,
) -> Confirmation:
    """Find a confirmation of these finalists that was begun, or make a new one.

    A confirmation that was begun with the same finalists is continued, and so is one that was begun
    with these and those left out. A new space has as many folds as could be asked for later
    (`most`), so that more folds continue it; only the first `folds` are trained.

    Raises:
        UsageError: The experiment has no fresh folds.
    """
    experiment, scored = experiment_on_folds(home, info)
    trained = trained_with(home, info, finalists, folds, left_out)
    begun, tail, places = _begun(home), _find(home, info, trained, folds), max(most, folds)
    if tail is None:
        tails = (Path(info.id, f"finalists-{number}") for number in itertools.count(1))
        tail = next(tail for tail in tails if tail not in begun)
    else:
        places = _places(begun[tail])
    folder = home.sweeps_folder / tail
    space = confirming_space(experiment, trained, places, scored, folder)
    name = name_for(home, folder, f"{info.name}{_CONFIRMATION}")
    return Confirmation(name, space, trained, folds)


def trained_with(
    home: Home,
    info: SweepInfo,
    finalists: Sequence[Finalist],
    folds: int,
    left_out: Sequence[Finalist],
) -> list[Finalist]:
    """Return the finalists that the confirmation of some finalists trains.

    These are the finalists themselves. If a confirmation was begun with those that are left out
    now, it is continued with all of them, so that nothing is trained twice.
    """
    if left_out:
        everyone = sorted([*finalists, *left_out], key=lambda f: (f.is_control, f.place))
        if _find(home, info, everyone, folds) is not None:
            return everyone
    return list(finalists)


def begun_with(
    home: Home, info: SweepInfo, finalists: Sequence[Finalist], folds: int
) -> RecordStore | None:
    """Return the records of the confirmation of these finalists that was begun; None without."""
    tail = _find(home, info, finalists, folds)
    return None if tail is None else home.store(_begun(home)[tail].id)


def _find(home: Home, info: SweepInfo, finalists: Sequence[Finalist], folds: int) -> Path | None:
    """Return the folder, below the records, of a confirmation that was begun; None without one.

    Its space has as many folds or more: first those with as many, as earlier versions made them.
    """
    experiment, scored = experiment_on_folds(home, info)
    found = []
    for tail, begun in _begun(home).items():
        if tail.parent.name == info.id and (places := _places(begun)) >= folds:
            space = confirming_space(experiment, finalists, places, scored, tail)
            if _is_alike(begun, space):
                found.append((places, tail))
    return min(found)[1] if found else None


def _places(confirmation: SweepInfo) -> int:
    """Return the number of folds of a confirmation's space; 0 if it has none."""
    for parameter in confirmation.space["body"].get("parameters", ()):
        if parameter["name"] == FOLD:
            return int(parameter["domain"].get("high", -1)) + 1
    return 0


def _is_alike(begun: SweepInfo, space: Space) -> bool:
    """Whether a sweep has a space that trains the same; the path of its experiment may differ."""
    parts, wanted = ("objective", "fixed", "body"), space.to_dict()
    return [begun.space.get(part) for part in parts] == [wanted[part] for part in parts]


def ended_trials(home: Home, info: SweepInfo) -> int:
    """Return the number of trials with an outcome, which are not trained again."""
    return len({r.trial for r in home.store(info.id).read_all() if r.ends_trial})


def other_confirmations(home: Home, info: SweepInfo, confirmation: Confirmation) -> list[str]:
    """Return the names of the other confirmations of a sweep."""
    return [
        other.name
        for other in home.sweeps()
        if (place := without_place(other.directory)) and other.name != confirmation.name
        if Path(place).parent.name == info.id and Path(place).name != CONTROL_FOLDER
    ]


def _begun(home: Home) -> dict[Path, SweepInfo]:
    """Return the sweeps of all confirmations, by the folder of their space below the records.

    One that came with an archive is none: who made that archive may have made its results up.
    """
    found = ((without_place(info.directory), info) for info in home.sweeps())
    return {
        Path(place): info
        for place, info in found
        if place and home.store(info.id).state().received is None
    }


def begun_in(home: Home, folder: Path) -> SweepInfo | None:
    """Return the sweep whose space has a folder; None if it has not begun."""
    return _begun(home).get(_tail(folder))


def _tail(folder: Path) -> Path:
    """Return a space's folder from its sweep's folder on, since a home may be moved."""
    return Path(without_place(str(folder)) or folder)


@dataclass(frozen=True)
class HowToTrain:
    """The options shared by all sweeps of a confirmation; see `RunOptions`.

    With `stop_by`, no training on folds begins after that time of the monotonic clock.
    """

    workers: int | None = None
    tracking_uri: str | None = None
    data: str | None = None
    progress: Mode | Progress = "auto"
    same_code: bool = False
    stop_by: float | None = None

    def about(self, info: SweepInfo) -> HowToTrain:
        """Return the options for a sweep: without `--data`, those that it was made on."""
        return replace(self, data=self.data or source_of(info.data))


@dataclass(frozen=True)
class Ran:
    """A sweep of a confirmation after its run; it was not run if it was whole already.

    Attributes:
        info: The sweep.
        stopped_by: Why it ended early; None if it is whole: every trial has an outcome.
        tracking_pending: Number of runs that MLflow lacks.
    """

    info: SweepInfo
    stopped_by: str | None = None
    tracking_pending: int = 0

    @property
    def is_interrupted(self) -> bool:
        """Whether it ended early, but not by failing trials; the same command continues it."""
        return self.stopped_by not in {None, FAILURES}


def run_confirmation(
    confirmation: Confirmation,
    home: Home,
    how: HowToTrain,
    finalists: Sequence[Finalist],
    folds: int,
) -> Ran:
    """Train some finalists on so many folds, without repeating trainings made before."""
    wanted = [(fold, one.label) for fold in range(folds) for one in finalists]
    trained, missing = set[tuple[int, str]](), wanted
    if (begun := begun_in(home, confirmation.folder)) is not None:
        trained = _asked_for(home.store(begun.id).state())
        missing = [training for training in wanted if training not in trained]
        if missing and len(finalists) < len(confirmation.finalists):  # its grid has all of them
            points: list[dict[str, Value]] = [{FOLD: n, FINALIST: label} for n, label in missing]
            with home.exclusive():
                enqueue(home.store(begun.id), *points, origin="enqueued")
    trials = len(trained) + len(missing)
    timeout = None if how.stop_by is None else max(how.stop_by - time.monotonic(), 1e-3)
    return _run(confirmation.space, confirmation.name, trials, home, how, timeout=timeout)


def _asked_for(state: SweepState) -> set[tuple[int, str]]:
    """Return fold and finalist of each training that was begun, or waits to be begun."""
    waiting = [one.params for number, one in state.points.items() if number not in state.tried]
    trials: list[Asked | Record] = [*state.asked.values(), *state.ended.values()]
    known = waiting + [one.params for one in trials]
    return {(int(str(params[FOLD])), str(params[FINALIST])) for params in known}


def run_refit(
    confirmation: Confirmation,
    home: Home,
    how: HowToTrain,
    winner: Finalist,
    *,
    epochs: int,
    temperature: float | None,
) -> Ran:
    """Train the winner once on everything but the test set, for a number of epochs.

    Every winner of a confirmation has a folder and a sweep of its own.
    """
    begun = _begun(home)
    for folder in _refits(confirmation):
        space = refit_space(confirmation.space.experiment, winner, epochs, temperature, folder)
        if (known := begun.get(_tail(folder))) is None or _is_alike(known, space):
            break
    search = confirmation.name.removesuffix(_CONFIRMATION)
    return _run(space, name_for(home, folder, f"{search}-{REFIT}"), 1, home, how)


def find_refit(
    home: Home, confirmation: Confirmation, winner: Finalist
) -> tuple[SweepInfo, Record] | None:
    """Return the sweep and the record of the winner's refit; None without one."""
    begun = _begun(home)
    for folder in itertools.takewhile(lambda f: _tail(f) in begun, _refits(confirmation)):
        info = begun[_tail(folder)]
        for record in home.store(info.id).read_all():
            is_own = all(record.config.get(n) == v for n, v in winner.config.items())
            if record.outcome == "complete" and is_own:
                return info, record
    return None


def _refits(confirmation: Confirmation) -> Iterator[Path]:
    """Yield the folders of the refits of a confirmation's winners, then free ones without end."""
    yield confirmation.folder / REFIT
    yield from (confirmation.folder / f"{REFIT}-{number}" for number in itertools.count(2))


def name_for(home: Home, folder: Path, wanted: str) -> str:
    """Return the name of the sweep of a space's folder; a free one if it has not begun."""
    if (begun := begun_in(home, folder)) is not None:
        return begun.name
    taken = [other.name for other in home.sweeps()]
    return free_name(wanted, taken) if wanted in taken else wanted


def _run(space: Space, name: str, trials: int, home: Home, how: HowToTrain, **options: Any) -> Ran:
    assert space.directory is not None
    whole = begun_in(home, space.directory)
    if whole is not None and ended_trials(home, whole) >= trials:
        if isinstance(how.progress, Stages):
            how.progress.skip(whole.id, trials)
        return Ran(whole)
    asked = RunOptions(
        space, name=name, trials=trials, home=home.path, storage=home.storage,
        workers=how.workers, same_code=how.same_code, check_determinism=False,
        tracking_uri=how.tracking_uri, data=how.data, **options,
    )  # fmt: skip
    result = run_options(asked, progress=how.progress)
    return Ran(result.info, result.summary.stopped_by, result.summary.tracking_pending)


def run_control(
    home: Home, info: SweepInfo, trials: int, how: HowToTrain, scored: Scored
) -> tuple[Ran, Finalist | None]:
    """Run a random search of a sweep's space, without baselines; return it and its best.

    Its seed differs from the sweep's, and so do its proposals and the seeds of its trainings. The
    best is None if no trial is complete.
    """
    folder = home.store(info.id).folder / CONTROL_FOLDER
    space = Space.from_dict({**info.space, "baselines": []}, directory=folder)
    name, seed = name_for(home, folder, f"{info.name}-control"), info.fingerprint.get("seed", 0)
    random = {"sampler": "random", "pruner": "none", "seed": int(seed) + 1}
    ran = _run(space, name, trials, home, how, **random)
    return ran, _best(home, ran.info, trials, scored)


def _best(home: Home, control: SweepInfo, trials: int, scored: Scored) -> Finalist | None:
    records = [r for r in home.store(control.id).read_all() if r.trial < trials]
    for best in ranked(records, control.direction)[:1]:
        return replace(finalist_of(best, 0, scored), label=f"{CONTROL}{best.trial}")
    return None


def control_of(
    home: Home, info: SweepInfo, before: ConfirmationRecord | None, scored: Scored
) -> tuple[int, Finalist | None]:
    """Return the random search of a confirmation: its trials, and its best.

    Without random trials, or if they are gone, these are 0 and nobody.
    """
    verdict = before.verdict if before else None
    control = begun_in(home, home.store(info.id).folder / CONTROL_FOLDER)
    if verdict is None or control is None or not verdict.control:
        return 0, None
    best = _best(home, control, verdict.control_trials, scored)
    return (verdict.control_trials, best) if best is not None else (0, None)


def refit_space(
    experiment: str, winner: Finalist, epochs: int, temperature: float | None, folder: Path
) -> Space:
    """Return a space that trains the winner once more, on all but the test set.

    `temperature` is that of its probabilities; None if its experiment has none.
    """
    heat = {} if temperature is None else {TEMPERATURE: temperature}
    document: dict[str, Any] = {
        "description": "The winner on everything but the test set",
        "experiment": experiment,
        "objective": {"metric": EPOCHS, "direction": "minimize"},
        "parameters": {FOLD: {"type": "int", "low": 0, "high": 0}},
        "fixed": {**winner.config, REFIT_EPOCHS: epochs, **heat},
        "defaults": {"trials": 1, "sampler": "grid", "pruner": "none"},
    }
    return _declared(document, folder)


def _declared(document: Mapping[str, Any], folder: Path) -> Space:
    from search_spaces.reading import declared_space  # builds pydantic models: only when needed

    name = folder.name
    return declared_space(document, {}, name=name, source=f"space of {name}", directory=folder)


def confirming_space(
    experiment: str, finalists: Sequence[Finalist], folds: int, scored: Scored, folder: Path
) -> Space:
    """Return a space that trains each finalist on each fold: a sweep like any other."""
    first, absent = finalists[0].config, object()
    fixed = {
        name: value
        for name, value in first.items()
        if all(finalist.config.get(name, absent) == value for finalist in finalists)
    }
    bundles = {
        f.label: {name: value for name, value in f.config.items() if name not in fixed}
        for f in finalists
    }
    document: dict[str, Any] = {
        "description": "Finalists, each on the same fresh folds",
        "experiment": experiment,
        "objective": {"metric": scored.metric, "direction": scored.direction},
        # Fold by fold, so that finalists can be compared after any interruption.
        "parameters": {
            FOLD: {"type": "int", "low": 0, "high": folds - 1},
            FINALIST: {"type": "categorical", "choices": bundles},
        },
        "fixed": fixed,
        "defaults": {"trials": folds * len(finalists), "sampler": "grid", "pruner": "none"},
    }
    return _declared(document, folder)


_AS_LONG: Final = 0.8
"""How long a finalist trains on a fold, as a share of its time in the search, with early stopping.

Measured as 0.74, 0.75 and 0.79 for finalists of `mlp`: the best of a search are those that happened
to train for long. As 1.0 for those of `cnn`, which train to the last epoch.
"""
_BEFORE: Final = 0.3
"""How many start-ups of a search a confirmation takes before it trains.

Its processes are forked from those of the search: 0.5 s where a search has waited for 3.3 s.
"""
_AFTER: Final = 1.4
"""The same after its folds: it waits for workers once more, and concludes in 3.5 s."""


@dataclass(frozen=True)
class Reservation:
    """Says which confirmation a budget pays for; see `Reserving`.

    Attributes:
        says: What the space says.
        direction: Direction of the objective.
        has_baselines: Whether the best baseline takes part.
        at_once: How many trainings run at once.
        fewest: With fewer complete trials no confirmation follows.
        begun: Number of trainings of confirmations that were begun, by their finalists.
    """

    says: Confirming
    direction: Direction
    has_baselines: bool
    at_once: int
    fewest: int
    begun: Mapping[frozenset[str], int] = field(default_factory=dict)

    def __call__(
        self, records: Sequence[Record], *, each: float, start_up: float, most: float, left: float
    ) -> Reserve:
        """Return the largest confirmation that takes no longer than `most`.

        Folds are saved first, down to the first look, for verdicts change only there; then
        finalists. The least, of two finalists, may take all that is left.

        Args:
            records: All attempts.
            each: Mean seconds of a trial.
            start_up: Seconds until a sweep trains.
            most: Seconds that may be kept.
            left: Seconds that may be kept for the least confirmation there is.
        """
        says = self.says
        numbers = [says.folds, *(look for look in reversed(LOOKS) if look < says.folds)]
        ways = [(top, folds) for top in range(says.top, 0, -1) for folds in numbers]
        best = ranked(records, self.direction)
        least = "there are not two finalists"
        for way in ways:
            top, folds = way
            seconds, after, count = self._cost(best, *way, each=each, start_up=start_up)
            if count < 2:
                break
            if seconds <= (left if count == 2 else most):
                whole = self._cost(best, *ways[0], each=each, start_up=start_up)[-1]
                trains, more = self._trains(count, folds), self._trains(whole, says.folds)
                lacking = "" if way == ways[0] else f"it confirms {trains} in place of {more}"
                return Reserve(seconds, after, top, count, folds, trains, self.fewest, lacking)
            least = f"{self._trains(count, folds)} would take {format_seconds(seconds)}"
        there = f"{format_seconds(left)} are left" if left > 0 else "nothing is left"
        return Reserve(lacking=f"no confirmation: {least}, and {there} of the budget")

    def _trains(self, count: int, folds: int) -> str:
        """Return in words what a confirmation trains."""
        going = min(count, GO_ON + self.has_baselines)
        if going == count or folds <= FIRST:
            return f"{count} finalists on {folds} folds"
        return f"{count} finalists on {FIRST} folds and {going} of them on {folds}"

    def _cost(
        self,
        best: Sequence[Record],
        top: int,
        folds: int,
        *,
        each: float,
        start_up: float,
    ) -> tuple[float, float, int]:
        """Return the seconds of a confirmation, those after its folds, and how many finalists."""
        chosen = [record for _, record in best_distinct(best, top)]
        count = top + self.has_baselines if len(best) < top else len(chosen)
        trained = [record.seconds for record in chosen]
        trained += [each] * (count - len(chosen))
        labels = frozenset(label_of(record) for record in chosen)
        first = min(FIRST, folds)
        trainings = first * count + (folds - first) * min(count, GO_ON + self.has_baselines)
        left = max(trainings - self.begun.get(labels, 0), 0)
        stops_early = any(one.result and one.result.stop_reason == "early_stopping" for one in best)
        as_long = _AS_LONG if stops_early else 1.0
        on_folds = _BEFORE * start_up + as_long * left * fmean(trained or [0.0]) / self.at_once
        after = _AFTER * start_up
        return on_folds + after, after, count


def reservation(config: SweepConfig, fewest: int) -> Reservation:
    """Return what says which confirmation of a sweep a budget pays for; see `Reservation`."""
    home, info = config.home, config.home.find(config.name)
    begun = {}
    for part in parts_of(home, info)[1:] if info is not None else ():
        records = [record for record in home.store(part.id).read_all() if record.ends_trial]
        labels = frozenset(str(r.params[FINALIST]) for r in records if FINALIST in r.params)
        begun[labels] = len(records)
    return Reservation(
        says=config.space.defaults.confirm or Confirming(),
        direction=config.space.objective.direction,
        has_baselines=bool(config.space.baselines),
        at_once=max(1, min(config.parallelism.workers, ASK_AHEAD_UNTAUGHT)),
        fewest=fewest,
        begun=begun,
    )


SHIPPED: Final = Components(fixed=7.8e-7, by_folds=3.03e-5, level=0.015)
"""Of a default confirmation of `mlp` on digits20: three of six finalists are left, 4000 images."""


def detectable(components: Components, folds: float) -> float:
    """Return the difference from the best that is seen in 80 of 100 confirmations, at least.

    The error of a difference has a part that more folds reduce (seeds, partitions, noise) and a
    part that only more samples do. A later look tests at a small level of its own, but what was
    seen at an earlier one stays. `folds` is a look, or infinity for as many as one likes.
    """

    def at_look(look: float) -> float:
        critical = normal_critical(nominal(components.level, int(min(look, LOOKS[-1]))))
        return (critical + POWER) * math.sqrt(components.fixed + components.by_folds / look)

    return min(at_look(look) for look in (*LOOKS, math.inf) if look <= folds)


@dataclass(frozen=True)
class PowerPlan:
    """The differences that a confirmation will see.

    Attributes:
        confirmations: Names of the earlier confirmations that this comes from; empty if it comes
            from `SHIPPED`.
        components: The mean of their variance components.
        unit: The unit of the differences, as `Interval` has it.
    """

    confirmations: Sequence[str]
    components: Components
    unit: str

    @property
    def seen(self) -> dict[int, float]:
        """The difference that is seen in 80 of 100 cases, by the number of folds."""
        return {folds: detectable(self.components, folds) for folds in LOOKS}

    @property
    def by_numbers(self) -> dict[int, float]:
        """The same if each fold had one number; empty if that is what they have, or unknown."""
        numbers = self.components.numbers
        if numbers is None:
            return {}
        fixed = numbers / (FOLDS_A_REPEAT - 1)  # see `FoldMoments`
        alone = Components(fixed=fixed, by_folds=numbers, level=self.components.level)
        return {folds: detectable(alone, folds) for folds in LOOKS}

    @property
    def at_best(self) -> float:
        """The difference that is seen with as many folds as one likes: samples limit it."""
        return detectable(self.components, math.inf)


def plan_power(config: SweepConfig) -> PowerPlan:
    """Return what a confirmation will see, from those of its home on the same data.

    Raises:
        UsageError: It cannot be confirmed, or by a metric whose variance nothing has measured yet.
    """
    home, experiment, data = config.home, config.space.experiment, config.data
    scored, found = scored_in(config), {}
    unit: str = scored.unit
    for info in home.sweeps():
        is_alike = is_same_experiment(info.experiment, experiment)
        if not is_alike or not is_same_data(data, info.data):
            continue
        confirmed = heard(Conclusions(home.store(info.id)).confirmed)
        one = confirmed.verdict if confirmed else None
        if one is not None and one.metric == scored.metric and one.components is not None:
            found[one.confirmation] = one.components
            unit = one.quotable.unit
    if not found and scored.unit != "share":
        raise UsageError(
            f"--power: how much {scored.called} differs by chance is measured by a confirmation, "
            f"and none on these data is in {home.path} yet"
        )
    if not found:
        return PowerPlan([], SHIPPED, unit)
    known = found.values()
    numbers = [one.numbers for one in known if one.numbers is not None]
    mean = Components(
        fixed=fmean(one.fixed for one in known),
        by_folds=fmean(one.by_folds for one in known),
        level=fmean(one.level for one in known),
        numbers=fmean(numbers) if numbers else None,
    )
    return PowerPlan(list(found), mean, unit)
