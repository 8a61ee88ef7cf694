"""Reads from MLflow, without changing anything: where a sweep is, its runs, its champion.

What MLflow raises when its store cannot be read, passes through.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from sweeps.errors import UsageError
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import ALIAS, DIGEST, find_model
from sweeps.tracking.runs import find_experiment, half_copied, search
from sweeps.tracking.store import close_client, one_line, quiet
from sweeps.tracking.view import view_address


@dataclass(frozen=True)
class StoredRun:
    """One run of a sweep, as MLflow has it.

    Attributes:
        run_id: MLflow's own id.
        kind: `sweep` or `trial`.
        key: `<trial>-<attempt>` of a trial, else empty.
        is_deleted: Whether it lies in MLflow's bin.
        end_time: Milliseconds since the epoch (UTC); None while it runs.
        metrics: Last value of each metric.
        files: Names of the files at its root.
        datasets: Name and digest of each dataset.
        half_copied: Files that a killed process left behind; see `runs.half_copied`.
    """

    run_id: str
    kind: str
    key: str
    status: str
    is_deleted: bool
    end_time: int | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: frozenset[str]
    datasets: frozenset[tuple[str, str]]
    half_copied: Sequence[Path] = ()


@dataclass(frozen=True)
class StoredChampion:
    """The version that the alias `champion` of a sweep's registered model points to.

    Attributes:
        model: Name of the registered model.
        key: `<trial>-<attempt>` of the trial.
        digest: Digest of the record that it was made of.
        run_id: The run that has its files.
    """

    model: str
    key: str
    digest: str
    run_id: str


def read_runs(tracking_uri: str, info: SweepInfo) -> list[StoredRun]:
    """Return every run that carries the sweep's id, deleted ones included, oldest first."""
    with _opened(tracking_uri) as client:
        experiment = client and find_experiment(client, info)
        if experiment is None:
            return []
        found = search(client, experiment.experiment_id, {"sweep_id": info.id})
        return [_stored(tracking_uri, run) for run in found]


def read_champion(tracking_uri: str, info: SweepInfo) -> StoredChampion | None:
    """Return the version that a sweep's alias `champion` points to, None if there is none."""
    with _opened(tracking_uri) as client:
        model = client and find_model(client, info)
        if model is None or ALIAS not in model.aliases:
            return None
        version = client.get_model_version(model.name, str(model.aliases[ALIAS]))
        tags, run_id = version.tags, version.run_id or ""
        return StoredChampion(model.name, tags.get("trial", ""), tags.get(DIGEST, ""), run_id)


def attempt_of_run(tracking_uri: str, run_id: str) -> tuple[str, str]:
    """Return the id of the sweep and the key of the attempt that a run shows.

    Raises:
        UsageError: There is no such run, or it shows no trial of ours.
    """
    tags: Mapping[str, str] = {}
    with _opened(tracking_uri) as client:
        from mlflow.exceptions import MlflowException

        try:
            tags = client.get_run(run_id).data.tags if client else {}
        except MlflowException as error:
            raise UsageError(f"run {run_id}: {one_line(error)}") from None
    if tags.get("kind") != "trial":
        raise UsageError(f"run {run_id} is no trial of a sweep")
    return tags["sweep_id"], tags["trial"]


@contextlib.contextmanager
def _opened(tracking_uri: str) -> Iterator[Any]:
    """Yield a client, or None for a database that does not exist: MLflow would create it."""
    database = sqlite_path(tracking_uri)
    if database is not None and not database.exists():
        yield None
        return
    with quiet():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri)
        try:
            yield client
        finally:
            close_client(client)


def _stored(tracking_uri: str, run: Any) -> StoredRun:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    is_deleted = run.info.lifecycle_stage == "deleted"
    # The client's own `list_artifacts` asks the store for the run again, which takes ten times as
    # long.
    place = get_artifact_repository(run.info.artifact_uri, tracking_uri)
    files = [] if is_deleted else place.list_artifacts()
    return StoredRun(
        run_id=run.info.run_id,
        kind=run.data.tags.get("kind", ""),
        key=run.data.tags.get("trial", ""),
        status=run.info.status,
        is_deleted=is_deleted,
        end_time=run.info.end_time,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        files=frozenset(file.path for file in files),
        datasets=frozenset(
            (entry.dataset.name, entry.dataset.digest) for entry in run.inputs.dataset_inputs
        ),
        half_copied=half_copied(run),
    )


_NEWEST_RUN: Final = """
    SELECT experiment_id, value FROM runs
    LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'sweep_id'
    WHERE lifecycle_stage = 'active' AND (? IS NULL OR value = ?) ORDER BY start_time DESC LIMIT 1
"""


def locate(tracking_uri: str, info: SweepInfo | None) -> tuple[str | None, str | None]:
    """Return the MLflow experiment and the id of a sweep; each is None if the store lacks it.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep; None for that of the newest run, which only a SQLite store can tell.

    Raises:
        UsageError: There is no run to show.
    """
    database = sqlite_path(tracking_uri)
    if database is None:
        if info is None:
            return None, None
        with _opened(tracking_uri) as client:
            experiment = find_experiment(client, info)
        return None if experiment is None else str(experiment.experiment_id), info.id
    wanted = None if info is None else info.id
    row = _first_row(database, _NEWEST_RUN, (wanted, wanted)) if database.exists() else None
    if row is None and info is not None:
        raise UsageError(
            f"nothing to show: sweep {info.name!r} has no runs in {database}; "
            f"`sweeps sync {info.name}` sends them"
        )
    if row is None:
        raise UsageError(
            f"nothing to show: there are no runs in {database} yet; begin with: `sweeps run smoke`"
            ", or name another folder with --home"
        )
    return str(row[0]), None if row[1] is None else str(row[1])


def server_address(tracking_uri: str, info: SweepInfo | None) -> str:
    """Return the address of a sweep's view on an MLflow server, without a password."""
    parts = urlsplit(tracking_uri)
    public = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return view_address(public, *locate(tracking_uri, info))


def _first_row(
    database: Path, query: str, values: tuple[str | None, ...]
) -> tuple[object, ...] | None:
    """Return the first row of a query; the file is closed before a server opens it."""
    address = f"{database.as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
        try:
            found = store.execute(query, values)
            row: tuple[object, ...] | None = found.fetchone()
        except sqlite3.DatabaseError as error:
            if "no such table" in str(error):  # created, but never migrated
                return None
            raise UsageError(f"{database} is no MLflow store that can be read: {error}") from None
        return row
