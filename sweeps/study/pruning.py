"""Asks a pruner about a running trial, in the process that trains it and without any database.

The pruner sees a snapshot of the trials told before its trial was proposed. So its verdicts depend
neither on timing nor on the place where the trial runs.
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
    """The pruner of one running trial, with its snapshot; it travels with the trial to the worker.

    Attributes:
        pruner: An Optuna pruner made for this trial alone: pruners keep state (Hyperband its
            resources), and a resumed sweep has none.
        metric: The per-epoch metric that it watches.
        direction: `maximize` or `minimize`.
        trial: Trial number.
        finished: The trials told before this trial was proposed.
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
        """The pruner's notes about this trial; the pruners of later trials need them."""
        storage, _, trial_id = self._snapshot
        return dict(storage.get_trial_system_attrs(trial_id))

    @cached_property
    def _snapshot(self) -> tuple[InMemoryStorage, optuna.Study, int]:
        """The snapshot as a study in memory; made in the worker, after the first epoch."""
        storage = InMemoryStorage()
        direction = optuna.study.StudyDirection[self.direction.upper()]
        study_id = storage.create_new_study([direction], "snapshot")
        study = optuna.load_study(study_name="snapshot", storage=storage, pruner=self.pruner)
        by_number = {trial.number: trial for trial in self.finished}
        for number in range(self.trial):
            # Trial numbers must stay the same: Hyperband derives the brackets from them. Trials
            # that are not finished are blank.
            storage.create_new_trial(study_id, by_number.get(number, _BLANK))
        return storage, study, storage.create_new_trial(study_id)


_BLANK = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
