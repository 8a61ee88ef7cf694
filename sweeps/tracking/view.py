"""The view of a sweep in MLflow: its columns, searches and charts, and the way to it.

Without a view, the UI shows no metric and no parameter at all, and folds the children away under
their parent. It reads a view from an experiment tag whose format is its own and undocumented
(MLflow 3.17; a browser test pins it); a UI that does not know the format shows its plain page.

A view cannot ask for a closed assistant: MLflow 3.17 opens that panel once in each browser, at an
address of this machine, and keeps in the browser's storage that it did. No address and no option of
the server says otherwise. Parameters on the pages of runs and comparisons are in MLflow's order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from sweeps.analysis.confusion import confusion_of, confusion_tags
from sweeps.analysis.table import in_order_of_space, merge_orders
from sweeps.journal.events import Record
from sweeps.records.conclusions import VerdictConclusion
from sweeps.records.ranking import leading, pareto_front, ranked
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.content import (
    LABEL_SUFFIX,
    Measured,
    as_typed,
    label_params,
    safe_key,
    varied_params,
)
from sweeps.tracking.pictures import KEY, plan_pictures
from sweeps.tracking.runs import KnownSweep, log_values, search
from sweeps.workspace.failpoints import reached

ON_FRONT: Final = "pareto_front"
"""Tag of the runs on the front, with the value `true`; the other runs lack it."""


def front_keys(info: SweepInfo, records: Iterable[Record]) -> set[str]:
    """Return the attempts (`<trial>-<attempt>`) on the front; empty with one objective."""
    if not info.has_front:
        return set()
    return {record.key for record in pareto_front(records, info.objectives)}


def mark_front(client: Any, sweep: KnownSweep, info: SweepInfo, records: Iterable[Record]) -> None:
    """Tag the runs on the front, and remove the tag from others; right tags are not rewritten.

    Args:
        client: The `MlflowClient`.
        sweep: Its runs.
        info: The sweep.
        records: All its attempts.
    """
    if not info.has_front:
        return
    wanted = {sweep.children[key][0] for key in front_keys(info, records) & sweep.children.keys()}
    identity = {"sweep_id": info.id, ON_FRONT: "true"}
    found = search(client, sweep.experiment_id, identity)
    marked = {run.info.run_id for run in found if run.info.lifecycle_stage == "active"}
    for run_id in sorted(marked - wanted):
        client.delete_tag(run_id, ON_FRONT)
        reached("front.unmarked")
    for run_id in sorted(wanted - marked):
        client.set_tag(run_id, ON_FRONT, "true")
        reached("front.marked")


CONFIRMED: Final = "confirmed"
"""Metric of the runs of finalists and of the sweep: the score on fresh folds; with `_low` and
`_high` its 95 % interval. Of the champion and of the sweep it is the figure to quote."""
CHAMPION: Final = "champion"
"""Tag of the champion's run, with the value `true`; that of the sweep names it."""


def mark_confirmed(
    client: Any,
    sweep: KnownSweep,
    info: SweepInfo,
    records: Iterable[Record],
    verdict: VerdictConclusion,
    *,
    at: int,
) -> None:
    """Show the verdict in the runs of the finalists, and of the sweep; what is there stays.

    Args:
        client: The `MlflowClient`.
        sweep: Its runs.
        info: The sweep.
        records: All its attempts.
        verdict: The one that is in force.
        at: When it came, in milliseconds since the epoch (UTC).
    """
    last = {record.trial: record.key for record in records if record.ends_trial}
    figures = {
        sweep.children[last[one.trial]][0]: verdict.quotable
        if one is verdict.taken
        else one.accuracy
        for one in verdict.standings
        if not one.is_control and last.get(one.trial) in sweep.children
    }
    figures[sweep.parent_id] = verdict.figure
    for run_id, figure in figures.items():
        wanted = {CONFIRMED: figure.value, f"{CONFIRMED}_low": figure.low,
                  f"{CONFIRMED}_high": figure.high}  # fmt: skip
        there = client.get_run(run_id).data.metrics
        if any(there.get(name) != value for name, value in wanted.items()):
            points = [Measured(name, value, at, 0) for name, value in wanted.items()]
            log_values(client, run_id, metrics=points)
            reached("confirmed.valued")
    taken = last.get(verdict.taken.trial) if not verdict.taken.is_control else None
    champion = sweep.children[taken][0] if taken in sweep.children else None
    marked = search(client, sweep.experiment_id, {"sweep_id": info.id, CHAMPION: "true"})
    for run_id in {run.info.run_id for run in marked} - {champion}:
        client.delete_tag(run_id, CHAMPION)
    if champion is not None:
        client.set_tag(champion, CHAMPION, "true")


