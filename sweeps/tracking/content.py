"""What a run says, made from a record alone: names, tags, parameters, metrics, status, times.

Everything is a function of sweep and record, times included, so that projecting a record twice
writes the same run. No MLflow here.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from search_spaces.objectives import in_words
from sweeps.records.confusion import confusion_tags
from sweeps.records.record import Outcome, Record, SweepInfo
from sweeps.tracking.limits import (
    MAX_PARAM_CHARACTERS,
    MAX_TAG_CHARACTERS,
    fit,
    is_finite,
    safe_key,
)
from sweeps.tracking.remarks import label_params, why

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

_ENDING: Final[Mapping[Outcome, tuple[Status, str]]] = {
    "complete": ("FINISHED", "COMPLETE"),
    "pruned": ("FINISHED", "PRUNED"),
    "diverged": ("FAILED", "FAILED"),
    "failed": ("FAILED", "FAILED"),
    "interrupted": ("KILLED", "INTERRUPTED"),
}
_ERROR_CHARACTERS: Final = 500


NOTE: Final = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run."""


class Point(NamedTuple):
    """One value of a metric; the timestamp in milliseconds since the epoch (UTC)."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class SweepNote:
    """What a start of a sweep adds to the parent run beside what is fixed in `SweepInfo`.

    Attributes:
        description: Markdown shown on the parent's page while the sweep runs.
        tags: More tags of the parent, such as how many trials were asked for.
        is_running: Whether a coordinator works on the sweep; the parent run is RUNNING then.
    """

    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    is_running: bool = True


@dataclass(frozen=True)
class RunContent:
    """One MLflow run, ready to be written."""

    name: str
    status: Status
    start_time: int
    end_time: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Point, ...]


def as_typed(note: str) -> str:
    """Return what somebody noted as Markdown that loads nothing: no HTML in it, and no pictures.

    A sweep may have been imported, and its notes be anybody's.
    """
    return html.escape(note, quote=False).replace("![", "!\\[")


def experiment_name(info: SweepInfo) -> str:
    """Return the MLflow experiment's name: runs in it were trained on the same data."""
    parts = [info.experiment_name, info.data.get("name", ""), _digest(info.data)[:8]]
    return "-".join(safe_key(str(part)).replace("/", "_") for part in parts if part)


def sweep_tags(info: SweepInfo, note: SweepNote) -> dict[str, str]:
    """Return the tags of a sweep's parent run."""
    tags = _shared_tags(info, info.code)
    tags |= {
        "kind": "sweep",
        "metric": info.metric,
        "direction": info.direction,
        "objectives": in_words(info.objectives) if info.has_front else "",
        "baselines": ", ".join(info.baselines),
        "fingerprint": _json(info.fingerprint),
    }
    for name in ("seed", "sampler", "pruner", "ask_ahead", "order"):
        tags[name] = _option_text(info.fingerprint.get(name, ""))
    if info.generation > 1:
        tags["generations"] = str(info.generation)
        tags["first_slots"] = ", ".join(str(g.first_slot) for g in info.generations)
    tags |= note.tags
    if note.description:
        tags[NOTE] = note.description
    return _fitted_tags(tags, [])


def best_tags(best: Record | None) -> dict[str, str]:
    """Return what the parent run says of the best attempt."""
    return {"best_trial": best.spec.key, "best_value": str(best.objective)} if best else {}


