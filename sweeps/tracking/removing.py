"""Removes the runs of a sweep that was deleted, with their files and its registered model."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.errors import StoreError
from sweeps.records.record import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import remove_model
from sweeps.tracking.outage import is_outage, one_line
from sweeps.tracking.preflight import check_store
from sweeps.tracking.quiet import quiet
from sweeps.tracking.runs import find_experiment, search
from sweeps.tracking.store import CheckedClient, close_client, open_client
from sweeps.workspace.addresses import redacted
from sweeps.workspace.failpoints import reached


def require_store(tracking_uri: str) -> None:
    """Make sure that runs can be removed, before anything is changed.

    Raises:
        StoreError: The server does not answer.
    """
    away = check_store(tracking_uri)
    if away is not None:
        raise StoreError(
            f"MLflow at {redacted(tracking_uri)} cannot be reached ({away}); nothing was changed, "
            "repeat the command when it answers"
        )


def remove_runs(
    tracking_uri: str,
    info: SweepInfo,
    *,
    with_files: bool = True,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Delete every run of a sweep, children first, so that a broken-off deletion finds the rest.

    MLflow keeps deleted runs in its bin until `mlflow gc`; the files go at once if the store is a
    SQLite database of ours.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep.
        with_files: Whether the files of the runs go, too, and the registered model made of them.
        check: See `Projection`.

    Returns:
        Number of deleted runs.

    Raises:
        StoreError: The server does not answer, or stops answering.
    """
    require_store(tracking_uri)
    database = sqlite_path(tracking_uri)
    if database is not None and not database.exists():
        return 0
    with quiet():
        client = CheckedClient(open_client(tracking_uri), check)
        try:
            if with_files:
                remove_model(client, info)
                reached("delete.unregistered")
            experiment = find_experiment(client, info)
            if experiment is None:
                return 0
            found = list(search(client, experiment.experiment_id, {"sweep_id": info.id}))
            active = [run for run in found if run.info.lifecycle_stage == "active"]
            for run in sorted(active, key=lambda run: run.data.tags.get("kind") == "sweep"):
                if database is not None and with_files:
                    for file in client.list_artifacts(run.info.run_id):
                        _delete_artifact(run, file.path)
                client.delete_run(run.info.run_id)
            return len(active)
        except Exception as error:
            if is_outage(error):
                text = f"MLflow at {redacted(tracking_uri)} did not take it ({one_line(error)})"
                raise StoreError(f"{text}; the next start goes on") from error
            raise
        finally:
            close_client(client)


def _delete_artifact(run: object, path: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(run.info.artifact_uri)  # type: ignore[attr-defined]
    repository.delete_artifacts(path)
