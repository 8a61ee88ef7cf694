"""The protocol by which a display learns of the events of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.analysis.summary import Summary
    from sweeps.experiment import TrialSpec
    from sweeps.progress.tally import Tally
    from sweeps.records.record import Record


class Progress(Protocol):
    """A display that the coordinator calls in the order of these methods; `note` at any time.

    `note`, `trial_started` and `epoch` may be called in another thread than the rest.

    No method raises because its output cannot be written: a closed pipe or a lost terminal never
    ends a sweep.
    """

    def started(self, tally: Tally) -> None:
        """A sweep begins or resumes.

        Args:
            tally: The trials that are done already. It belongs to the display from now on, which
                keeps it up to date.
        """
        ...

    def note(self, text: str) -> None:
        """There is something worth knowing, in one line, such as a baseline that was left out."""
        ...

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """An attempt begins with these sampled parameters."""
        ...

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch (from 0) has ended. This must be cheap: up to 70 calls per second and trial."""
        ...

    def trial_finished(self, record: Record) -> None:
        """An attempt has ended and its record is safe."""
        ...

    def finished(self, summary: Summary) -> None:
        """The sweep has ended, for whatever reason."""
        ...

    def close(self) -> None:
        """Give the terminal back; may be called at any time, and more than once."""
        ...


class PassedOn:
    """Passes on what happens to a display, for those that change a part of it. See `Progress`."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def note(self, text: str) -> None:
        """Pass it on."""
        self._shown.note(text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Pass it on."""
        self._shown.trial_started(spec, params)

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Pass it on."""
        self._shown.epoch(spec, epoch, metrics)

    def trial_finished(self, record: Record) -> None:
        """Pass it on."""
        self._shown.trial_finished(record)
