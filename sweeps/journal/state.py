"""The state of a sweep: what its events say, in order. All else is made from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from sweeps.journal.events import (
    Archived,
    Asked,
    Begun,
    Checked,
    CodeKept,
    Confirmed,
    Enqueued,
    Event,
    Finished,
    Imported,
    Learned,
    Noted,
    Received,
    Record,
    Renamed,
    Requested,
    Retried,
    Returned,
    Shown,
    Skipped,
    Started,
    Tested,
    Unfinished,
)


@dataclass
class Start:
    """One command that worked on a sweep.

    Attributes:
        began_at: Milliseconds since the epoch (UTC).
        command: See `Started`.
        folder: See `Started`.
        seconds: Its duration; None while it runs, and if it was killed.
    """

    began_at: int
    command: str | None = None
    folder: str | None = None
    seconds: float | None = None


@dataclass
class SweepState:
    """A sweep as its events tell it.

    Attributes:
        sweep: The id of the sweep; None without a generation, as its name.
        generations: The last event of each generation, by its number.
        name: The name of the sweep.
        unfinished: Trials without an outcome when a generation began, by its number and theirs.
        requested: How many trials were last asked for; None if none were.
        asked: For each trial, by number, its last attempt that was asked for.
        ended: The attempts that have ended, by key, in the order in which they ended.
        points: The enqueued points, by number.
        tried: For each enqueued point that a trial tries, by number, that trial.
        retried: The marks of `sweeps retry`, in order.
        skipped: Numbers of the damaged events that a start has reported.
        undone: Keys of the failed attempts that no longer end their trials.
        starts: The commands that worked on it, in order.
        finished: The ending of the last start; None while it runs, or if it was killed.
        checked: The second training of a trial; None without one.
        notes: The notes, by their subject; a removed one is empty.
        is_archived: Whether it is hidden in lists and in MLflow.
        codes: Digests of the texts of its code, in order.
        imported: Trials that were run elsewhere; None as a rule.
        learned: The points that it tries first; None as a rule.
        received: Who sent it, if somebody else recorded it; None if it was made here.
        shown: Whether tables of all trials show each headline metric that is declared.
        confirmed: Its confirmations, the one in force last.
        tested: Results of test-set evaluations, by their name and whether they are about votes.
    """

    sweep: str | None = None
    generations: dict[int, Begun] = field(default_factory=dict)
    name: str | None = None
    unfinished: dict[tuple[int, int], Unfinished] = field(default_factory=dict)
    requested: int | None = None
    asked: dict[int, Asked] = field(default_factory=dict)
    ended: dict[str, Record] = field(default_factory=dict)
    points: dict[int, Enqueued] = field(default_factory=dict)
    tried: dict[int, int] = field(default_factory=dict)
    retried: list[Retried] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    starts: list[Start] = field(default_factory=list)
    finished: Finished | None = None
    checked: Checked | None = None
    notes: dict[str, str] = field(default_factory=dict)
    is_archived: bool = False
    codes: list[str] = field(default_factory=list)
    imported: Imported | None = None
    learned: Learned | None = None
    received: Received | None = None
    shown: dict[str, bool] = field(default_factory=dict)
    confirmed: list[Confirmed] = field(default_factory=list)
    tested: dict[tuple[str, bool], Tested] = field(default_factory=dict)

    def add(self, event: Event) -> None:  # noqa: C901, PLR0912, PLR0915 - a case for each kind
        """Take the next event."""
        match event:
            case Asked():
                last = self.asked.get(event.trial)
                if last is None or event.attempt >= last.attempt:
                    self.asked[event.trial] = event
                if event.point is not None:
                    self.tried[event.point] = event.trial
            case Record():
                self.ended.setdefault(event.key, event)  # what is recorded never changes
            case Begun():
                self.generations[event.generation] = event
                self.sweep, self.name = event.sweep, event.name
            case Unfinished():
                self.unfinished[event.generation, event.trial] = event
            case Requested():
                self.requested, self.finished, self.is_archived = event.trials, None, False
            case Finished():
                self.finished = event
            case Started():
                self.starts.append(Start(event.began_at, event.command, event.folder))
            case Returned():
                for start in self.starts:
                    if start.began_at == event.began_at:
                        start.seconds = event.seconds
            case Enqueued():
                self.points.setdefault(event.point, event)
            case Retried():
                self.retried.append(event)
                self.undone.update(event.attempts)
                for key in self.ended.keys() & event.attempts:
                    undone = msgspec.structs.replace(self.ended[key], ends_trial=False)
                    self.ended[key] = undone
            case Checked():
                self.checked = event
            case Noted():
                self.notes[event.subject] = event.text
            case Renamed():
                self.name = event.name
            case Archived():
                self.is_archived = event.hidden
            case CodeKept():
                self.codes.append(event.text)
            case Received():
                self.received = event
            case Imported():
                before = self.imported.trials if self.imported else ()
                self.imported = msgspec.structs.replace(event, trials=(*before, *event.trials))
            case Learned():
                earlier = self.learned.points if self.learned else ()
                self.learned = msgspec.structs.replace(event, points=(*earlier, *event.points))
            case Skipped():
                self.skipped.update(event.events)
            case Shown():
                self.shown = event.metrics
            case Confirmed():
                self.confirmed.append(event)
            case Tested():
                self.tested[event.evaluation, event.is_vote] = event


def state_of(events: Iterable[Event]) -> SweepState:
    """Return what the events of a sweep say."""
    state = SweepState()
    for event in events:
        state.add(event)
    return state


def seconds_used(starts: list[Start], ended: Iterable[Record]) -> float:
    """Return the time of all starts, in seconds; one that was killed counts up to its last attempt.

    Args:
        starts: All starts, in order.
        ended: All attempts of the sweep and its confirmations.
    """
    finished = [event.finished_at for event in ended]
    used = 0.0
    ends = [*(start.began_at for start in starts[1:]), math.inf]
    for start, until in zip(starts, ends, strict=False):  # without a start there is one end
        within = (moment for moment in finished if start.began_at <= moment < until)
        known = (max(within, default=start.began_at) - start.began_at) / 1000
        used += known if start.seconds is None else start.seconds
    return used
