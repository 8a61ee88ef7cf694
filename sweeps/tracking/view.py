"""The view of a sweep in MLflow: its columns, searches and charts, and the way to it.

Left alone, the UI shows no metric and no parameter at all, and the children folded away under
their parent. It reads a view from an experiment tag whose format is its own and undocumented
(MLflow 3.17; a browser test pins it); a UI that does not know it shows its plain page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from sweeps.records.confusion import confusion_of, confusion_tags
from sweeps.records.ranking import leading
from sweeps.records.record import Record, SweepInfo
from sweeps.tracking.content import LABEL_SUFFIX, as_typed, label_params, safe_key, varied_params
from sweeps.tracking.front import ON_FRONT, front_keys
from sweeps.tracking.pictures import KEY, plan_pictures
from sweeps.tracking.runs import KnownSweep

# Which parameters the objective went along with: the order of columns and of scatter charts.


BINS: Final = 4
FEWEST_TRIALS: Final = 4


def by_importance(trials: Sequence[Mapping[str, object]], objectives: Sequence[float]) -> list[str]:
    """Return the parameters that vary, the one that tells most about the objective first.

    A parameter's values are grouped (numbers by quartile); its weight is the share of the variance
    of the objective's ranks that lies between the groups, corrected for their number
    (epsilon squared, Kelley 1935). Ranks, since a single collapsed trial outweighs all others.

    Args:
        trials: Parameters of each complete trial, in the order of the space.
        objectives: As many values.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial))
    varied = [n for n in names if len({repr(trial.get(n)) for trial in trials}) > 1]
    if len(trials) < FEWEST_TRIALS:
        return varied
    ranks = np.argsort(np.argsort(np.asarray(objectives), kind="stable"), kind="stable")
    weights = {name: _weight(_groups([t.get(name) for t in trials]), ranks) for name in varied}
    return sorted(varied, key=lambda name: -weights[name])  # equal ones in the order of the space


def _groups(values: Sequence[object]) -> list[object]:
    """Return the group of each value; trials without the parameter are a group of their own."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < sum(value is not None for value in values) or len(set(numbers)) <= BINS:
        return [repr(value) for value in values]
    edges = np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1])
    return [
        None if value is None else int(np.searchsorted(edges, float(str(value))))
        for value in values
    ]


def _weight(groups: Sequence[object], ranks: NDArray[np.int64]) -> float:
    members: dict[object, list[int]] = {}
    for group, rank in zip(groups, ranks.tolist(), strict=True):
        members.setdefault(group, []).append(rank)
    free = len(ranks) - len(members)
    if free <= 0:
        return 0.0
    total = float(((ranks - ranks.mean()) ** 2).sum())
    within = sum(float(np.var(own)) * len(own) for own in members.values())
    return round(1 - within / free * (len(ranks) - 1) / total, 9)


_TAG_PREFIX: Final = "mlflow.sharedViewState."
MAX_CHARACTERS: Final = 5000
"""Of the tag: MLflow 3.17 takes 20000, servers of earlier versions 5000."""
_MAX_PARAMS: Final = (20, 15, 10, 6, 3)
"""Columns; more than fit a screen help nobody. Fewer where names are long."""
_MAX_AXES: Final = 8
_MAX_SCATTERS: Final = 4
_FRONT = "s0"
_PARAMETERS, _SCATTERS, _PICTURES, _CURVES, _REST = "s1", "s2", "s3", "s4", "s5"
_LAYOUT: Final = {
    _FRONT: ("Pareto front", 1, 420),
    _PARAMETERS: ("{metric} by parameter", 1, 400),
    _SCATTERS: ("{metric} against each parameter", 4, 320),
    _PICTURES: ("Confusion matrices of the best runs", 1, 620),
    _CURVES: ("Learning curves", 2, 380),
    _REST: ("Model metrics", 3, 360),
}
"""Name, cards in a row and their height in pixels. The UI puts charts of all other metrics under
the last one, which is folded."""


@dataclass(frozen=True)
class Findings:
    """What is known of a sweep's trials once there are some.

    Attributes:
        curves: Per-epoch metrics worth a chart, the first first.
        image: Key of the pictures, empty without any.
        image_step: Where the slider stands at first.
        worst: Whether runs name their worst mistakes.
        beside: Metrics that have a column beside the objective's.
        partial: Parameters that some complete trials lack: parallel coordinates would leave out
            those trials.
    """

    curves: Sequence[str] = ()
    image: str = ""
    image_step: int = 1
    worst: bool = False
    beside: Sequence[str] = ("best_epoch",)
    partial: frozenset[str] = frozenset()


def view_tag(
    info: SweepInfo, params: Iterable[str], findings: Findings | None = None
) -> tuple[str, str]:
    """Return name and value of the experiment tag with the view of a sweep.

    Args:
        info: The sweep; its objective is the first column and the order.
        params: The parameters that trials of the sweep vary, the most important first.
        findings: What its trials have shown; None while it runs.
    """
    names = list(params)
    curves = (info.epoch_metric,) if info.epoch_metric else ()
    findings = findings or Findings(curves=curves)
    text = ""
    for limit in _MAX_PARAMS:
        state = _state(info, names, findings, limit)
        text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
        if len(text) < MAX_CHARACTERS:
            break
    return _TAG_PREFIX + info.id, text


def view_address(base: str, experiment_id: str | None, sweep_id: str | None) -> str:
    """Return the address of a sweep's view; without a sweep, that of the experiments.

    Args:
        base: Address of the UI, such as `http://127.0.0.1:5000`; empty for a link inside it.
        experiment_id: MLflow experiment, None for the list of them.
        sweep_id: Sweep whose view to open, None for the plain table.
    """
    place = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    view = f"&viewStateShareKey={sweep_id}" if experiment_id and sweep_id else ""
    # Without the first parameter MLflow opens its pages for language models.
    root = f"{base.rstrip('/')}/" if base else ""
    return f"{root}#/{place}?workflowType=machine_learning{view}"


def charts_address(base: str, experiment_id: str, sweep_id: str) -> str:
    """Return the address at which the same view opens with its charts."""
    return f"{view_address(base, experiment_id, sweep_id)}&compareRunsMode=CHART"


def compare_address(base: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the address at which some runs stand side by side."""
    runs, experiments = (
        quote(json.dumps(ids, separators=(",", ":"))) for ids in (list(run_ids), [experiment_id])
    )
    root = f"{base.rstrip('/')}/" if base else ""
    return (
        f"{root}#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"
    )


