"""One attempt, wherever it runs: trained, judged, timed, and its exception turned into a value."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sweeps.clock import Stopwatch
from sweeps.executors.checking import checked, text
from sweeps.executors.protocol import Judge
from sweeps.experiment import Experiment, OnEpoch, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.failure_policy import FailureReason

_TRACEBACK_CHARACTERS: Final = 4000
_MISTAKES: Final = frozenset({
    AttributeError, ImportError, IndexError, IndentationError, KeyError, ModuleNotFoundError,
    NameError, NotImplementedError, SyntaxError, TabError, TypeError, UnboundLocalError, ValueError,
})  # fmt: skip
"""What the same code raises again with the same parameters, data and seed. These types themselves:
a kind of ValueError may tell of half a file, or of an answer that was cut off."""


@dataclass(frozen=True)
class Attempt:
    """How an attempt ended: a result, or what was raised.

    Attributes:
        error: What was raised, or how its process ended; None with a result.
        started_at: Milliseconds since the epoch (UTC).
        finished_at: Milliseconds since the epoch (UTC), never before `started_at`.
        reason: Why there is no result: `error`, `invalid` or `oom` (it raised), `crash` or `oom`
            (its process died), `timeout` (it took too long); meaningless with a result.
        verdict: What it was told, None if it was never told to stop.
        notes: What its judge noted.
        environment: Versions and machine of who trained it; None for the coordinator's own.
    """

    spec: TrialSpec
    result: TrialResult | None
    error: str | None
    started_at: int
    finished_at: int
    reason: FailureReason = "error"
    verdict: Stop | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] | None = None


def run_attempt(
    experiment: Experiment,
    spec: TrialSpec,
    data: PreparedData,
    on_epoch: OnEpoch,
    judge: Judge | None,
) -> Attempt:
    """Train one attempt; only KeyboardInterrupt passes through.

    Args:
        experiment: What trains.
        spec: The attempt.
        data: What it is trained on.
        on_epoch: Told of each epoch first; its `Stop` wins.
        judge: Asked at each epoch that `on_epoch` lets pass.
    """
    watch = Stopwatch()
    result, error, verdicts = None, None, list[Stop]()
    reason: FailureReason = "error"

    def ask(epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        stop = on_epoch(epoch, metrics) or (judge(epoch, metrics) if judge else None)
        if stop is not None:
            verdicts.append(stop)
        return stop

    process = os.getpid()
    try:
        result = checked(experiment.train(spec, data, ask))
    except KeyboardInterrupt:
        if os.getpid() != process:
            os._exit(0)
        raise
    except BaseException as failure:  # `sys.exit` in a training ends that training
        reason = reason_of(failure)
        tail = "".join(traceback.format_exception(failure))[-_TRACEBACK_CHARACTERS:]
        said = text(failure, _TRACEBACK_CHARACTERS)
        error = text(f"{type(failure).__name__}: {said}\n\n{tail}")
    if os.getpid() != process:  # a copy that the training forked, and that came back from it
        os._exit(0)
    finished_at = watch.now_ms()
    return Attempt(
        spec,
        result,
        error,
        watch.started_at,
        finished_at,
        reason,
        verdict=verdicts[0] if verdicts else None,
        notes=judge.notes if judge else {},
    )


def reason_of(failure: BaseException) -> FailureReason:
    """Return why an attempt failed that raised: a mistake only if nothing else was behind it."""
    if isinstance(failure, MemoryError):
        return "oom"
    step: BaseException | None = failure
    while step is not None:
        if type(step) not in _MISTAKES:
            return "error"
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "invalid"
