"""Makes the record of an attempt that has ended."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sweeps.config.policies import failure_of, is_tried_again
from sweeps.config.sweep import SweepConfig
from sweeps.executors import Attempt
from sweeps.experiment import PreparedData
from sweeps.journal.events import Outcome, Record, raw_json
from sweeps.runner.control import INTERRUPTIONS
from sweeps.runner.trial_queue import QueuedTrial


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


def make_record(
    config: SweepConfig, environment: dict[str, Any], trial: QueuedTrial, attempt: Attempt
) -> Record:
    """Return the record of an attempt at a trial, as the executor returned it.

    The environment is that of the coordinator, which made the proposal. If another processor has
    trained the attempt, the record names both.
    """
    metrics = [objective.metric for objective in config.space.objectives]
    outcome, reason, error = _judge(attempt, metrics)
    result = attempt.result
    if result is not None:  # a record's headline metrics are finite
        finite = {k: float(v) for k, v in result.metrics.items() if math.isfinite(v)}
        result = dataclasses.replace(result, metrics=finite)
    failure = failure_of(reason, error)
    again = outcome == "failed" and is_tried_again(failure, trial.failures, config.failures.retries)
    if attempt.environment is not None:
        own, code = environment["cpu"], {k: v for k, v in environment.items() if k == "code"}
        environment = {**attempt.environment, **code}
        if environment["cpu"]["features"] != own["features"]:
            environment["coordinator_cpu"] = own
    spec, proposal = attempt.spec, trial.proposal
    params, distributions = dict(proposal.params), proposal.stored_distributions()
    configuration = dict(spec.config)
    if attempt.asked is not None:
        params = configuration = {name: value for name, (value, _) in attempt.asked.items()}
        distributions = {name: stored for name, (_, stored) in attempt.asked.items()}
    return Record.of(
        result,
        trial=spec.trial,
        attempt=spec.attempt,
        seed=spec.seed,
        config=configuration,
        outcome=outcome,
        reason=reason,
        ends_trial=not (outcome == "interrupted" or again),
        error=error,
        params=params,
        distributions_json=raw_json(distributions),
        objective=result.metrics[metrics[0]] if result and outcome == "complete" else None,
        data_json=raw_json(describe(config.data)),
        origin=proposal.origin,
        environment_json=raw_json(environment),
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        pruner_attrs=dict(attempt.notes),
        resumed_from=attempt.resumed_from,
    )


def describe(data: PreparedData) -> dict[str, Any]:
    """Return the description of data that records and sweeps keep."""
    facts = {"name": data.name, "digest": data.digest, "split_digest": data.split_digest}
    described: dict[str, Any] = {**facts, "info": dict(data.info)}
    if data.irreproducible:
        described["irreproducible"] = data.irreproducible
    return described


def _judge(attempt: Attempt, metrics: Sequence[str]) -> tuple[Outcome, str, str | None]:
    """Return outcome, reason and error; of a stopped attempt by the `Stop` that we sent."""
    result, verdict = attempt.result, attempt.verdict
    if result is None:
        return "failed", attempt.reason, attempt.error
    if result.outcome == "stopped":
        reason = verdict.reason if verdict is not None else result.stop_reason
        if verdict is None and reason != "pruned":
            return "failed", "invalid", "the experiment says `stopped`, but nobody told it to stop"
        return "interrupted" if reason in INTERRUPTIONS else "pruned", reason, None
    missing = [metric for metric in metrics if metric not in result.metrics]
    if missing and result.outcome == "complete":
        known = ", ".join(result.metrics)
        said = f"the experiment returned no metric {missing[0]!r}, only {known or 'nothing'}"
        return "failed", "invalid", said
    is_finite = all(math.isfinite(result.metrics.get(metric, math.nan)) for metric in metrics)
    if result.outcome == "diverged" or not is_finite:
        return "diverged", "diverged", None
    return "complete", result.stop_reason, None
