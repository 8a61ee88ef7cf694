"""What MLflow shows of a sweep as a whole: its view, made of all records, and the way to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sweeps.records.confusion import confusion_of, confusion_tags
from sweeps.records.pareto import leading
from sweeps.records.record import Record, SweepInfo
from sweeps.tracking.content import as_typed, varied_params
from sweeps.tracking.front import ON_FRONT, front_keys
from sweeps.tracking.importance import by_importance
from sweeps.tracking.known import KnownSweep
from sweeps.tracking.limits import safe_key
from sweeps.tracking.pictures import KEY, plan_pictures
from sweeps.tracking.remarks import label_params
from sweeps.tracking.view import (
    Findings,
    charts_address,
    compare_address,
    view_address,
    view_tag,
)

MAX_CURVES: Final = 4
BESIDE: Final = ("best_val_accuracy", "best_epoch")
"""Metrics that people look for whatever the objective is, as far as there are any."""
COMPARED: Final = 3


def show_view(
    client: Any,
    sweep: KnownSweep,
    info: SweepInfo,
    records: Sequence[Record],
    best: Sequence[Record],
) -> None:
    """Write the view of a sweep as its records have it; see `view_of`."""
    client.set_experiment_tag(sweep.experiment_id, *view_of(info, records, best))


def view_of(info: SweepInfo, records: Sequence[Record], best: Sequence[Record]) -> tuple[str, str]:
    """Return the tag with the view of a sweep: the parameter that matters most comes first.

    Args:
        info: The sweep.
        records: All its attempts.
        best: Its best complete trials with their arrays.
    """
    complete = leading(records, info.objectives)
    varied = [varied_params(info.at(record.spec.slot), record) for record in complete]
    ordered = by_importance(varied, [_objective(record) for record in complete])
    everywhere = (varied_params(info.at(r.spec.slot), r) for r in records)
    names = dict.fromkeys([*ordered, *(name for params in everywhere for name in params)])
    shared = set(names).intersection(*varied)
    labels = (name for record in records for name in label_params(record))
    plans = plan_pictures(best)
    findings = Findings(
        curves=_curves(info, records),
        image=KEY if plans else "",
        image_step=max((step for plan in plans.values() for step in plan.epochs), default=1),
        worst=any(confusion_of(record) is not None for record in best),
        beside=[name for name in BESIDE if any(_has_metric(r, name) for r in records)],
        partial=frozenset(safe_key(name) for name in names if name not in shared),
    )
    params = [safe_key(name) for name in (*names, *dict.fromkeys(labels))]
    return view_tag(info, params, findings)


def _has_metric(record: Record, name: str) -> bool:
    return record.result is not None and name in record.result.metrics


def running_note(info: SweepInfo, experiment_id: str) -> str:
    """Return the description of a parent run while its sweep runs, in Markdown."""
    trials = view_address("", experiment_id, info.id)
    charts = charts_address("", experiment_id, info.id)
    return f"The sweep is running. [Its trials, {_order(info)}]({trials}) · [charts]({charts})"


def directions(
    info: SweepInfo, sweep: KnownSweep, best: Sequence[Record], text: str, noted: str | None
) -> str:
    """Return the description of a parent run: what people noted, where to look, what came out.

    Args:
        info: The sweep.
        sweep: Its runs, for links, which work inside the UI wherever that is.
        best: Its best complete trials with their arrays.
        text: What came out, in Markdown.
        noted: What somebody noted about the sweep.
    """
    best = [record for record in best if record.spec.key in sweep.children]
    parts = [
        as_typed(noted or ""),
        _links(info, sweep, best),
        text,
        _filters(info, best),
        _origin(info),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _links(info: SweepInfo, sweep: KnownSweep, best: Sequence[Record]) -> str:
    experiment = sweep.experiment_id
    links = {
        f"All trials, {_order(info)}": view_address("", experiment, info.id),
        "Charts and confusion matrices": charts_address("", experiment, info.id),
    }
    if info.has_front:
        front = front_keys(info, best)
        best = [record for record in best if record.spec.key in front]
    if len(best) > 1:
        ids = [sweep.children[record.spec.key][0] for record in best[:COMPARED]]
        those = f"{len(ids)} of the Pareto front" if info.has_front else f"The best {len(ids)}"
        links[f"{those} side by side"] = compare_address("", experiment, ids)
    return " · ".join(f"[{words}]({address})" for words, address in links.items())


def _filters(info: SweepInfo, best: Sequence[Record]) -> str:
    """Return searches to be copied into the field above the table of runs."""
    own = f"tags.sweep = '{info.name}' and tags.kind = 'trial'"
    metric = info.metric if info.metric.isidentifier() else f"`{info.metric}`"
    rows = {
        "complete trials": f"{own} and tags.state = 'COMPLETE'",
        "failed trials, `why` says the cause": f"{own} and tags.state = 'FAILED'",
        "pruned trials": f"{own} and tags.state = 'PRUNED'",
    }
    if info.has_front:
        rows["the Pareto front"] = f"{own} and tags.{ON_FRONT} = 'true'"
    elif best:
        tenth = best[-1]
        sign = ">=" if info.direction == "maximize" else "<="
        rows[f"the best {len(best)}"] = f"{own} and metrics.{metric} {sign} {_objective(tenth)!r}"
    mistake = next((words for record in best[:1] for words in _mistakes(record)), None)
    if mistake:
        whose = f"trial {best[0].spec.slot}" if info.has_front else "the best"
        rows[f"trials with the worst mistake of {whose}"] = (
            f"{own} and tags.confusion_1 LIKE '{mistake}%'"
        )
    lines = [f"| {words} | `{search}` |" for words, search in rows.items()]
    return "\n".join(["| to see | search runs for |", "| --- | --- |", *lines])


def _order(info: SweepInfo) -> str:
    return f"by {info.metric}" if info.has_front else "best first"


def _mistakes(record: Record) -> Iterable[str]:
    words = confusion_tags(record).get("confusion_1", "").rpartition(":")[0]
    if words and not set("'%_|`") & set(words):
        yield f"{words}:"


def _origin(info: SweepInfo) -> str:
    began = datetime.fromtimestamp(info.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sampler, pruner = (_name(info.fingerprint.get(key)) for key in ("sampler", "pruner"))
    seed, data = info.fingerprint.get("seed", ""), info.data
    digest = str(data.get("digest") or "")[:16]
    return (
        f"Begun {began}: experiment `{info.experiment}`, sampler {sampler}, pruner {pruner}, "
        f"seed {seed}, data {data.get('name', '')} (`{digest}`)."
    )


def _name(option: Any) -> str:
    return str(option.get("name", "")) if isinstance(option, Mapping) else str(option or "none")


def _objective(record: Record) -> float:
    assert record.objective is not None  # of those that are ranked
    return record.objective


def _curves(info: SweepInfo, records: Sequence[Record]) -> list[str]:
    """Return per-epoch metrics worth a chart: what pruners watch, then those of validation."""
    found = dict.fromkeys(
        name for record in records if record.result for name in record.result.history
    )
    names = sorted(found, key=lambda n: (n != info.epoch_metric, not n.startswith("val_")))
    return [safe_key(name) for name in names[:MAX_CURVES]]
