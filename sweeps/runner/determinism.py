"""Checks that a trial's seed decides its result: trains the first complete trial a second time.

The second training is no attempt: it has no record and no run in MLflow, and no proposal depends on
it. It runs on a worker that would be idle, or after the last trial.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from sweeps.errors import StoreError
from sweeps.executors import Attempt, Executor
from sweeps.experiment import TrialSpec
from sweeps.records import Checked, Record, RecordError, RecordStore
from sweeps.runner.replaying import Difference, compare

CHECK: Final = 0
"""Attempt number that the experiment sees in a check; the attempts at trials count from 1."""
_SHOWN: Final = 3


def is_check(spec: TrialSpec) -> bool:
    """Whether a training is such a check; checks are not shown."""
    return spec.attempt == CHECK


class DeterminismCheck:
    """The check of one sweep: made once, stored beside its records.

    Attributes:
        future: The second training; None before it begins and after it was compared.
    """

    def __init__(
        self, below_seconds: float, store: RecordStore, note: Callable[[str], None]
    ) -> None:
        """Find out whether the check is still to be made.

        Args:
            below_seconds: The trial must have taken less than this; 0 switches the check off.
            store: The records of the sweep.
            note: Is called with a line if the second training differs or fails.
        """
        self.future: Future[Attempt] | None = None
        self._below_seconds, self._store, self._note = below_seconds, store, note
        self._is_wanted = below_seconds > 0 and store.checked() is None
        self._trial: Record | None = None

    def consider(self, record: Record) -> None:
        """Choose the first complete trial, unless it took too long: then there is no check."""
        if self._is_wanted and record.outcome == "complete":
            self._is_wanted = False
            if record.seconds < self._below_seconds:
                self._trial = dataclasses.replace(record, result=None)  # its arrays are on disk

    def begin(self, executor: Executor) -> None:
        """Begin the second training, if it is due."""
        if self._trial is not None and self.future is None:
            self.future = executor.submit(dataclasses.replace(self._trial.spec, attempt=CHECK))

    def conclude(self) -> None:
        """Compare the second training with the first, once it has ended, and record the outcome.

        If the second training has no result, or cannot be compared, a line says so; the sweep goes
        on.
        """
        if self.future is None or not self.future.done() or self._trial is None:
            return
        future, trial = self.future, self._trial
        self.future = self._trial = None
        if future.cancelled() or future.exception() is not None:
            return  # the executor has gone
        attempt, what = future.result(), f"trial {trial.spec.trial}"
        if attempt.result is None:
            why = (attempt.error or attempt.reason).strip().partition("\n")[0]
            self._note(f"{what} could not be trained a second time, to compare it: {why}")
            return
        try:
            found = compare(self._store.read(trial.spec.key), attempt.result)
            checked = Checked(trial.spec.trial, _in_words(found))
            if checked.differs:
                self._note(f"reproducible=false: {checked.differs}")
            self._store.note_checked(checked)
        except (RecordError, StoreError) as error:
            self._note(f"{what} was trained a second time, which cannot be recorded: {error}")


def _in_words(differences: Sequence[Difference]) -> str | None:
    """Return the differences in one line; None if there are none."""
    if not differences:
        return None
    numbers = [one for one in differences if not math.isnan(one.size)]
    others = [one.what for one in differences if math.isnan(one.size)]
    parts = []
    if numbers:
        largest = max(numbers, key=lambda one: one.size)
        names = list(dict.fromkeys(one.what.partition(", epoch")[0] for one in numbers))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        count = "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
        parts.append(
            f"{count} ({', '.join(names[:_SHOWN])}{more}; most, by {largest.size:.3g}, "
            f"{largest.what}: {largest.recorded!r} and {largest.now!r})"
        )
    return "; ".join([*parts, *(["; ".join(others)] if others else [])])
