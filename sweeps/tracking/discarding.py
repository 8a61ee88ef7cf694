"""Deletes runs that say what no record says; MLflow keeps them in its bin."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sweeps.records.record import SweepInfo
from sweeps.tracking.content import experiment_name
from sweeps.tracking.finding import search
from sweeps.tracking.quiet import quiet
from sweeps.tracking.store import close_client, open_client


def discard_runs(
    tracking_uri: str, info: SweepInfo, *, run_ids: Collection[str], keys: Collection[str]
) -> list[str]:
    """Delete child runs of a sweep, so that nobody takes them for an attempt's again.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep.
        run_ids: Runs, by MLflow's id.
        keys: Runs, by `<slot>-<attempt>`.

    Returns:
        The ids of those deleted.
    """
    with quiet():
        client = open_client(tracking_uri)
        experiment = client.get_experiment_by_name(experiment_name(info))
        found = search(client, experiment.experiment_id, {"sweep_id": info.id, "kind": "trial"})
        wrong = [r for r in found if r.info.run_id in run_ids or r.data.tags.get("trial") in keys]
        for run in wrong:
            _discard(client, run)
        close_client(client)
        return [run.info.run_id for run in wrong]


def _discard(client: Any, run: Any) -> None:
    run_id = run.info.run_id
    if run.info.lifecycle_stage == "deleted":
        client.restore_run(run_id)  # its tags cannot be set otherwise
    # A deleted run is restored when its attempt is projected again: this one must not be found.
    client.set_tag(run_id, "kind", "discarded")
    client.set_tag(run_id, "trial", f"{run.data.tags.get('trial', '')} discarded")
    if run.info.status == "RUNNING":
        client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)
