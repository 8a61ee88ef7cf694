"""One attempt, wherever it runs: trained, timed, and its exception turned into a value."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sweeps.executors.checking import checked
from sweeps.experiment import Experiment, PreparedData, Stop, TrialResult, TrialSpec

OnTrialEpoch = Callable[[TrialSpec, int, Mapping[str, float]], Stop | None]
"""`OnEpoch` with the attempt it belongs to, for executors that run several."""

_TRACEBACK_CHARACTERS: Final = 4000


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: a result, or what was raised.

    Attributes:
        started_at: Milliseconds since the epoch (UTC).
        finished_at: Milliseconds since the epoch (UTC), never before `started_at`.
    """

    spec: TrialSpec
    result: TrialResult | None
    error: str | None
    started_at: int
    finished_at: int


def run_attempt(
    experiment: Experiment, spec: TrialSpec, data: PreparedData, on_epoch: OnTrialEpoch
) -> Attempt:
    """Train one attempt; only KeyboardInterrupt and SystemExit pass through."""
    started_at, clock = time.time_ns() // 1_000_000, time.monotonic()
    result, error = None, None
    try:
        result = checked(experiment.train(spec, data, lambda epoch, m: on_epoch(spec, epoch, m)))
    except Exception as failure:
        tail = "".join(traceback.format_exception(failure))[-_TRACEBACK_CHARACTERS:]
        error = f"{type(failure).__name__}: {failure}\n\n{tail}"
    # Durations by the monotonic clock, so that a clock that jumps cannot make them negative.
    finished_at = started_at + round((time.monotonic() - clock) * 1000)
    return Attempt(spec, result, error, started_at, finished_at)