def _state(info: SweepInfo, names: list[str], findings: Findings, limit: int) -> dict[str, Any]:
    objective, *others = (f"metrics.`{safe_key(one.metric)}`" for one in info.objectives)
    varied = [name for name in names if not _is_label(name, names)][:limit]
    others += [f"tags.`{ON_FRONT}`"] if info.has_front else []
    beside = (f"metrics.`{name}`" for name in findings.beside)
    others += [name for name in beside if name not in {objective, *others}]
    tags = ["why", *(["confusion_1"] if findings.worst else []), "state"]
    columns = [
        objective,
        *others,
        *(f"params.`{name}`" for name in varied),
        *(f"tags.`{name}`" for name in tags),
        "attributes.`Dataset`",
    ]
    charts = _charts(info, varied, names, findings)
    return {
        "selectedColumns": columns,
        # The names of the first two are the grid's own; what is left out follows after the rest.
        "columnOrder": ["0", "attributes.`Run Name`", *columns, "runDateAndNestInfo", "duration"],
        "columnWidths": {objective: 160, "tags.`why`": 180, "attributes.`Dataset`": 220},
        "orderByKey": objective,
        "orderByAsc": info.direction == "minimize",
        "searchFilter": f"tags.sweep_id = '{info.id}' and tags.kind = 'trial'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": _sections(info, {card["metricSectionId"] for card in charts}),
        "compareRunCharts": charts,
    }


def _is_label(name: str, names: Sequence[str]) -> bool:
    return name.endswith(LABEL_SUFFIX) and name.removesuffix(LABEL_SUFFIX) in names


def _sections(info: SweepInfo, filled: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "uuid": uuid,
            "name": name.format(metric=info.metric),
            "display": uuid != _REST,
            "isReordered": True,
            "deleted": False,
            "isGenerated": False,
            "columns": columns,
            "cardHeight": height,
        }
        for uuid, (name, columns, height) in _LAYOUT.items()
        if uuid in filled or uuid == _REST
    ]


def _charts(
    info: SweepInfo, varied: Sequence[str], names: Sequence[str], findings: Findings
) -> list[dict[str, Any]]:
    axes = [f"{n}{LABEL_SUFFIX}" if f"{n}{LABEL_SUFFIX}" in names else n for n in varied]
    metric = safe_key(info.metric)
    charts: list[dict[str, Any]] = []

    def add(section: str, kind: str, **card: Any) -> None:
        common = {"type": kind, "uuid": f"c{len(charts)}", "metricSectionId": section}
        charts.append({**common, "deleted": False, "isGenerated": False, **card})

    for one in info.objectives[1:]:
        x = {"type": "METRIC", "key": safe_key(one.metric)}
        add(_FRONT, "SCATTER", xaxis=x, yaxis={"type": "METRIC", "key": metric})
    whole = [axis for axis, name in zip(axes, varied, strict=True) if name not in findings.partial]
    if whole:
        metrics = [safe_key(one.metric) for one in info.objectives]
        selected = {"selectedParams": whole[:_MAX_AXES], "selectedMetrics": metrics[::-1]}
        add(_PARAMETERS, "PARALLEL", **selected, showAllRuns=True)
    for name in axes[:_MAX_SCATTERS]:
        x, y = {"type": "PARAM", "key": name}, {"type": "METRIC", "key": metric}
        add(_SCATTERS, "SCATTER", xaxis=x, yaxis=y)
    if findings.image:
        add(
            _PICTURES,
            "IMAGE",
            imageKeys=[findings.image],
            step=findings.image_step,
            showRunParams=False,
        )
    for name in findings.curves:
        add(
            _CURVES,
            "LINE",
            metricKey=name,
            selectedMetricKeys=[name],
            lineSmoothness=0,
            scaleType="linear",
            xAxisKey="step",
            xAxisScaleType="linear",
            selectedXAxisMetricKey="",
            range={},
        )
    return charts


# Makes the view of a sweep from all its records, and describes the way to it.


MAX_CURVES: Final = 4
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
        beside=_looked_for(records),
        partial=frozenset(safe_key(name) for name in names if name not in shared),
    )
    params = [safe_key(name) for name in (*names, *dict.fromkeys(labels))]
    return view_tag(info, params, findings)


def _looked_for(records: Sequence[Record]) -> list[str]:
    """Return what people look for whatever the objective is: the experiment's first metric."""
    named = [name for r in records if r.result is not None for name in r.result.metrics]
    return [*named[:1], *(["best_epoch"] if "best_epoch" in named else [])]


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
