"""MLflow's store, opened fast and safe: migrated once, WAL, explicit artifact folders.

The calls below go through `MlflowClient` with explicit run ids: no active run, no autolog, and
nothing that a second call would double.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sweeps.tracking.address import sqlite_path
from sweeps.tracking.quiet import quiet

BUSY_TIMEOUT_SECONDS: Final = 20
_PAGE: Final = 1000


def open_client(tracking_uri: str) -> Any:
    """Return an `MlflowClient`; a SQLite store is created and migrated (seconds, once)."""
    with quiet():
        from mlflow.tracking import MlflowClient

        database = sqlite_path(tracking_uri)
        if database is None:
            return MlflowClient(tracking_uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        _enable_wal(database)
        client = MlflowClient(tracking_uri)
        _relax_synchronous(client)
        return client


def close_client(client: Any) -> None:
    """Close the connections to a database, so that its `-wal` file is folded in and removed."""
    engine = getattr(client._tracking_client.store, "engine", None)
    if engine is not None:
        engine.dispose()


def find_or_create_experiment(client: Any, name: str, artifact_folder: Path | None) -> str:
    """Return the id of the active experiment of that name, restoring a deleted one.

    Args:
        client: The `MlflowClient`.
        name: The experiment's name.
        artifact_folder: Where its files go, absolute; None leaves it to the server.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = artifact_folder.as_uri() if artifact_folder else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            # Another process may have been faster, or the reply to our own request was lost.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def search(client: Any, experiment_id: str, tags: dict[str, str]) -> Iterator[Any]:
    """Yield every run with these tags, deleted ones included, oldest first."""
    from mlflow.entities import ViewType

    condition = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    token: str | None = None
    while True:
        order = ["attributes.start_time ASC"]
        page = client.search_runs(
            [experiment_id], condition, ViewType.ALL, _PAGE, order, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def keep_one(client: Any, runs: Sequence[Any]) -> Any | None:
    """Return the run to go on with: the oldest one, finished before unfinished; delete the rest.

    A run somebody deleted is restored if there is no other, so that its address stays good.
    """
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    if not active and runs:
        kept = min(runs, key=_age)
        client.restore_run(kept.info.run_id)
        return kept
    ranked = sorted(active, key=_age)
    for duplicate in ranked[1:]:
        client.delete_run(duplicate.info.run_id)
    return ranked[0] if ranked else None


def _age(run: Any) -> tuple[bool, int, str]:
    return run.info.status == "RUNNING", run.info.start_time, run.info.run_id


def _enable_wal(database: Path) -> None:
    """Let readers (the UI) and our one writer work at the same time; kept in the file."""
    with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _relax_synchronous(client: Any) -> None:
    """Spare an fsync per transaction: a lost last commit is rebuilt from the records."""
    import sqlalchemy

    engine = client._tracking_client.store.engine  # MLflow offers no other way to it
    if not sqlalchemy.event.contains(engine, "connect", _set_synchronous_normal):
        sqlalchemy.event.listen(engine, "connect", _set_synchronous_normal)
        engine.dispose()  # connections made before the listener was there


def _set_synchronous_normal(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
