"""A budget of time: how many trials it pays for beside the confirmation that follows.

A budget decides how many trials a sweep has, never which: trials begin in their order, so another
budget or a faster machine gives more or fewer of the same. All starts of the sweep share it. Each
new outcome corrects the cost of a trial, and with it the number of trials and what is kept for the
confirmation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from statistics import fmean
from typing import Final

import msgspec

from sweeps.config.sweep import SweepConfig
from sweeps.experiments.loading import is_same_experiment
from sweeps.home import Home
from sweeps.journal.state import seconds_used
from sweeps.records import Record, SweepInfo, confirmed_by, is_same_data
from sweeps.study.points import Proposal
from sweeps.study.proposals import Exhausted
from sweeps.wording import counted, format_seconds, rough
from sweeps.workspace.clock import Stopwatch

_RECENT: Final = 30
"""The cost of a trial is the mean of so many: what the sampler proposes changes with time."""
_SHARE: Final = 2 / 3
"""The share of a budget that a confirmation gets at most."""
_TOLERANCE: Final = 0.05
"""By this share of the budget a confirmation may take longer than planned."""
_PLANNED: Final = 5
"""The experiment estimates the duration of so many trials beside the baselines."""
_START_UP: Final = 8.0
"""Seconds until the first trial of a start begins, before that is measured."""


@dataclass(frozen=True)
class Reserve:
    """The part of a budget that is kept for a confirmation.

    Attributes:
        seconds: Expected duration; 0 if none follows.
        after: The part of it that follows the trainings on folds.
        top: Of how many best configurations, beside a baseline.
        finalists: How many configurations it compares.
        folds: On how many folds those that are left after the first ones are trained.
        trains: What is trained, in words.
        fewest: With fewer complete trials none follows.
        lacking: Why it is smaller than asked for, or why none follows; empty if it is whole.
    """

    seconds: float = 0.0
    after: float = 0.0
    top: int = 0
    finalists: int = 0
    folds: int = 0
    trains: str = ""
    fewest: int = 0
    lacking: str = ""


Reserving = Callable[..., Reserve]
"""Says which part of a budget a confirmation takes; see `sweeps.confirm.planning.Reservation`."""


@dataclass
class Budget:
    """The rest of a budget, which shrinks while a sweep runs.

    Attributes:
        seconds: The budget, of all starts.
        used: What earlier starts took of it.
        watch: Began with this start.
        at_once: How many trials are trained at once.
        expected: Seconds of a trial before one has ended; None if nothing is known.
        source: Where that comes from, in words.
        reserving: Says what a confirmation takes; None if none follows.
        most_trials: How many trials were asked for at most.
        records: The attempts of all starts that have ended.
        has_trained: Whether an attempt has ended in this start.
        start_up: The seconds of a start-up; the end of a sweep takes about as long.
    """

    seconds: float
    used: float
    watch: Stopwatch
    at_once: int
    expected: float | None = None
    source: str = ""
    reserving: Reserving | None = None
    most_trials: int = 10**6
    records: list[Record] = field(default_factory=list)
    has_trained: bool = False
    start_up: float = _START_UP
    _reserve: Reserve | None = None

    def took(self, record: Record) -> None:
        """Take an attempt that has ended in this start; the first one ends the start-up."""
        if not self.has_trained:
            self.has_trained = True
            self.start_up = max(0.0, record.started_at - self.watch.started_at) / 1000
        self.records.append(msgspec.structs.replace(record))  # without its arrays
        self._reserve = None

    @property
    def left(self) -> float:
        """The seconds that are left, of all parts together."""
        return self.seconds - self.used - (self.watch.now_ms() - self.watch.started_at) / 1000

    @property
    def trial_seconds(self) -> float | None:
        """The mean duration of a trial; None before anything is known."""
        measured = warm_seconds((one for one in self.records if one.ends_trial), self.at_once)
        return fmean(measured[-_RECENT:]) if measured else self.expected

    @property
    def ended(self) -> int:
        """How many trials have an outcome."""
        return len({record.trial for record in self.records if record.ends_trial})

    @property
    def reserve(self) -> Reserve:
        """The part that is kept for the confirmation, as far as is known now."""
        if self._reserve is None or not self.records:
            left = self.seconds - self.used - self.start_up  # when this start began
            found = self._reserved(min(_SHARE * self.seconds, left), left)
            complete = sum(record.outcome == "complete" for record in self.records)
            after = complete + self._more(found.seconds, self.trial_seconds or 0.0)
            if found.folds and min(self.most_trials, after) < found.fewest:
                why = f"fewer than {found.fewest} trials fit in beside it"
                found = Reserve(lacking=f"no confirmation: {why}")
            self._reserve = found
        return self._reserve

    @property
    def trials(self) -> int | None:
        """How many trials there will be, those that ended included; None before a cost is known."""
        each = self.trial_seconds
        if each is None:
            return None
        return min(self.most_trials, self.ended + self._more(self.reserve.seconds, each))

    def pays(self, in_flight: int = 0) -> bool:
        """Whether it pays for one trial more. Before one has ended, any time left will do.

        Args:
            in_flight: How many trials have begun, or wait for a worker.
        """
        if not self.ended:
            return self.left > 0
        waiting = max(0, in_flight + 1 - self.at_once) / self.at_once
        each = self.trial_seconds or 0.0
        return self.left - self.start_up - self.reserve.seconds > each * (1 + waiting)

    def for_confirmation(self) -> Reserve:
        """Return the confirmation that the rest pays for, once the trials have ended."""
        # What a confirmation needs was kept; a little less must not cost a finalist.
        most = self.left + _TOLERANCE / 2 * self.seconds
        return self._reserved(most, most)

    def most_for_folds(self, reserve: Reserve) -> float:
        """Return the seconds after which no training on folds begins: a guard, not the plan."""
        return max(self.left + _TOLERANCE * self.seconds - reserve.after, 0.0)

    def ended_line(self) -> str:
        """Return the time that was used, as a line for people."""
        used, of = format_seconds(self.seconds - self.left), format_seconds(self.seconds)
        return f"Budget: {used} of {of} used by all starts"

    def _more(self, reserved: float, each: float) -> int:
        ahead = 0.0 if self.has_trained else self.start_up  # that is still to come
        time = self.left - self.start_up - reserved - ahead
        return max(0, math.floor(time * self.at_once / max(each, 1e-3)))

    def _reserved(self, most: float, left: float) -> Reserve:
        """Return what a confirmation takes of what is `left`: `most` seconds, as a rule."""
        each = self.trial_seconds
        if self.reserving is None:
            return Reserve()
        if each is None:
            return Reserve(lacking="no confirmation: nothing was trained")
        return self.reserving(self.records, each=each, start_up=self.start_up, most=most, left=left)

    def lines(self) -> Iterator[str]:
        """Yield what the budget allows, as lines for people."""
        if self.used and not self.has_trained:
            past, of = format_seconds(self.used), format_seconds(self.seconds)
            yield f"budget: earlier starts took {past} of {of}"
        trials, each = self.trials, self.trial_seconds
        if trials is None or each is None:
            yield "budget: how many trials that allows is said once the first have ended"
            return
        how = "measured" if self.ended else self.source
        cost = f"{format_seconds(each)} ({how}), {self.at_once} at once"
        said = f"{counted(rough(trials), 'trial')} of {cost}"
        reserve = self.reserve
        if reserve.folds:
            said += f"; {format_seconds(reserve.seconds)} kept to confirm {reserve.trains}"
        yield f"budget: about {said}"
        if reserve.lacking:
            yield f"budget: {reserve.lacking}"


def warm_seconds(records: Iterable[Record], at_once: int) -> list[float]:
    """Return the durations of attempts, in the order in which they began.

    The first one of each worker includes its start-up, so it counts only if there are no others.
    """
    seconds = [one.seconds for one in sorted(records, key=attrgetter("started_at"))]
    return seconds[at_once:] or seconds


def time_used(home: Home, info: SweepInfo) -> float:
    """Return the seconds that all starts of a sweep took so far, its confirmations included."""
    parts = [home.store(one.id).state() for one in parts_of(home, info)]
    ended = [event for state in parts for event in state.ended.values()]
    return seconds_used(parts[0].starts, ended)


def parts_of(home: Home, info: SweepInfo) -> list[SweepInfo]:
    """Return a sweep and those that are parts of its confirmations."""
    return [info, *(one for one in home.sweeps() if confirmed_by(one.directory) == info.id)]


def make_budget(
    config: SweepConfig, watch: Stopwatch, reserving: Reserving | None
) -> Budget | None:
    """Return what is left of the budget of a sweep; None if it has none.

    Of this start, which began with the watch, nothing is recorded yet.
    """
    if config.limits.budget_seconds is None:
        return None
    info = config.home.find(config.name)
    records = config.home.store(info.id).read_all() if info is not None else []
    expected, source = (None, "") if records else expected_seconds(config)
    return Budget(
        seconds=config.limits.budget_seconds,
        used=time_used(config.home, info) if info is not None else 0.0,
        watch=watch,
        at_once=config.parallelism.at_once,
        expected=expected,
        source=source,
        reserving=reserving,
        most_trials=config.limits.trials,
        records=records,
    )


def expected_seconds(config: SweepConfig) -> tuple[float | None, str]:
    """Return what a trial is expected to take before one has ended, and where that comes from.

    A sweep of the same space on the same data, run here before, knows best; else the experiment.
    """
    space = config.space
    for info in reversed(config.home.sweeps()):
        is_alike = info.space.get("name") == space.name and is_same_experiment(
            info.experiment, space.experiment
        )
        if is_alike and is_same_data(config.data, info.data):
            ended = [r for r in config.home.store(info.id).read_all() if r.ends_trial]
            if ended:
                return fmean(r.seconds for r in ended[-_RECENT:]), f"as in sweep {info.name}"
    proposals = islice(first_proposals(config), len(space.baselines) + _PLANNED)
    known = [config.experiment.plan(one.config, config.data).seconds for one in proposals]
    seconds = [one for one in known if one is not None]
    return (fmean(seconds), "an estimate") if seconds else (None, "")


def first_proposals(config: SweepConfig) -> Iterator[Proposal]:
    """Yield the baselines and what was learned, then the sampler's proposals.

    The first `ask_ahead` of them are those of the real sweep: these proposals see no outcome yet.
    """
    proposer = config.proposer()
    with suppress(Exhausted):
        for _ in range(config.limits.trials):
            yield proposer.propose()
