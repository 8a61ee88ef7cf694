"""The sampler's view: an in-memory study that lags behind on purpose.

The proposal of trial n sees exactly the outcomes of trials 0 to n - ask_ahead, and every later
trial as RUNNING, however many have finished meanwhile. So the proposals, and with them the whole
sweep, depend neither on the number of workers nor on timing.

A sampler whose work grows with what it sees is shown a part of a long sweep (`SamplerView.most`).
"""

from __future__ import annotations

import copy
from bisect import bisect_left, insort
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Direction, Objective
from search_spaces.parameters import Value
from sweeps.records import Record, values_of


class AskingTrial:
    """Turns the three `suggest_*` calls into one question with a distribution of Optuna's.

    Equal questions have the same distribution, so that they are quick to compare.
    """

    def __init__(self, ask: Callable[[str, BaseDistribution], Value]) -> None:
        """Answer by a function of name and distribution."""
        self._ask = ask

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a float in [low, high]."""
        return cast(float, self._ask(name, _distribution(FloatDistribution, low, high, log, step)))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return an integer in [low, high]."""
        return cast(int, self._ask(name, _distribution(IntDistribution, low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Return one of the choices."""
        return self._ask(name, _categorical(tuple(choices), tuple(map(type, choices))))


@cache
def _distribution(
    kind: type[FloatDistribution | IntDistribution], low: Any, high: Any, log: bool, step: Any
) -> BaseDistribution:
    return kind(low, high, log=log, step=step)


@cache
def _categorical(choices: tuple[Value, ...], types: tuple[type, ...]) -> CategoricalDistribution:
    """Return the distribution of choices; their types tell 1 from True, which are equal."""
    return CategoricalDistribution(choices)


DIVERGED_CONSTRAINT = "constraints:diverged"
"""Key under which Optuna 5 keeps `trial.set_constraint("diverged", value)`; above 0 = violated."""


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended, in Optuna's terms.

    Samplers ignore FAIL trials altogether. So a diverged trial is PRUNED without a value and with a
    violated constraint, which keeps samplers away from its region. This works with several
    objectives as well: Optuna prunes nothing there, but its samplers know such trials.

    Attributes:
        values: One per objective; None unless the trial is complete.
    """

    state: TrialState
    values: tuple[float, ...] | None = None
    intermediate: Mapping[int, float] | None = None
    diverged: bool = False
    pruner_attrs: Mapping[str, Any] | None = None


def trial_outcome(
    record: Record, objectives: Sequence[Objective], epoch_metric: str | None = None
) -> TrialOutcome:
    """Translate the record that ends a trial into Optuna's terms.

    Args:
        record: The last record of the trial.
        objectives: The objectives of the sweep.
        epoch_metric: The metric that the pruner watches; None without a pruner.
    """
    history = record.result.history if record.result else {}
    watched = history.get(epoch_metric, []) if epoch_metric else []
    intermediate = dict(enumerate(watched))
    notes = record.pruner_attrs
    match record.outcome:
        case "complete":
            values = values_of(record, objectives)
            if values is None:  # only a record made by another program can be like that
                return TrialOutcome(TrialState.FAIL)
            return TrialOutcome(TrialState.COMPLETE, values, intermediate, pruner_attrs=notes)
        case "pruned":
            return TrialOutcome(TrialState.PRUNED, None, intermediate, pruner_attrs=notes)
        case "diverged":
            return TrialOutcome(TrialState.PRUNED, diverged=True)
        case _:
            return TrialOutcome(TrialState.FAIL)


BEST_SHARE: Final = 0.1
"""So many of the trials that are shown of a long sweep are its best ones; TPE calls 25 good."""


class _PartlyShown(InMemoryStorage):
    """A storage that shows Optuna some of its trials only.

    Attributes:
        shown: Their ids, in order; None: all.
    """

    shown: Sequence[int] | None = None

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are shown; nothing here asks for copies of them."""
        if self.shown is None:
            return super().get_all_trials(study_id, deepcopy, states)
        trials = (self.get_trial(trial_id) for trial_id in self.shown)
        return [trial for trial in trials if states is None or trial.state in states]


class SamplerView:
    """The study as the next proposal may see it.

    Attributes:
        most: Most ended trials that are shown: the best, which are a tenth of that number, and
            others evenly chosen by number. None, or several objectives: all.
    """

    def __init__(self, directions: Sequence[Direction], most: int | None = None) -> None:
        self.most = most if len(directions) == 1 else None
        self._sign = 1 if directions[0] == "minimize" else -1
        self._ended: list[int] = []  # ids, in order
        self._open: set[int] = set()  # ids of the others: they run, or have failed
        self._best: list[tuple[float, int]] = []  # of the best, with their values, best first
        self._storage = _PartlyShown()
        self._study_id = self._storage.create_new_study(
            [optuna.study.StudyDirection[way.upper()] for way in directions], "sampler view"
        )
        self.study = optuna.load_study(study_name="sampler view", storage=self._storage)
        self._trial_ids: list[int] = []
        self._imported = 0

    def teach(
        self,
        params: Mapping[str, Value],
        distributions: Mapping[str, BaseDistribution],
        values: Sequence[float],
    ) -> None:
        """Add a complete trial that was run elsewhere, before the sweep's own first one.

        Its number is none of the sweep's, and `finished` leaves it out.
        """
        trial = optuna.trial.create_trial(
            params=dict(params),
            distributions=dict(distributions),
            values=list(values),
            system_attrs={DIVERGED_CONSTRAINT: -1.0},
        )
        self._end(self._storage.create_new_trial(self._study_id, trial), values)
        self._imported += 1

    def open(self) -> FrozenTrial:
        """Add the next trial, RUNNING and still without parameters."""
        # A new study object, because `Study` caches the trials between two calls of its own `ask`.
        self.study = optuna.load_study(
            study_name="sampler view", storage=self._storage, sampler=self.study.sampler
        )
        self._trial_ids.append(self._storage.create_new_trial(self._study_id))
        self._open.add(self._trial_ids[-1])
        self._storage.shown = self._shown()
        return self._storage.get_trial(self._trial_ids[-1])

    def accept(
        self,
        params: Mapping[str, Value],
        distributions: Mapping[str, BaseDistribution],
        *,
        keep_notes: bool,
    ) -> None:
        """Give the trial opened last its parameters.

        Args:
            params: Parameters by name.
            distributions: The distribution that each was drawn from.
            keep_notes: Whether to keep the notes that the sampler made on the trial while sampling.
                TPE, for one, notes the whole joint sample, with inactive parameters, and later
                takes it for the trial's own; a resumed sweep would not have it.
        """
        trial_id = self._trial_ids[-1]
        for name, value in params.items():
            distribution = distributions[name]
            internal = distribution.to_internal_repr(value)
            self._storage.set_trial_param(trial_id, name, internal, distribution)
        if not keep_notes:
            for key in self._storage.get_trial_system_attrs(trial_id):
                self._storage.set_trial_system_attr(trial_id, key, "")

    def tell(self, trial: int, outcome: TrialOutcome) -> None:
        """Let all later proposals see how a trial ended."""
        trial_id = self._trial_ids[trial]
        for step, value in (outcome.intermediate or {}).items():
            self._storage.set_trial_intermediate_value(trial_id, step, value)
        for key, attr in (outcome.pruner_attrs or {}).items():
            self._storage.set_trial_system_attr(trial_id, key, attr)
        if outcome.state != TrialState.FAIL:
            violation = 1.0 if outcome.diverged else -1.0
            self._storage.set_trial_system_attr(trial_id, DIVERGED_CONSTRAINT, violation)
        self.study.tell(self._imported + trial, outcome.values, state=outcome.state)
        if outcome.state != TrialState.FAIL:
            self._end(trial_id, outcome.values)

    def _end(self, trial_id: int, values: Sequence[float] | None) -> None:
        if self.most is None:
            return
        insort(self._ended, trial_id)
        self._open.discard(trial_id)
        if values is not None:
            insort(self._best, (self._sign * values[0], trial_id))
            del self._best[int(BEST_SHARE * self.most) :]

    def _shown(self) -> list[int] | None:
        """Return the ids of the trials that the next proposal sees; None: all."""
        if self.most is None or len(self._ended) <= self.most:
            return None
        # By places, so that it takes no longer the longer the sweep is.
        best = sorted(bisect_left(self._ended, trial_id) for _, trial_id in self._best)
        count, others = self.most - len(best), len(self._ended) - len(best)
        shown = {self._ended[place] for place in best} | self._open
        before = 0  # so many of the best stand before the next of the others
        for n in range(count):
            place = n * others // count
            while before < len(best) and best[before] <= place + before:
                before += 1
            shown.add(self._ended[place + before])
        return sorted(shown)

    def reopen(self, trial: int) -> None:
        """Forget how a trial ended, because it was run again; everything else stays.

        Optuna changes no ended trial, so this makes a new study with the same trials.
        """
        self._storage.shown = None
        trials = self._storage.get_all_trials(self._study_id)
        ended = trials[self._imported + trial]
        trials[self._imported + trial] = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=ended.params,
            distributions=ended.distributions,
            system_attrs=ended.system_attrs,
        )
        before, before_id = self._storage, self._study_id
        self._storage = _PartlyShown()
        directions = before.get_study_directions(before_id)
        self._study_id = self._storage.create_new_study(directions, "sampler view")
        for key, value in before.get_study_system_attrs(before_id).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        trial_ids = [self._storage.create_new_trial(self._study_id, t) for t in trials]
        self._trial_ids = trial_ids[self._imported :]
        self.study = optuna.load_study(study_name="sampler view", storage=self._storage)

    def finished(self) -> list[FrozenTrial]:
        """Return the own trials told so far; the pruner of the trial opened last may see them."""
        trials = InMemoryStorage.get_all_trials(
            self._storage, self._study_id, False, (TrialState.COMPLETE, TrialState.PRUNED)
        )
        own = trials[self._imported :]
        if self._imported:
            own = [copy.copy(trial) for trial in own]
            for trial in own:
                trial.number -= self._imported  # as the sweep counts them
        return own