_TAG_PREFIX: Final = "mlflow.sharedViewState."
MAX_CHARACTERS: Final = 5000
"""Most characters of the tag: MLflow 3.17 takes 20000, servers of earlier versions 5000."""
_MAX_PARAMS: Final = (20, 15, 10, 6, 3)
"""Numbers of parameter columns, tried until the tag is short enough; more do not fit a screen."""
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
"""Name, cards in a row and their height in pixels. The UI puts charts of all other metrics into
the last section, which is folded."""


@dataclass(frozen=True)
class Findings:
    """Facts about the trials of a sweep that shape its view.

    Attributes:
        curves: Per-epoch metrics worth a chart, in the order of the charts.
        image: Key of the pictures, empty without any.
        image_step: Step at which the slider stands first.
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
        findings: Facts about its trials; None while it runs.
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
    """Return the address of a sweep's view, or the plain table, or the list of experiments.

    The base is the address of the UI, `http://127.0.0.1:5000`; empty for a link inside it.
    """
    place = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    view = f"&viewStateShareKey={sweep_id}" if experiment_id and sweep_id else ""
    # Without the first parameter MLflow opens its pages for language models.
    root = f"{base.rstrip('/')}/" if base else ""
    return f"{root}#/{place}?workflowType=machine_learning{view}"


def charts_address(base: str, experiment_id: str, sweep_id: str) -> str:
    """Return the address at which the same view opens with its charts."""
    return f"{view_address(base, experiment_id, sweep_id)}&compareRunsMode=CHART"


def compare_address(experiment_id: str, run_ids: Sequence[str]) -> str:
    """Return the address, inside the UI, at which some runs stand side by side."""
    runs, experiments = (
        quote(json.dumps(ids, separators=(",", ":"))) for ids in (list(run_ids), [experiment_id])
    )
    return f"#/compare-runs?runs={runs}&experiments={experiments}&workflowType=machine_learning"


def _state(info: SweepInfo, names: list[str], findings: Findings, limit: int) -> dict[str, Any]:
    objective, *others = (f"metrics.`{safe_key(one.metric)}`" for one in info.objectives)
    labels = {f"{name}{LABEL_SUFFIX}" for name in names}
    varied = [name for name in names if name not in labels][:limit]
    others += [f"tags.`{ON_FRONT}`"] if info.has_front else []
    beside = (f"metrics.`{name}`" for name in findings.beside)
    others += [name for name in beside if name not in {objective, *others}]
    tags = ["why", *(["confusion_1"] if findings.worst else []), "state"]
    shown = [
        objective,
        *others,
        *(f"params.`{name}`" for name in varied),
        *(f"tags.`{name}`" for name in tags),
        "attributes.`Dataset`",
    ]
    charts = _charts(info, varied, names, findings)
    return {
        "selectedColumns": shown,
        # The first two names are the grid's own; columns that are left out follow after the rest.
        "columnOrder": ["0", "attributes.`Run Name`", *shown, "runDateAndNestInfo", "duration"],
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
        "compareRunSections": [
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
            if uuid == _REST or any(card["metricSectionId"] == uuid for card in charts)
        ],
        "compareRunCharts": charts,
    }


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


MAX_CURVES: Final = 4
COMPARED: Final = 3


def view_of(
    info: SweepInfo,
    records: Sequence[Record],
    best: Sequence[Record],
    important: Sequence[str] = (),
    *,
    is_confirmed: bool = False,
) -> tuple[str, str]:
    """Return the tag with the view of a sweep: the parameter that matters most comes first.

    Args:
        info: The sweep.
        records: All its attempts.
        best: Its best complete trials with their arrays.
        important: Parameters in the order of their importance; the others follow in that of the
            space, as in the report.
        is_confirmed: Whether finalists have a score on fresh folds, which is a column then.
    """
    complete = leading(records, info.objectives)
    varied = [varied_params(info.at(record.trial), record) for record in complete]
    everywhere = merge_orders(varied_params(info.at(r.trial), r) for r in records)
    names = dict.fromkeys([*important, *in_order_of_space(everywhere, info.space)])
    shared = set(names).intersection(*varied)
    labels = (name for record in records for name in label_params(record))
    plans = plan_pictures(best)
    # What people look for whatever the objective is: the experiment's first metric.
    metrics = [name for r in records if r.result is not None for name in r.result.metrics]
    beside = [CONFIRMED] if is_confirmed else []
    beside += [*metrics[:1], *(["best_epoch"] if "best_epoch" in metrics else [])]
    histories = (record.result.history for record in records if record.result)
    # What pruners watch comes first, then the metrics of validation.
    kept = dict.fromkeys(name for history in histories for name in history)
    curves = sorted(kept, key=lambda n: (n != info.epoch_metric, not n.startswith("val_")))
    findings = Findings(
        curves=[safe_key(name) for name in curves[:MAX_CURVES]],
        image=KEY if plans else "",
        image_step=max((step for plan in plans.values() for step in plan.epochs), default=1),
        worst=any(confusion_of(record) is not None for record in best),
        beside=beside,
        partial=frozenset(safe_key(name) for name in names if name not in shared),
    )
    params = [safe_key(name) for name in (*names, *dict.fromkeys(labels))]
    return view_tag(info, params, findings)


def running_note(info: SweepInfo, experiment_id: str) -> str:
    """Return the description of a parent run while its sweep runs, in Markdown."""
    trials = view_address("", experiment_id, info.id)
    charts = charts_address("", experiment_id, info.id)
    return f"The sweep is running. [Its trials, {_order(info)}]({trials}) · [charts]({charts})"


def directions(
    info: SweepInfo, sweep: KnownSweep, best: Sequence[Record], text: str, noted: str | None
) -> str:
    """Return the description of a parent run: the note, links, the results, searches, the origin.

    Args:
        info: The sweep.
        sweep: Its runs, for links; these are relative, so they work wherever the UI is.
        best: Its best complete trials with their arrays.
        text: The results, in Markdown.
        noted: Note about the sweep, None without one.
    """
    best = [record for record in best if record.key in sweep.children]
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
        best = [record for record in best if record.key in front]
    if len(best) > 1:
        ids = [sweep.children[record.key][0] for record in best[:COMPARED]]
        those = f"{len(ids)} of the Pareto front" if info.has_front else f"The best {len(ids)}"
        links[f"{those} side by side"] = compare_address(experiment, ids)
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
        sign, by_rank = ">=" if info.direction == "maximize" else "<=", ranked(best, info.direction)
        if by_rank[-1] is best[0]:  # the champion, which is among them whatever its rank is
            by_rank = by_rank[:-1] or by_rank
        worst = by_rank[-1].objective
        rows[f"the best {len(by_rank)}"] = f"{own} and metrics.{metric} {sign} {worst!r}"
    mistake = confusion_tags(best[0]).get("confusion_1", "").rpartition(":")[0] if best else ""
    if mistake and not set("'%_|`") & set(mistake):
        rows[f"trials with the worst mistake of trial {best[0].trial}"] = (
            f"{own} and tags.confusion_1 LIKE '{mistake}:%'"
        )
    lines = [f"| {words} | `{search}` |" for words, search in rows.items()]
    return "\n".join(["| to see | search runs for |", "| --- | --- |", *lines])


def _order(info: SweepInfo) -> str:
    return f"by {info.metric}" if info.has_front else "best first"


def _origin(info: SweepInfo) -> str:
    began = datetime.fromtimestamp(info.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    options = [info.fingerprint.get(key) for key in ("sampler", "pruner")]
    sampler, pruner = (
        str(one.get("name", "")) if isinstance(one, Mapping) else str(one or "none")
        for one in options
    )
    seed, data = info.fingerprint.get("seed", ""), info.data
    digest = str(data.get("digest") or "")[:16]
    return (
        f"Begun {began}: experiment `{info.experiment}`, sampler {sampler}, pruner {pruner}, "
        f"seed {seed}, data {data.get('name', '')} (`{digest}`)."
    )
