"""Summary of a sweep (counts, best, baselines, failures, time), and the rows of `sweeps list`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from sweeps.analysis.rows import (
    STATES,
    RowState,
    TrialRow,
    best_row,
    front_rows,
    is_retried,
    trial_rows,
)
from sweeps.journal.events import LAST_EPOCH
from sweeps.records.conclusions import confirmed_by
from sweeps.records.sweep import has_folds, scored_on
from sweeps.wording import figure, first_line

if TYPE_CHECKING:
    from search_spaces.objectives import Objective
    from sweeps.journal.events import Record
    from sweeps.records.conclusions import ConfirmationRecord
    from sweeps.records.sweep import SweepInfo

BEST_OBSERVED = "best observed"
NOT_CONFIRMED = f"{BEST_OBSERVED}, not confirmed"
"""Label of the best trial until it is confirmed: the best of N scores on one validation set has a
selection bias (Cawley & Talbot 2010)."""

FRONT = "on the Pareto front, observed, not confirmed"
"""Label of the trials that no other trial beats in all of several objectives."""


@dataclass(frozen=True)
class ConfirmedChampion:
    """The configuration that the confirmation of a sweep says to take.

    Attributes:
        finalist: Its label, such as `trial-17`.
        trial: Number of its trial in the sweep; None if it comes from random trials, or if that is
            not known.
        score: The figure of it that one may quote, from fresh folds; None if the conclusion was
            stored in words.
        unit: The unit of the score, as `Interval` has it.
        is_proven: Whether it is better than every baseline, as far as that is known.
    """

    finalist: str
    trial: int | None
    score: float | None
    unit: str = "share"
    is_proven: bool = True


def champion_of(confirmed: ConfirmationRecord | None) -> ConfirmedChampion | None:
    """Return the champion of a confirmation; None without one."""
    if confirmed is None:
        return None
    verdict = confirmed.verdict
    if verdict is None:  # in words
        kind, _, number = confirmed.finalist.partition("-")
        trial = int(number) if kind == "trial" and number.isdecimal() else None
        return ConfirmedChampion(confirmed.finalist, trial, None)
    own, score = verdict.taken, verdict.quotable
    trial = None if own.is_control else own.trial
    is_proven = own.is_baseline or (not verdict.is_early and verdict.beats_baselines)
    return ConfirmedChampion(own.finalist, trial, score.value, score.unit, is_proven)


@dataclass(frozen=True)
class Summary:
    """The outcome of a sweep so far.

    Attributes:
        id: Identifier of the sweep.
        name: Name of the sweep.
        metric: Name of the objective metric; of the first, if there are several.
        direction: Direction in which the objective is better.
        asked: Number of trials asked for.
        counts: Number of trials by state; every state is present.
        failures: Number of FAILED trials by reason, most frequent first.
        retried: Number of failed attempts that were tried again, by reason.
        first_error: First line of the first failed trial's error, None without one.
        first_failed: Number of that trial.
        best: Best COMPLETE trial, baselines included; None if there is none, or several objectives.
        baselines: Trials whose origin is a baseline, in trial order.
        seconds: Wall time of this call of `sweeps run`.
        stopped_by: Why the sweep ended before its total (`timeout`, `target`, `interrupt`, ...),
            None if it did not; `failures` if too many trials in a row failed.
        failure_cause: Why they failed, in one line; None unless they ended the sweep.
        tracking_pending: Runs that MLflow has not received yet, the parent run included.
        tracking_error: Why MLflow lacks them, in one line; None if nothing is missing.
        deleted: A line for each file that somebody deleted while the sweep ran.
        time_split: Seconds by what they were spent on: `training` and `idle` (only with workers,
            summed over them), `warm_up` (until the first was ready), and the coordinator's
            `proposals`, `records`, `study`.
        objectives: All objectives.
        front: COMPLETE trials on the Pareto front, the best by the first objective first; with one
            objective the best trial, and those that equal it.
        champion: The champion of its confirmation; None while it is not confirmed.
        at_last_epoch: Number of COMPLETE trials that their last epoch ended, where others stopped
            early; 0 if none did.
        has_folds: Whether it may be confirmed; a script without `{fold}` may not.
        scored_on: What scored its trials, in words.
    """

    id: str
    name: str
    metric: str
    direction: Literal["maximize", "minimize"]
    asked: int
    counts: Mapping[RowState, int]
    failures: Mapping[str, int]
    first_error: str | None
    best: TrialRow | None
    baselines: tuple[TrialRow, ...]
    seconds: float
    stopped_by: str | None = None
    failure_cause: str | None = None
    retried: Mapping[str, int] = field(default_factory=dict)
    tracking_pending: int = 0
    tracking_error: str | None = None
    deleted: tuple[str, ...] = ()
    time_split: Mapping[str, float] = field(default_factory=dict)
    first_failed: int | None = None
    objectives: tuple[Objective, ...] = ()
    front: tuple[TrialRow, ...] = ()
    champion: ConfirmedChampion | None = None
    at_last_epoch: int = 0
    has_folds: bool = True
    scored_on: str = "on the validation set"

    @property
    def status(self) -> str:
        """What the best trial is, in a few words: observed, and confirmed or not."""
        if self.has_front:
            return FRONT
        return "".join(how_confirmed(self.best, self.champion))

    @property
    def has_front(self) -> bool:
        """Whether there are several objectives, so that no trial is best."""
        return len(self.objectives) > 1

    @property
    def front_and_baselines(self) -> list[TrialRow]:
        """The front, then the baselines that are not on it."""
        known = {row.trial for row in self.front}
        return [*self.front, *(row for row in self.baselines if row.trial not in known)]

    @property
    def done(self) -> int:
        """Number of trials with an outcome."""
        return sum(self.counts.values()) - self.counts["WAITING"]

    @property
    def all_failed(self) -> bool:
        """Whether there are outcomes, all of them FAILED."""
        return self.done > 0 and self.counts["FAILED"] == self.done

    @property
    def reference(self) -> TrialRow | None:
        """The best COMPLETE baseline, with which the best trial is compared."""
        return best_row(self.baselines, self.direction)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping; keys are the attributes' names, `done` and `status`."""
        found = {name: value for name, value in asdict(self).items() if name not in _NOT_SHOWN}
        return {**found, "done": self.done, "status": self.status}


