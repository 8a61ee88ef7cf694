"""What running trials hear after each epoch: go on, or stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sweeps.coordinator.signals import StopRequest
from sweeps.experiment import Stop, TrialSpec
from sweeps.progress import Progress
from sweeps.study.pruning import TrialPruner


class Watch:
    """Answers `on_epoch` for every running trial of the sweep."""

    def __init__(self, progress: Progress, request: StopRequest, epoch_metric: str | None) -> None:
        self._progress = progress
        self._request = request
        self._epoch_metric = epoch_metric
        self._pruners: dict[int, TrialPruner] = {}
        self._verdicts: dict[int, Stop] = {}
        self._said = False

    def follow(self, slot: int, pruner: TrialPruner | None) -> None:
        """Ask `pruner` about a slot from now on."""
        if pruner is not None:
            self._pruners[slot] = pruner

    def verdict(self, slot: int) -> Stop | None:
        """Return what a slot's trial was told, None if it was never told to stop."""
        return self._verdicts.get(slot)

    def forget(self, slot: int) -> Mapping[str, Any]:
        """Stop following a slot and return what its pruner noted."""
        self._verdicts.pop(slot, None)
        pruner = self._pruners.pop(slot, None)
        return pruner.attrs if pruner else {}

    def __call__(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Show one epoch and answer None (go on) or a `Stop`."""
        self._progress.epoch(spec, epoch, metrics)
        stop = self._judge(spec, epoch, metrics)
        if stop is not None:
            self._verdicts.setdefault(spec.slot, stop)
        return stop

    def _judge(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        if self._request.reason is not None:
            if not self._said:
                self._said = True
                self._progress.note("stopping after this epoch; once more stops at once")
            return Stop(self._request.reason)
        pruner, metric = self._pruners.get(spec.slot), self._epoch_metric
        if pruner is None or metric is None or not math.isfinite(metrics[metric]):
            return None
        return Stop("pruned") if pruner.should_prune(epoch, metrics[metric]) else None
