"""From an ended attempt to its record."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

from sweeps.coordinator.ledger import Slot
from sweeps.executors import Attempt
from sweeps.experiment import PreparedData, TrialResult
from sweeps.records import Outcome, Record
from sweeps.study.storage import distributions_to_json

STOPPED_BY_USER: Final = frozenset({"interrupt", "terminate"})
"""Reasons of a `Stop` after which the slot is run again on resume."""


def make_record(
    attempt: Attempt,
    slot: Slot,
    *,
    metric: str,
    data: PreparedData,
    environment: Mapping[str, Any],
    pruner_attrs: Mapping[str, Any],
) -> Record:
    """Say how an attempt ended, in the words of a record."""
    outcome, reason, error = _judge(attempt, metric)
    result = _finite(attempt.result)
    return Record(
        spec=attempt.spec,
        outcome=outcome,
        reason=reason,
        error=error,
        params=slot.proposal.params,
        distributions=distributions_to_json(slot.proposal),
        objective=result.metrics[metric] if result and outcome == "complete" else None,
        result=result,
        weights_sha256=None,
        data=describe(data),
        origin=slot.proposal.origin,
        environment=environment,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        pruner_attrs=pruner_attrs,
    )


def describe(data: PreparedData) -> dict[str, Any]:
    """Return what records and sweeps keep of the data they were trained on."""
    return {
        "name": data.name,
        "digest": data.digest,
        "split_digest": data.split_digest,
        "info": dict(data.info),
    }


def _judge(attempt: Attempt, metric: str) -> tuple[Outcome, str, str | None]:
    result = attempt.result
    if result is None:
        return "failed", "error", attempt.error
    if result.outcome == "diverged":
        return "diverged", "diverged", None
    if result.outcome == "stopped":
        interrupted = result.stop_reason in STOPPED_BY_USER
        return ("interrupted" if interrupted else "pruned"), result.stop_reason, None
    value = result.metrics.get(metric)
    if value is None:
        known = ", ".join(result.metrics)
        return "failed", "error", f"the experiment returned no metric {metric!r}, only {known}"
    if not math.isfinite(value):
        return "diverged", "diverged", None
    return "complete", result.stop_reason, None


def _finite(result: TrialResult | None) -> TrialResult | None:
    """Drop metrics that are no numbers: a record's headline metrics are finite."""
    if result is None:
        return None
    metrics = {name: float(v) for name, v in result.metrics.items() if math.isfinite(v)}
    return dataclasses.replace(result, metrics=metrics)
