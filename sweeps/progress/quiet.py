"""No progress at all; only failures are said, once, at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from sweeps.progress.stream import LossyStream
from sweeps.report.verdict import failure_line

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record, SweepInfo
    from sweeps.report.summary import Summary


class Quiet:
    """`--quiet`. See `Progress`."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)

    def started(
        self,
        info: SweepInfo,
        total: int,
        done: Sequence[Record],
        longest_seconds: float | None = None,
    ) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Say nothing."""

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Say nothing."""

    def trial_finished(self, record: Record) -> None:
        """Say nothing."""

    def finished(self, summary: Summary) -> None:
        """Say how many trials failed and why, if any did."""
        if summary.failures:
            self._out.line(failure_line(summary.failures, summary.first_error))

    def close(self) -> None:
        """Do nothing: nothing is held."""
