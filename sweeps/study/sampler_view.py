"""The sampler's view: an in-memory study that lags behind on purpose.

The proposal of trial n sees the outcomes of trials 0 to n - ask_ahead, and every later trial as
RUNNING, however many have finished meanwhile. So neither workers nor timing change a sweep.

A sampler whose work grows with what it sees is shown a part of a long sweep (`SamplerView.most`).
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left, insort
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.objectives import Direction, Objective
from search_spaces.parameters import Value
from sweeps.journal.events import ImportedTrial
from sweeps.records import Record, values_of
from sweeps.study.points import Proposal

DIVERGED_CONSTRAINT = "constraints:diverged"
"""Key under which Optuna 5 keeps `trial.set_constraint("diverged", value)`; above 0 = violated."""


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended, in Optuna's terms; one that diverged is PRUNED without a value.

    Attributes:
        values: One per objective; None unless the trial is complete.
        asked: Parameters and distributions, where they are known only now; else None.
    """

    state: TrialState
    values: tuple[float, ...] | None = None
    intermediate: Mapping[int, float] = field(default_factory=dict)
    diverged: bool = False
    pruner_attrs: Mapping[str, Any] = field(default_factory=dict)
    asked: tuple[Mapping[str, Value], Mapping[str, BaseDistribution]] | None = None

    @property
    def constraint(self) -> dict[str, float]:
        """The note by which Optuna knows whether the trial diverged; none on a failed one."""
        failed = self.state == TrialState.FAIL
        return {} if failed else {DIVERGED_CONSTRAINT: 1.0 if self.diverged else -1.0}


def trial_outcome(
    record: Record, objectives: Sequence[Objective], epoch_metric: str | None = None
) -> TrialOutcome:
    """Translate the record that ends a trial into Optuna's terms.

    Its curve is that of the metric that the pruner watches; there is none without a pruner.
    """
    if record.outcome == "diverged":
        return TrialOutcome(TrialState.PRUNED, diverged=True)
    values = values_of(record, objectives) if record.outcome == "complete" else None
    if values is None and record.outcome != "pruned":  # or made by another program, without values
        return TrialOutcome(TrialState.FAIL)
    history = record.result.history if record.result else {}
    curve = dict(enumerate(history.get(epoch_metric, []) if epoch_metric else []))
    state = TrialState.COMPLETE if values is not None else TrialState.PRUNED
    return TrialOutcome(state, values, curve, pruner_attrs=record.pruner_attrs)


def imported_outcome(trial: ImportedTrial) -> TrialOutcome:
    """Translate how a trial ended that was run elsewhere."""
    reached = dict([trial.reached]) if trial.reached else {}
    state = TrialState.FAIL if trial.state == "FAILED" else TrialState[trial.state]
    return TrialOutcome(state, trial.values or None, reached)


BEST_SHARE: Final = 0.1
"""So many of the trials that are shown of a long sweep are its best ones; TPE calls 25 good."""

_NAME: Final = "snapshot"
"""From this name and a trial's number Hyperband derives its bracket."""


class HeldTrials(InMemoryStorage):
    """Shows Optuna trials as they are held; to store each would take 40 us.

    Attributes:
        trials: The number and the id of each is its place.
        shown: Numbers of those that are shown, in order; None: all.
    """

    def __init__(self, directions: Sequence[str]) -> None:
        super().__init__()
        self.trials: list[FrozenTrial] = []
        self.shown: Sequence[int] | None = None
        ways = [optuna.study.StudyDirection[way.upper()] for way in directions]
        self.create_new_study(ways, _NAME)
        self._study = optuna.load_study(study_name=_NAME, storage=self)

    def study(self, pruner: optuna.pruners.BasePruner | None = None) -> optuna.Study:
        """Return a new study of the trials; each remembers those that a sampler asked it for."""
        study = copy.copy(self._study)  # to load it again would make it a sampler, too
        study.pruner = pruner or study.pruner
        return study

    def add(self, trial: FrozenTrial) -> FrozenTrial:
        """Take a trial as the next one."""
        trial.number = trial._trial_id = len(self.trials)
        self.trials.append(trial)
        return trial

    def change(self, number: int, **members: Any) -> FrozenTrial:
        """Change a trial; who was given it before keeps it as it was, as in every storage."""
        changed = self.trials[number] = copy.copy(self.trials[number])
        for name, value in members.items():
            setattr(changed, name, value)
        return changed

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are shown."""
        trials = self.trials if self.shown is None else [self.trials[n] for n in self.shown]
        trials = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial."""
        return self.trials[trial_id]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best of the trials that are shown."""
        return BaseStorage.get_best_trial(self, study_id)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a note of a sampler or pruner."""
        self.change(trial_id, system_attrs={**self.trials[trial_id].system_attrs, key: value})


