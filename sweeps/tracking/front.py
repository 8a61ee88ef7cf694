"""Tags the runs that are on the Pareto front of a sweep with several objectives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sweeps.records.ranking import pareto_front
from sweeps.records.record import Record, SweepInfo
from sweeps.tracking.runs import KnownSweep, search
from sweeps.workspace.failpoints import reached

ON_FRONT: Final = "pareto_front"
"""Tag of the runs on the front, with the value `true`; the other runs lack it."""


def front_keys(info: SweepInfo, records: Iterable[Record]) -> set[str]:
    """Return the attempts (`<trial>-<attempt>`) on the front; empty with one objective."""
    if not info.has_front:
        return set()
    return {record.spec.key for record in pareto_front(records, info.objectives)}


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
