"""The view in which a sweep opens in MLflow's UI: its trials, best first, with columns and charts.

Left alone, the UI shows no metric and no parameter at all, and the children folded away under
their parent. It reads a view from an experiment tag whose format is its own and undocumented
(MLflow 3.17; a browser test pins it); a UI that does not know it shows its plain page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from sweeps.records.record import SweepInfo
from sweeps.tracking.front import ON_FRONT
from sweeps.tracking.limits import safe_key
from sweeps.tracking.remarks import LABEL_SUFFIX

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
