"""What a Dask worker tells the coordinator of its attempts, through the scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Worker

from sweeps.experiment import TrialSpec
from sweeps.provenance import cpu_features

PACE_SECONDS: Final = 1.0
"""How often an attempt's epochs are told, at most: an event each would be most of what the
scheduler of hundreds of workers does."""


@dataclass
class _Epochs:
    """What of an attempt is still to be told."""

    told_at: float
    waiting: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Teller:
    """Listens to the worker processes of one Dask worker: starts at once, epochs by the second.

    Attributes:
        worker: Whose.
        topic: Where the coordinator listens.
        clock: Seconds that never go back.
    """

    worker: Worker
    topic: str
    clock: Callable[[], float] = time.monotonic
    _epochs: dict[str, _Epochs] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, spec: TrialSpec) -> None:
        """Tell that an attempt begins."""
        with self._lock:
            self._epochs[spec.key] = _Epochs(self.clock())
        self._tell({"key": spec.key, "features": cpu_features()})

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Tell an epoch, or keep it until the next one that is a second after the last told."""
        now = self.clock()
        with self._lock:
            epochs = self._epochs[spec.key]
            epochs.waiting.append((epoch, dict(metrics)))
            if now - epochs.told_at < PACE_SECONDS:
                return
            waiting, epochs.waiting, epochs.told_at = epochs.waiting, [], now
        self._tell({"key": spec.key, "epochs": waiting})

    def ended(self, spec: TrialSpec) -> None:
        """Tell what is left; called before the attempt is handed over."""
        with self._lock:
            epochs = self._epochs.pop(spec.key, None)
        if epochs is not None and epochs.waiting:
            self._tell({"key": spec.key, "epochs": epochs.waiting})

    def _tell(self, event: Mapping[str, Any]) -> None:
        self.worker.log_event(self.topic, {**event, "worker": self.worker.address})