_NOT_SHOWN = frozenset({"deleted", "has_folds", "scored_on"})
"""Attributes of a summary that its mapping does not have: others say them in words."""


def how_confirmed(best: TrialRow | None, champion: ConfirmedChampion | None) -> tuple[str, str]:
    """Return the label of the best trial of one objective, and a clause on the champion.

    The clause comes at the end of a sentence; without a confirmation it is empty.
    """
    if champion is None:
        return NOT_CONFIRMED, ""
    is_best = best is not None and best.trial == champion.trial
    if not champion.is_proven:
        who = "it" if is_best else champion.finalist
        return BEST_OBSERVED, f"; on fresh folds {who} is not proven better than the baseline"
    has = "" if champion.score is None else f" with {figure(champion.score, champion.unit)}"
    if is_best:
        return BEST_OBSERVED, f"; it is the champion, confirmed on fresh folds{has}"
    return BEST_OBSERVED, f"; the champion, confirmed on fresh folds, is {champion.finalist}{has}"


def summarize(
    info: SweepInfo,
    records: Sequence[Record],
    *,
    asked: int,
    seconds: float,
    stopped_by: str | None,
    failure_cause: str | None = None,
    time_split: Mapping[str, float] | None = None,
    rows: Sequence[TrialRow] | None = None,
) -> Summary:
    """Summarise a sweep from its records; who reads its folder adds the champion.

    Args:
        info: The facts that were fixed when the sweep was created.
        records: Every recorded attempt, in any order.
        asked: Number of trials asked for.
        seconds: Wall time so far.
        stopped_by: Why the sweep ended before its total, None if it did not.
        failure_cause: Why trials failed, if so many in a row failed that the sweep ended.
        time_split: Seconds by what they were spent on.
        rows: One row a trial, if they are made already.
    """
    rows = trial_rows(records) if rows is None else rows
    states = Counter(row.state for row in rows)
    failed = [row for row in rows if row.state == "FAILED"]
    ended = Counter(row.reason for row in rows if row.state == "COMPLETE")
    front = front_rows(rows, info.objectives)
    return Summary(
        id=info.id,
        name=info.name,
        metric=info.metric,
        direction=info.direction,
        asked=asked,
        counts={state: states[state] for state in STATES},
        failures=dict(Counter(row.reason for row in failed).most_common()),
        first_error=next((first_line(row.error) for row in failed if row.error), None),
        first_failed=next((row.trial for row in failed if row.error), None),
        best=None if info.has_front or not front else front[0],
        baselines=tuple(row for row in rows if row.baseline is not None),
        seconds=seconds,
        stopped_by=stopped_by,
        failure_cause=failure_cause,
        retried=dict(Counter(r.reason for r in records if is_retried(r)).most_common()),
        time_split=dict(time_split or {}),
        objectives=info.objectives,
        front=tuple(front),
        at_last_epoch=ended[LAST_EPOCH] if ended["early_stopping"] else 0,
        has_folds=has_folds(info.experiment, info.data),
        scored_on=scored_on(info),
    )


