"""The view in which a sweep opens in MLflow's UI: its trials, best first, with columns chosen.

Left alone, the UI shows no metric and no parameter at all, and the children folded away under
their parent. It reads a view from an experiment tag whose format is its own and undocumented
(MLflow 3.17; a browser test pins it); a UI that does not know it shows its plain page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from sweeps.records.record import SweepInfo

_TAG_PREFIX: Final = "mlflow.sharedViewState."
_MAX_PARAMS: Final = 20
"""More columns than fit a screen help nobody, and the tag must stay below 5000 characters."""


def view_tag(info: SweepInfo, params: Iterable[str]) -> tuple[str, str]:
    """Return name and value of the experiment tag with the view of a sweep.

    Args:
        info: The sweep; its objective is the first column and the order.
        params: The parameters that trials of the sweep vary.
    """
    objective = f"metrics.`{info.metric}`"
    varied = [f"params.`{name}`" for name in list(params)[:_MAX_PARAMS]]
    state: dict[str, Any] = {
        "selectedColumns": [
            objective,
            "metrics.`best_epoch`",
            *varied,
            *(f"tags.`{name}`" for name in ("state", "reason")),
        ],
        "orderByKey": objective,
        "orderByAsc": info.direction == "minimize",
        "searchFilter": f"tags.sweep_id = '{info.id}' and tags.kind = 'trial'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
    }
    return _TAG_PREFIX + info.id, json.dumps(state, ensure_ascii=False, separators=(",", ":"))


def view_address(base: str, experiment_id: str | None, sweep_id: str | None) -> str:
    """Return the address of a sweep's view; without a sweep, that of the experiments.

    Args:
        base: Address of the UI, such as `http://127.0.0.1:5000`.
        experiment_id: MLflow experiment, None for the list of them.
        sweep_id: Sweep whose view to open, None for the plain table.
    """
    place = f"experiments/{experiment_id}/runs" if experiment_id else "experiments"
    view = f"&viewStateShareKey={sweep_id}" if experiment_id and sweep_id else ""
    # Without the first parameter MLflow opens its pages for language models.
    return f"{base.rstrip('/')}/#/{place}?workflowType=machine_learning{view}"
