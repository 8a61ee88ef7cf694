"""Asks a pruner about a running trial without touching any storage.

A pruner sees a snapshot of the trials told before its trial was asked. So its verdicts depend
neither on timing nor on where the trial runs: it is asked there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from sweeps.experiment import Stop


@dataclass
class TrialPruner:
    """The pruner's view of one running trial; travels with it to where it runs.

    Attributes:
        pruner: Made for this trial alone: pruners keep state (Hyperband its resources), and a
            resumed sweep has none.
        metric: The per-epoch metric it watches.
        direction: `maximize` or `minimize`.
        trial: Number of the trial.
        finished: The trials told before the trial was asked.
    """

    pruner: optuna.pruners.BasePruner
    metric: str
    direction: str
    trial: int
    finished: Sequence[FrozenTrial]

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Report one epoch (from 0) and return the pruner's verdict."""
        value = metrics[self.metric]
        if not math.isfinite(value):
            return None
        storage, study, trial_id = self._snapshot
        storage.set_trial_intermediate_value(trial_id, epoch, value)
        return Stop("pruned") if self.pruner.prune(study, storage.get_trial(trial_id)) else None

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the pruner noted about this trial; later trials compete with it."""
        storage, _, trial_id = self._snapshot
        return dict(storage.get_trial_system_attrs(trial_id))

    @cached_property
    def _snapshot(self) -> tuple[InMemoryStorage, optuna.Study, int]:
        """Made where the trial runs, when its first epoch has ended."""
        storage = InMemoryStorage()
        direction = optuna.study.StudyDirection[self.direction.upper()]
        study_id = storage.create_new_study([direction], "snapshot")
        study = optuna.load_study(study_name="snapshot", storage=storage, pruner=self.pruner)
        by_number = {trial.number: trial for trial in self.finished}
        for number in range(self.trial):
            # Numbers must stay trials: brackets are drawn from them. Unfinished ones are blank.
            storage.create_new_trial(study_id, by_number.get(number, _BLANK))
        return storage, study, storage.create_new_trial(study_id)


_BLANK = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