class SamplerView:
    """The study as the next proposal may see it.

    Attributes:
        study: The study; a new one with each trial that is opened.
        most: Most ended trials that are shown: the best, which are a tenth of that number, and
            others evenly chosen by number. None, or several objectives: all.
    """

    def __init__(self, directions: Sequence[Direction], most: int | None = None) -> None:
        self.most = most if len(directions) == 1 else None
        self._sign = 1 if directions[0] == "minimize" else -1
        self._ended: list[int] = []  # numbers, in order
        self._open: set[int] = set()  # numbers of the others: they run, or have failed
        self._best: list[tuple[float, int]] = []  # of the best, with their values, best first
        self._held = HeldTrials(directions)
        self._imported = 0
        self.study = self._held.study()

    def teach(self, point: Proposal, outcome: TrialOutcome) -> None:
        """Add a trial that was run elsewhere, before the sweep's own first one.

        Its number is none of the sweep's, and `finished` leaves it out.
        """
        self.open()
        self.accept(point, keep_notes=False)
        self.tell(0, outcome)
        self._imported += 1

    def open(self) -> FrozenTrial:
        """Add the next trial, RUNNING and still without parameters."""
        self.study = self._held.study()
        trial = self._held.add(create_trial(state=TrialState.RUNNING))
        self._open.add(trial.number)
        self._held.shown = self._shown()
        return trial

    def accept(self, proposal: Proposal, *, keep_notes: bool) -> None:
        """Give the trial opened last its parameters, and keep the sampler's notes on it or not.

        TPE notes the whole joint sample, with inactive parameters, and takes it for the trial's own
        later.
        """
        trial = self._held.trials[-1]
        self._held.change(
            trial.number,
            params={n: v for n, v in proposal.params.items() if n in proposal.distributions},
            distributions=dict(proposal.distributions),
            system_attrs=trial.system_attrs if keep_notes else {},
        )

    def tell(self, trial: int, outcome: TrialOutcome) -> FrozenTrial:
        """Let all later proposals see how a trial ended, in place of what they saw before."""
        number = self._imported + trial
        notes = self._held.trials[number].system_attrs
        curve, values = dict(outcome.intermediate), outcome.values
        if outcome.state == TrialState.PRUNED and curve:  # as Optuna does, with one objective
            last = curve[max(curve)]
            values = None if math.isnan(last) else (last,)
        ended = self._held.change(
            number,
            state=outcome.state,
            values=values,
            intermediate_values=curve,
            system_attrs={**notes, **outcome.pruner_attrs, **outcome.constraint},
        )
        if outcome.asked is not None:
            params, distributions = map(dict, outcome.asked)
            ended = self._held.change(number, params=params, distributions=distributions)
        if self.most is not None and outcome.state != TrialState.FAIL:
            insort(self._ended, number)
            self._open.discard(number)
            if outcome.state == TrialState.COMPLETE:
                insort(self._best, (self._sign * ended.values[0], number))
                del self._best[int(BEST_SHARE * self.most) :]
        return ended

    def _shown(self) -> list[int] | None:
        """Return the numbers of the trials that the next proposal sees; None: all."""
        if self.most is None or len(self._ended) <= self.most:
            return None
        # By places, so that it takes no longer the longer the sweep is.
        best = np.sort([bisect_left(self._ended, number) for _, number in self._best])
        count, others = self.most - len(best), len(self._ended) - len(best)
        chosen = np.arange(count) * others // count  # their places if the best were not there
        before = np.searchsorted(best - np.arange(len(best)), chosen, side="right")
        places = (*best.tolist(), *(chosen + before).tolist())
        return sorted([*map(self._ended.__getitem__, places), *self._open])

    def finished(self) -> list[FrozenTrial]:
        """Return the own trials told so far; the pruner of the trial opened last may see them."""
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        own = [one for one in self._held.trials[self._imported :] if one.state in states]
        if self._imported:
            own = [copy.copy(trial) for trial in own]
            for trial in own:
                trial.number -= self._imported  # as the sweep counts them
        return own