ListingState = Literal["RUNNING", "FINISHED", "UNFINISHED", "EMPTY", "ARCHIVED"]


@dataclass(frozen=True)
class ListingRow:
    """One sweep in a list.

    Attributes:
        name: Name of the sweep.
        id: Its identifier.
        experiment: Short name of its experiment.
        done: Trials with an outcome.
        failed: Trials that FAILED.
        asked: Number of trials asked for, None where it is not known.
        metric: Name of the objective metric.
        best: Best observed objective, None if no trial is COMPLETE, or there are several
            objectives.
        best_trial: Number of the trial with that objective, or None.
        created_at: Milliseconds since the epoch (UTC).
        generation: Number of extensions, plus one.
        objectives: Names of all objective metrics.
        front: Number of trials on the Pareto front; None with one objective.
        state: RUNNING while a coordinator owns the sweep; else EMPTY without an outcome,
            UNFINISHED with fewer outcomes than asked or an interrupted trial, FINISHED otherwise;
            ARCHIVED if it is hidden.
        champion: The champion of its confirmation; None while it is not confirmed.
        companion_of: Name of the sweep that it belongs to, if it is a part of a confirmation; None
            for a sweep of its own, and if that sweep is not listed.
        learned_from: What its first points were learned from, as it was asked for; None as a rule.
    """

    name: str
    id: str
    experiment: str
    done: int
    failed: int
    asked: int | None
    metric: str
    best: float | None
    best_trial: int | None
    created_at: int
    generation: int
    state: ListingState
    objectives: tuple[str, ...] = ()
    front: int | None = None
    champion: ConfirmedChampion | None = None
    companion_of: str | None = None
    learned_from: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-compatible mapping; keys are the attributes' names."""
        return asdict(self)


def listing_rows(
    sweeps: Sequence[tuple[SweepInfo, Sequence[Record]]],
    *,
    asked: Mapping[str, int] | None = None,
    running: Collection[str] = (),
    archived: Collection[str] = (),
    champions: Mapping[str, ConfirmedChampion | None] | None = None,
) -> list[ListingRow]:
    """Return one row a sweep, the newest first.

    Args:
        sweeps: The sweeps, each with all its records.
        asked: Number of trials asked for by sweep id, where it is known.
        running: Ids of sweeps that a coordinator owns now.
        archived: Ids of sweeps that are hidden.
        champions: Champions by sweep id.
    """
    newest_first = sorted(sweeps, key=lambda sweep: (-sweep[0].created_at, sweep[0].name))
    totals, names = asked or {}, {info.id: info.name for info, _ in sweeps}
    rows = []
    for info, records in newest_first:
        row = _row(info, records, totals.get(info.id))
        owner = names.get(confirmed_by(info.directory) or "")
        row = replace(row, companion_of=owner, champion=(champions or {}).get(info.id))
        row = replace(row, state="RUNNING") if info.id in running else row
        rows.append(replace(row, state="ARCHIVED") if info.id in archived else row)
    return rows


def _row(info: SweepInfo, records: Sequence[Record], asked: int | None) -> ListingRow:
    rows = trial_rows(records)
    best = None if info.has_front else best_row(rows, info.direction)
    done = sum(row.state != "WAITING" for row in rows)
    state: ListingState = "FINISHED"
    if not done:
        state = "EMPTY"
    elif done < len(rows) or done < (asked or 0):
        state = "UNFINISHED"
    return ListingRow(
        name=info.name,
        id=info.id,
        experiment=info.experiment_name,
        done=done,
        failed=sum(row.state == "FAILED" for row in rows),
        asked=asked,
        metric=info.metric,
        best=best.objective if best else None,
        best_trial=best.trial if best else None,
        created_at=info.created_at,
        generation=info.generation,
        state=state,
        objectives=tuple(objective.metric for objective in info.objectives),
        front=len(front_rows(rows, info.objectives)) if info.has_front else None,
        learned_from=info.learned_from,
    )
