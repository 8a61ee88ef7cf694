"""One attempt, wherever it runs: trained, judged, timed, and its exception turned into a value."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from sweeps.abilities import SupportsFiles
from sweeps.clock import Stopwatch
from sweeps.errors import ScriptError
from sweeps.executors.checking import checked, text
from sweeps.executors.protocol import Judge
from sweeps.experiment import Experiment, OnEpoch, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.failure_policy import FailureReason
from sweeps.records.kept_files import collect_files, last_lines

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
        files: What it wrote into its folder, by name; see `SupportsFiles`.
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
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def with_files_of(self, folder: Path | None) -> Attempt:
        """Return it with what lies in its folder; called where it ran, by who outlives it."""
        if folder is None:
            return self
        files = collect_files(folder)
        # Whoever was killed could not say what was printed last.
        is_cut = self.result is None and self.reason in {"crash", "oom", "timeout"}
        error = f"{self.error}{last_lines(files)}" if is_cut else self.error
        return replace(self, files=files, error=error)


def run_attempt(
    experiment: Experiment,
    spec: TrialSpec,
    data: PreparedData,
    on_epoch: OnEpoch,
    judge: Judge | None,
    folder: Path | None = None,
) -> Attempt:
    """Train one attempt; only KeyboardInterrupt passes through.

    Args:
        experiment: What trains.
        spec: The attempt.
        data: What it is trained on.
        on_epoch: Told of each epoch first; its `Stop` wins.
        judge: Asked at each epoch that `on_epoch` lets pass.
        folder: Made for it, if its experiment `SupportsFiles`; what lies there is not taken yet.
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
        if folder is None:
            result = checked(experiment.train(spec, data, ask))
        else:
            folder.mkdir(parents=True)
            result = checked(cast(SupportsFiles, experiment).train_in(folder, spec, data, ask))
    except KeyboardInterrupt:
        if os.getpid() != process:
            os._exit(0)
        raise
    except ScriptError as failure:
        reason = "invalid" if failure.is_final else "error"
        error = text(failure)
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