def trial_run(info: SweepInfo, record: Record, parent_run_id: str) -> RunContent:
    """Return the child run of one attempt; epochs are steps and count from 1."""
    info = info.at(record.spec.slot)  # an extension changes nothing about earlier runs
    status, state = _ENDING[record.outcome]
    varied = varied_params(info, record)
    texts = {**label_params(record), **{k: _text(v) for k, v in varied.items()}}
    params, cut = fit(texts, MAX_PARAM_CHARACTERS)
    tags = {
        **_shared_tags(info, record.environment),
        "kind": "trial",
        "trial": record.spec.key,
        "slot": str(record.spec.slot),
        "attempt": str(record.spec.attempt),
        "generation": str(info.generation) if info.generation > 1 else "",
        "state": state,
        "reason": record.reason,
        "why": why(record),
        **confusion_tags(record),
        "seed": str(record.spec.seed),
        "origin": record.origin,
        "engine": record.result.engine if record.result else "",
        "constants": _json({k: v for k, v in record.spec.config.items() if k not in varied}),
        "versions": _json(record.environment.get("packages", {})),
        "error": (record.error or "")[:_ERROR_CHARACTERS],
        "diverged_epoch": _diverged_epoch(record),
        "retried": "true" if record.outcome == "failed" and not record.ends_slot else "",
        "mlflow.parentRunId": parent_run_id,
    }
    return RunContent(
        name=run_name(record),
        status=status,
        start_time=record.started_at,
        end_time=record.finished_at,
        tags=_fitted_tags(tags, [f"param {key}" for key in cut]),
        params=params,
        metrics=tuple(_points(record)),
    )


def run_name(record: Record) -> str:
    """Return a name that sorts: `0007`, with attempt (from the second) and baseline added."""
    spec = record.spec
    key = f"{spec.slot:04d}" if spec.attempt == 1 else spec.key
    kind, _, name = record.origin.partition(" ")
    return f"{key} {name}" if kind == "baseline" and name else key


def varied_params(info: SweepInfo, record: Record) -> dict[str, Any]:
    """Return what a reader compares: sampled parameters and what the space expands them to.

    Constants of the space are left out: a hundred equal columns hide the eight that differ.
    """
    fixed = info.space.get("fixed")
    config = record.spec.config
    expanded = {} if fixed is None else {k: v for k, v in config.items() if k not in fixed}
    return {**expanded, **record.params}


def headline_points(record: Record, step: int = 0) -> Iterator[Point]:
    """Yield the finite headline metrics of a record, timed at its end."""
    for key, value in (record.result.metrics if record.result else {}).items():
        if is_finite(value):
            yield Point(safe_key(key), float(value), record.finished_at, step)


def _points(record: Record) -> Iterator[Point]:
    history = record.result.history if record.result else {}
    duration = record.finished_at - record.started_at
    for key, values in history.items():
        for epoch, value in enumerate(values):
            if is_finite(value):
                # The record has no time per epoch; evenly spread, they never change.
                timestamp = record.started_at + duration * (epoch + 1) // len(values)
                yield Point(safe_key(key), float(value), timestamp, epoch + 1)
    yield from headline_points(record)


def _shared_tags(info: SweepInfo, code: Mapping[str, Any]) -> dict[str, str]:
    commit = code.get("commit") or info.code.get("commit") or ""
    return {
        "sweep": info.name,
        "sweep_id": info.id,
        "experiment": info.experiment,
        "data": str(info.data.get("name", "")),
        "data_digest": _digest(info.data),
        "split_digest": _text(info.data.get("split_digest", info.fingerprint.get("split", ""))),
        "space_digest": _text(info.fingerprint.get("space", "")),
        "git_commit": commit,
        "mlflow.source.name": f"sweeps run {info.name}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
    }


def _fitted_tags(tags: Mapping[str, str], cut: list[str]) -> dict[str, str]:
    """Leave out empty tags, cut long ones, and say in a tag what was cut."""
    fitted, cut_tags = fit({k: v for k, v in tags.items() if v}, MAX_TAG_CHARACTERS)
    cut = [*cut, *(f"tag {key}" for key in cut_tags)]
    return fitted | ({"truncated": ", ".join(cut)[:MAX_TAG_CHARACTERS]} if cut else {})


def _diverged_epoch(record: Record) -> str:
    if record.outcome != "diverged" or record.result is None:
        return ""
    return str(max((len(v) for v in record.result.history.values()), default=1))


def _option_text(value: Any) -> str:
    """Return `tpe` for a sampler or pruner without options; they are stored as mappings."""
    is_choice = isinstance(value, Mapping) and "name" in value and not value.get("options")
    return str(value["name"]) if is_choice else _text(value)


def _digest(data: Mapping[str, Any]) -> str:
    return str(data.get("digest", ""))


def _text(value: Any) -> str:
    return _json(value) if isinstance(value, Mapping | list | tuple) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
