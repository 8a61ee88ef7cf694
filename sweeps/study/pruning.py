"""Asks a pruner about a running trial without touching any storage.

A pruner sees a snapshot of the slots told before its trial was asked, so that its verdicts do not
depend on timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial


class TrialPruner:
    """The pruner's view of one running trial."""

    def __init__(
        self,
        pruner: optuna.pruners.BasePruner,
        direction: str,
        slot: int,
        finished: Iterable[FrozenTrial],
    ) -> None:
        self._storage = InMemoryStorage()
        study_id = self._storage.create_new_study(
            [optuna.study.StudyDirection[direction.upper()]], "snapshot"
        )
        self._study = optuna.load_study(study_name="snapshot", storage=self._storage, pruner=pruner)
        by_number = {trial.number: trial for trial in finished}
        for number in range(slot):
            # Numbers must stay slots: brackets are drawn from them. Unfinished ones are blank.
            template = by_number.get(number, _BLANK)
            self._storage.create_new_trial(study_id, template)
        self._pruner = pruner
        self._trial_id = self._storage.create_new_trial(study_id)

    def should_prune(self, epoch: int, value: float) -> bool:
        """Report one epoch's value and return the pruner's verdict."""
        self._storage.set_trial_intermediate_value(self._trial_id, epoch, value)
        return bool(self._pruner.prune(self._study, self._storage.get_trial(self._trial_id)))

    @property
    def attrs(self) -> Mapping[str, Any]:
        """What the pruner noted about this trial; later trials compete with it."""
        return dict(self._storage.get_trial_system_attrs(self._trial_id))


_BLANK = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
