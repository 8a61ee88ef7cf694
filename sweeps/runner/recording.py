"""Makes the record of an attempt that has ended."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sweeps.config.policies import failure_of, is_tried_again
from sweeps.config.sweep import SweepConfig
from sweeps.executors import Attempt
from sweeps.executors.checkpoint import is_left
from sweeps.experiment import PreparedData, Stop, TrialResult
from sweeps.journal.events import Outcome, raw_json
from sweeps.records import Record, RecordStore
from sweeps.runner.control import INTERRUPTIONS
from sweeps.runner.trial_queue import QueuedTrial
from sweeps.study.proposals import distributions_to_json


class TimeSplit(defaultdict[str, float]):
    """Seconds by part: `training`, `proposals`, `records`, ...; all threads together."""

    def __init__(self) -> None:
        super().__init__(float)
        self._lock = threading.Lock()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part, also if an exception is raised there."""
        start = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self[part] += time.monotonic() - start


@dataclass(frozen=True)
class Recorder:
    """Writes the records of attempts, in the thread that `Executor.submit` calls `keep` in."""

    config: SweepConfig
    store: RecordStore
    environment: Mapping[str, Any]
    seconds: TimeSplit
    note: Callable[[str], None] = lambda text: None
    _said: set[str] = field(default_factory=set)

    def keep(self, trial: QueuedTrial, attempt: Attempt) -> Record:
        """Write the record of an attempt that has ended, and return it.

        Args:
            trial: The trial of the attempt.
            attempt: The attempt, as the executor returned it.

        Raises:
            StoreError: The record cannot be written.
        """
        metrics = [objective.metric for objective in self.config.space.objectives]
        outcome, reason, error = _judge(attempt, metrics)
        result = attempt.result
        if result is not None:  # a record's headline metrics are finite
            finite = {k: float(v) for k, v in result.metrics.items() if math.isfinite(v)}
            result = dataclasses.replace(result, metrics=finite)
        retries, failure = self.config.failures.retries, failure_of(reason, error)
        again = outcome == "failed" and is_tried_again(failure, trial.failures, retries)
        spec = attempt.spec
        record = Record.of(
            result,
            trial=spec.trial,
            attempt=spec.attempt,
            seed=spec.seed,
            config=dict(spec.config),
            outcome=outcome,
            reason=reason,
            ends_trial=not (outcome == "interrupted" or again),
            error=error,
            params=dict(trial.proposal.params),
            distributions_json=raw_json(distributions_to_json(trial.proposal)),
            objective=result.metrics[metrics[0]] if result and outcome == "complete" else None,
            data_json=raw_json(describe(self.config.data)),
            origin=trial.proposal.origin,
            environment_json=raw_json(self._environment_of(attempt)),
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
            pruner_attrs=dict(attempt.notes),
            resumed_from=attempt.resumed_from,
        )
        with self.seconds.timed("records"):
            record = self.store.write(record, attempt.files)
            if not is_left(record):
                self.store.drop_checkpoint(attempt.spec.trial)
        if attempt.unsaved is not None and attempt.unsaved not in self._said:
            self._said.add(attempt.unsaved)
            self.note(f"trial {trial.number} could not go on after a kill: {attempt.unsaved}")
        return record

    def _environment_of(self, attempt: Attempt) -> Mapping[str, Any]:
        """Return the environment that trained an attempt.

        If its processor differs from the coordinator's, which made the proposal, both are named.
        """
        trained, own = attempt.environment, self.environment["cpu"]
        if trained is None:
            return self.environment
        code = {"code": self.environment["code"]} if "code" in self.environment else {}
        trained = {**trained, **code}
        is_alike = trained["cpu"]["features"] == own["features"]
        return trained if is_alike else {**trained, "coordinator_cpu": own}


def describe(data: PreparedData) -> dict[str, Any]:
    """Return the description of data that records and sweeps keep."""
    described = {
        "name": data.name,
        "digest": data.digest,
        "split_digest": data.split_digest,
        "info": dict(data.info),
    }
    return described | ({"irreproducible": data.irreproducible} if data.irreproducible else {})


def _judge(attempt: Attempt, metrics: Sequence[str]) -> tuple[Outcome, str, str | None]:
    result = attempt.result
    if result is None:
        return "failed", attempt.reason, attempt.error
    if result.outcome == "diverged":
        return "diverged", "diverged", None
    if result.outcome == "stopped":
        return _stopped(attempt.verdict)
    return _completed(result, metrics)


def _stopped(verdict: Stop | None) -> tuple[Outcome, str, str | None]:
    """Judge a stopped attempt by the `Stop` that we sent, not by the experiment's reason."""
    if verdict is None:
        return "failed", "invalid", "the experiment says `stopped`, but nobody told it to stop"
    interrupted = verdict.reason in INTERRUPTIONS
    return ("interrupted" if interrupted else "pruned"), verdict.reason, None


def _completed(result: TrialResult, metrics: Sequence[str]) -> tuple[Outcome, str, str | None]:
    missing = [metric for metric in metrics if metric not in result.metrics]
    if missing:
        known = ", ".join(result.metrics)
        said = f"the experiment returned no metric {missing[0]!r}, only {known or 'nothing'}"
        return "failed", "invalid", said
    if not all(math.isfinite(result.metrics[metric]) for metric in metrics):
        return "diverged", "diverged", None
    return "complete", result.stop_reason, None
