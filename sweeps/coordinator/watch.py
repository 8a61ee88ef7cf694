"""What the terminal hears of running trials, and what they hear of Ctrl-C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from search_spaces.parameters import Value
from sweeps.coordinator.determinism import is_check
from sweeps.coordinator.helm import Helm
from sweeps.coordinator.signals import StopRequest
from sweeps.experiment import Stop, TrialSpec
from sweeps.progress import Progress

CANCELLED: Final = "cancelled"
"""Why a trial ended that somebody has cancelled; it counts as pruned, by hand."""


class Watch:
    """Listens to the executor, in whichever thread it speaks."""

    def __init__(self, progress: Progress, request: StopRequest, helm: Helm) -> None:
        self.progress = progress
        self.request = request
        self.helm = helm
        self._params: dict[str, Mapping[str, Value]] = {}
        self._said = False

    def expect(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Note the sampled parameters of an attempt that will start."""
        self._params[spec.key] = params

    def started(self, spec: TrialSpec) -> None:
        """Show an attempt that begins to run; a check is not shown."""
        if is_check(spec):
            return
        self.progress.trial_started(spec, self._params.pop(spec.key, {}))

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show one epoch."""
        if is_check(spec):
            return
        self.progress.epoch(spec, epoch, metrics)

    def asked_to_stop(self) -> Stop | None:
        """Return what a signal asks of every running trial; None while there was none."""
        if self.request.reason is None:
            return None
        if not self._said:
            self._said = True
            self.progress.note("stopping after this epoch; once more stops at once")
        return Stop(self.request.reason)

    def verdict_on(self, spec: TrialSpec) -> Stop | None:
        """Return what is asked of one running trial, by a signal or by `sweeps cancel`."""
        is_cancelled = spec.slot in self.helm.cancelled
        return self.asked_to_stop() or (Stop(CANCELLED) if is_cancelled else None)
