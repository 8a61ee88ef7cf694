"""Writes a new run into MLflow's tables and folders, in two short transactions.

MLflow's client makes an object of every row, reads the run before each of a dozen requests, and
looks for the folder of its files each time: 60 to 100 ms of CPU a run, in a thread that shares the
coordinator's process. The rows and files here are those that it would write (a test compares whole
tables). Its tables are not public, so they are written for one revision of the schema only, in the
SQLite file of a home; any other store is written by the client.

A run of ours has an id that follows from sweep, attempt and folder. So a second projector cannot
double it: the database refuses the id. The folder is in it because MLflow remembers, for all stores
that a process has opened, where the files of an id are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sweeps.tracking.address import sqlite_path
from sweeps.tracking.content import CONTEXT, Point, RunContent
from sweeps.tracking.runs import dataset_of
from sweeps.workspace.databases import DatabaseRetry, schema_version

REVISION: Final = "dc11669786a5"
"""The revision of MLflow's schema whose rows are written here."""
_IDS: Final = uuid.UUID("0b5c1f0e-6a1d-5c0c-9f5e-3f1d2b7a9c40")


class RunTables:
    """The tables of one store."""

    def __init__(self, store: Any) -> None:
        """Write to the database of a `SqlAlchemyStore`."""
        from mlflow.store.tracking.dbmodels import models

        self._engine, self._clean = store.engine, store.sanitize_metric_value
        self._runs, self._tags = models.SqlRun.__table__, models.SqlTag.__table__
        self._params, self._metrics = models.SqlParam.__table__, models.SqlMetric.__table__
        self._latest, self._datasets = models.SqlLatestMetric.__table__, models.SqlDataset.__table__
        self._inputs, self._input_tags = models.SqlInput.__table__, models.SqlInputTag.__table__
        self._experiments = models.SqlExperiment.__table__

    def create(
        self,
        experiment_id: str,
        folder: Path,
        run_id: str,
        content: RunContent,
        data: Mapping[str, Any],
    ) -> bool:
        """Store a run, RUNNING, with its values and data; return False if its id is taken.

        Args:
            experiment_id: Its experiment.
            folder: Of its files; need not exist.
            run_id: From `run_id_of`.
            content: What is shown of the attempt.
            data: Name, digests and facts of what it was trained on, as records keep them.

        Raises:
            MlflowException: The database is locked, or the experiment has been deleted.
        """
        import sqlalchemy
        from mlflow.exceptions import MlflowException

        run = {
            "run_uuid": run_id,
            "name": content.name,
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": content.tags.get("mlflow.user", "unknown"),
            "status": "RUNNING",
            "start_time": content.start_time,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": folder.as_uri(),
            "experiment_id": int(experiment_id),
        }
        tags = {"mlflow.runName": content.name, **content.tags}
        metrics = list(self._points(content.metrics))
        with suppress(sqlalchemy.exc.IntegrityError), self._transaction() as connection:

            def insert(table: Any, rows: list[dict[str, Any]]) -> None:
                if rows:
                    connection.execute(table.insert(), rows)

            experiments = self._experiments
            named = experiments.c.experiment_id == int(experiment_id)
            is_active = named & (experiments.c.lifecycle_stage == "active")
            if connection.execute(experiments.select().where(is_active)).first() is None:
                raise MlflowException.invalid_parameter_value(
                    f"experiment {experiment_id} is not active: it has been deleted"
                )
            insert(self._runs, [run])
            insert(self._tags, [{"run_uuid": run_id, **row} for row in _pairs(tags)])
            insert(self._params, [{"run_uuid": run_id, **row} for row in _pairs(content.params)])
            insert(self._metrics, [{"run_uuid": run_id, **row} for row in metrics])
            insert(self._latest, [{"run_uuid": run_id, **row} for row in _latest(metrics)])
            source = self._dataset(connection, int(experiment_id), data)
            edge = uuid.uuid4().hex
            insert(
                self._inputs,
                [
                    {
                        "input_uuid": edge,
                        "source_type": "DATASET",
                        "source_id": source,
                        "destination_type": "RUN",
                        "destination_id": run_id,
                        "step": 0,
                    }
                ],
            )
            insert(
                self._input_tags,
                [{"input_uuid": edge, "name": "mlflow.data.context", "value": CONTEXT}],
            )
            return True
        return False

    def end(self, run_id: str, status: str, end_time: int) -> None:
        """Give a run its terminal status."""
        runs = self._runs
        with self._transaction() as connection:
            connection.execute(
                runs.update().where(runs.c.run_uuid == run_id),
                {"status": status, "end_time": end_time},
            )

    def _points(self, points: Iterable[Point]) -> Iterator[dict[str, Any]]:
        for key, value, timestamp, step in dict.fromkeys(points):
            is_nan, clean = self._clean(value)
            yield {
                "key": key,
                "value": clean,
                "timestamp": timestamp,
                "step": step,
                "is_nan": is_nan,
            }

    def _dataset(self, connection: Any, experiment_id: int, data: Mapping[str, Any]) -> str:
        """Return the id of the row of a data set, which is made if it is missing."""
        wanted, table = dataset_of(data), self._datasets
        found = connection.execute(
            table.select()
            .with_only_columns(table.c.dataset_uuid)
            .where(
                table.c.experiment_id == experiment_id,
                table.c.name == wanted.name,
                table.c.digest == wanted.digest,
            )
        ).scalar()
        if found is not None:
            return str(found)
        made = uuid.uuid4().hex
        row = {
            "dataset_uuid": made,
            "experiment_id": experiment_id,
            "name": wanted.name,
            "digest": wanted.digest,
            "dataset_source_type": wanted.source_type,
            "dataset_source": wanted.source,
            "dataset_schema": None,
            "dataset_profile": wanted.profile,
        }
        connection.execute(table.insert(), row)
        return made

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Yield a connection; an error of the database is MLflow's, as its client raises it."""
        import sqlalchemy
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

        try:
            with self._engine.begin() as connection:
                yield connection
        except sqlalchemy.exc.OperationalError as error:
            raise MlflowException(error, TEMPORARILY_UNAVAILABLE) from error


def tables_of(client: Any, tracking_uri: str) -> RunTables | None:
    """Return the tables of an opened store; None if it is to be written by its client."""
    database = sqlite_path(tracking_uri)
    if database is None:
        return None
    if schema_version(database, DatabaseRetry(), "experiments") != REVISION:
        return None
    return RunTables(client._tracking_client.store)


def run_id_of(sweep_id: str, key: str, folder: Path) -> str:
    """Return the id of the run of an attempt, 32 hexadecimal digits as MLflow's own."""
    return uuid.uuid5(_IDS, json.dumps([sweep_id, key, str(folder)])).hex


def _pairs(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _latest(metrics: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the last value of each metric, by step, time and value as MLflow orders them."""
    found: dict[str, dict[str, Any]] = {}
    for row in metrics:
        other = found.get(row["key"])
        if other is None or _order(row) > _order(other):
            found[row["key"]] = dict(row)
    return list(found.values())


def _order(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
