"""Records -> MLflow runs: one parent per sweep, one child per attempt; repeating adds nothing.

A run is found by its tags, and its terminal status is written last. A child that is still RUNNING
is therefore incomplete, and is written again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from sweeps.analysis.table import in_order_of_space
from sweeps.journal.events import Record, SweepStatus
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import ChampionModel, log_pages, log_verified, register_champion
from sweeps.tracking.content import (
    CONTEXT,
    MAX_TAG_CHARACTERS,
    NOTE,
    RunContent,
    SweepNote,
    as_typed,
    best_tags,
    dataset_key,
    fit,
    headline_points,
    run_status,
    sweep_files,
    sweep_tags,
    trial_files,
    trial_run,
)
from sweeps.tracking.runs import (
    UNDRAWN,
    KnownSweep,
    create_run,
    dataset_of,
    discard_run,
    find_children,
    find_or_create_experiment,
    find_or_create_parent,
    local_folder,
    log_dataset,
    log_files,
    log_values,
    standing,
    status_of,
)
from sweeps.tracking.store import CheckedClient, close_client, open_client, quiet
from sweeps.tracking.view import running_note, view_tag
from sweeps.workspace.clock import now_ms
from sweeps.workspace.databases import schema_version
from sweeps.workspace.failpoints import reached

Result = TypeVar("Result")


class Projection:
    """Writes sweeps into one MLflow store. Not thread-safe: one projection, one thread."""

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: Path,
        scratch: Path | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Remember the store; nothing is imported, opened or created yet.

        Args:
            tracking_uri: From `resolve_tracking_uri`.
            artifact_root: Folder for the files of runs; unused with a server, which has its own.
            scratch: Folder for files on their way; a process that is killed leaves them there.
            check: Called before each request; raises if it must not be made.
        """
        self._scratch, self.check = scratch, check
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root.absolute()
        self._opened: Any = None
        self._tables: RunTables | None = None
        self._sweeps: dict[str, KnownSweep] = {}
        self._parents: dict[str, str] = {}

    @property
    def answers(self) -> int:
        """Number of requests that the store has answered since it was opened."""
        return 0 if self._opened is None else int(self._opened.answers)

    def start_sweep(self, info: SweepInfo, extra: SweepNote) -> str:
        """Create or find the sweep's experiment and parent run, RUNNING if it is; return its id."""
        with self._known(info) as sweep:
            parent_id = sweep.parent_id
            log_values(self._client(), parent_id, tags=sweep_tags(info, extra))
            if extra.is_running:
                note = running_note(info, sweep.experiment_id)
                self._client().set_tag(parent_id, NOTE, note)
            log_dataset(self._client(), parent_id, info.data)
            reached("parent.valued")
            self._log_files(parent_id, sweep_files(info))
            reached("parent.filed")
            self._show_view(sweep, info)
            status = "RUNNING" if extra.is_running else None
            self._client().update_run(parent_id, status=status, name=info.name)
            reached("parent.running")
            return parent_id

    def project(
        self,
        info: SweepInfo,
        record: Record,
        files: Mapping[str, bytes] | None,
        *,
        is_whole: bool = True,
    ) -> str:
        """Write the child run of one attempt, whatever is there already, and return its id.

        Args:
            info: The sweep.
            record: How the attempt ended.
            files: Files that the experiment drew, content by name; None if it could not.
            is_whole: Whether `files` are all of them; if not, the run is marked as incomplete.
        """
        with self._known(info) as sweep:
            content = trial_run(info, record, sweep.parent_id)
            run_id, place = self._write_child(sweep, info, record, content)
            if not sweep.columns.issuperset(content.params):
                sweep.columns.update(content.params)
                self._show_view(sweep, info)
            self._log_files(run_id, trial_files(info, record, files or {}), place)
            reached("run.filed")
            is_whole = is_whole and files is not None
            if not is_whole:
                log_values(self._client(), run_id, tags={UNDRAWN: "true"})
            elif sweep.children.get(record.key, ("", ""))[1] == UNDRAWN:
                self._client().delete_tag(run_id, UNDRAWN)
            if (tables := self._tables) is None:
                self._client().set_terminated(run_id, content.status, content.end_time)
            else:
                self._client().ask(lambda: tables.end(run_id, content.status, content.end_time))
            reached("run.ended")
            status = UNDRAWN if not is_whole else standing(content.status, content.tags)
            sweep.children[record.key] = (run_id, status)
            return run_id

    def is_complete(self, info: SweepInfo, record: Record) -> bool:
        """Whether the attempt's run is there with its terminal status."""
        with self._known(info) as sweep:
            wanted = standing(*run_status(record))
            return sweep.children.get(record.key, ("", ""))[1] == wanted

    def annotate(self, info: SweepInfo, key: str, text: str) -> None:
        """Show a note about a trial on the page of its run; an empty text removes it."""
        with self._known(info) as sweep:
            known = sweep.children.get(key)
            if known is not None:
                self._client().set_tag(known[0], NOTE, as_typed(text))

    def register(self, info: SweepInfo, champion: ChampionModel, *, pages: bool = False) -> None:
        """Register a champion's model; with `pages`, log the pages about it to its run instead."""
        with self._known(champion.confirmation or info) as sweep:
            known = sweep.children.get(champion.key)
            if known is not None and pages:
                log_pages(self._client(), known[0], champion, self._scratch)
            elif known is not None:  # else the attempt itself is reported as missing
                register_champion(self._client(), known[0], info, champion, self._scratch)
                log_verified(self._client(), known[0], champion, self._scratch)

    def discard(
        self, info: SweepInfo, wrong: Callable[[str], bool], *, look_up: bool = True
    ) -> None:
        """Delete the child runs of some attempts, so that they are written anew or never.

        Doubled runs are reduced to one.

        Args:
            info: The sweep.
            wrong: Whether the run of an attempt (`<trial>-<attempt>`) is to go.
            look_up: Whether to read the store again, because another host may have written there.
        """
        if look_up:
            self._sweeps.pop(info.id, None)
        with self._known(info) as sweep:
            for key in [key for key in sweep.children if wrong(key)]:
                discard_run(self._client(), sweep.children.pop(key)[0])

    def arrange(self, info: SweepInfo, write: Callable[[Any, KnownSweep], Result]) -> Result:
        """Call `write` with the client and the sweep's known runs; return its result."""
        with self._known(info) as sweep:
            return write(self._client(), sweep)

    def finish_sweep(
        self,
        info: SweepInfo,
        status: SweepStatus,
        tags: Mapping[str, str],
        summary_markdown: str,
        *,
        best: Record | None = None,
        files: Mapping[str, bytes] | None = None,
        drawn: Mapping[str, str] | None = None,
        finished_at: int | None = None,
    ) -> None:
        """Write tags, text, metrics and files of an ended sweep, then the parent's terminal status.

        Args:
            info: The sweep.
            status: How the sweep ended.
            tags: Such as `failed` and `stopped_by`; `best_trial` and `best_value` follow from
                `best`.
            summary_markdown: Shown on the parent's page.
            best: The best attempt; its headline metrics become those of the parent.
            files: More files for the parent, such as `trials.csv`.
            drawn: Tags that say of these files that they are there.
            finished_at: Milliseconds since the epoch (UTC); now if None.
        """
        with self._known(info) as sweep:
            parent_id = sweep.parent_id
            texts = {**best_tags(best), **tags, NOTE: summary_markdown}
            fitted, _ = fit(texts, MAX_TAG_CHARACTERS)
            points = list(headline_points(best)) if best else []
            reached("end.begun")
            log_values(self._client(), parent_id, tags=fitted, metrics=points)
            reached("end.valued")
            self._log_files(parent_id, files or {})
            for name, value in (drawn or {}).items():
                self._client().set_tag(parent_id, name, value)
            reached("end.filed")
            end_time = max(finished_at or now_ms(), info.created_at)  # if the clock was set back
            self._client().set_terminated(parent_id, status, end_time)
            reached("end.done")

    def end_run(self, info: SweepInfo, status: SweepStatus, *, look_up: bool = False) -> None:
        """Give the parent run its status and nothing else; `finish_sweep` writes the rest.

        Args:
            info: The sweep.
            status: How it ended.
            look_up: Whether to search for the parent run again. Without it, one request is enough
                if the run was found or made before, even if what followed was broken off.
        """
        with self._forgetting(info):
            known = None if look_up else self._parents.get(info.id)
            parent_id = known or self._sweep(info).parent_id
            self._client().set_terminated(parent_id, status)
            reached("end.named")

    def close(self) -> None:
        """Close the store's connections; a later call opens it again."""
        if self._opened is not None:
            close_client(self._opened)
        self._opened = None
        self._sweeps.clear()

    def _client(self) -> Any:
        if self._opened is None:
            client = open_client(self.tracking_uri)
            self._opened = CheckedClient(client, self.check)
            database = sqlite_path(self.tracking_uri)
            schema = database and schema_version(database, "experiments")
            own = RunTables(client._tracking_client.store) if schema == REVISION else None
            self._tables = own  # None: the store is to be written by its client
        return self._opened

    @contextmanager
    def _known(self, info: SweepInfo) -> Iterator[KnownSweep]:
        """Yield the known runs of a sweep, which are found or made; see `_forgetting`."""
        with self._forgetting(info):
            yield self._sweep(info)

    @contextmanager
    def _forgetting(self, info: SweepInfo) -> Iterator[None]:
        """Keep MLflow quiet; if a call fails, forget the runs, since the store may have changed."""
        with quiet():
            try:
                yield
            except BaseException:
                self._sweeps.pop(info.id, None)
                raise

    def _sweep(self, info: SweepInfo) -> KnownSweep:
        if info.id not in self._sweeps:
            is_database = not self.tracking_uri.startswith("http")
            root = self.artifact_root if is_database else None
            experiment_id = find_or_create_experiment(self._client(), info, root)
            parent_id = find_or_create_parent(self._client(), info, experiment_id)
            self._parents[info.id] = parent_id
            children = find_children(self._client(), experiment_id, info.id)
            location = self._client().get_experiment(experiment_id).artifact_location
            self._sweeps[info.id] = KnownSweep(
                experiment_id,
                parent_id,
                {k: (run.info.run_id, status_of(run, parent_id)) for k, run in children.items()},
                {name for run in children.values() for name in run.data.params},
                local_folder(location),
            )
        return self._sweeps[info.id]

    def _write_child(
        self, sweep: KnownSweep, info: SweepInfo, record: Record, content: RunContent
    ) -> tuple[str, str | None]:
        """Return the id of the run of an attempt, with its values, and where its files lie."""
        client, key = self._client(), record.key
        if key not in sweep.children and self._tables is not None and sweep.folder is not None:
            tables, run_id = self._tables, run_id_of(info.id, key, sweep.folder)
            folder = sweep.folder / run_id / "artifacts"
            create = partial(tables.create, sweep.experiment_id, folder, run_id, content)
            reached("run.begun")
            if client.ask(lambda: create(record.data)):
                reached("run.created")
                reached("run.valued")
                return run_id, folder.as_uri()
            # Another projector made it meanwhile, or one that was discarded has this id.
            found = find_children(client, sweep.experiment_id, info.id)
            if run := found.get(key):
                sweep.children[key] = run.info.run_id, status_of(run, sweep.parent_id)
        tags: Mapping[str, str] = content.tags
        if known := sweep.children.get(key):
            run_id, place = known[0], None
        else:
            reached("run.begun")
            run = create_run(
                client,
                sweep.experiment_id,
                # The rarer tag first: MLflow's SQL begins with it; all runs share the sweep's id.
                {"trial": key, "sweep_id": info.id},
                lambda: client.create_run(
                    sweep.experiment_id, content.start_time, dict(content.tags), content.name
                ),
                "run.created",
                # A host that lost the sweep may do so late; whoever has it looks again at the end.
                is_alone=True,
            )
            run_id, place = str(run.info.run_id), str(run.info.artifact_uri)
            # Another host may have made the run from another record of the attempt.
            tags = {} if tags.items() <= run.data.tags.items() else tags
        log_values(client, run_id, content.params, content.metrics, tags)
        log_dataset(client, run_id, record.data)
        reached("run.valued")
        return run_id, place

    def _log_files(self, run_id: str, files: Mapping[str, bytes], place: str | None = None) -> None:
        log_files(self._client(), run_id, files, self._scratch, place)

    def _show_view(self, sweep: KnownSweep, info: SweepInfo) -> None:
        tag = view_tag(info, in_order_of_space(sorted(sweep.columns), info.space))
        self._client().set_experiment_tag(sweep.experiment_id, *tag)


REVISION: Final = "dc11669786a5"
"""The revision of MLflow's schema whose rows are written here."""
_IDS: Final = uuid.UUID("0b5c1f0e-6a1d-5c0c-9f5e-3f1d2b7a9c40")


class RunTables:
    """MLflow's tables and folders, into which a new run is written in two short transactions.

    MLflow's client makes an object of every row, reads the run before each of a dozen requests, and
    looks for the folder of its files each time: 60 to 100 ms of CPU a run, in a thread that shares
    the coordinator's process. The rows and files here are those that it would write (a test
    compares whole tables). Its tables are not public, so they are written for one revision of the
    schema only, in the SQLite file of a home; any other store is written by the client.
    """

    def __init__(self, store: Any) -> None:
        """Write to the database of a `SqlAlchemyStore`."""
        self._engine, self._clean = store.engine, store.sanitize_metric_value

    def create(
        self,
        experiment_id: str,
        folder: Path,
        run_id: str,
        content: RunContent,
        data: Mapping[str, Any],
    ) -> bool:
        """Store a run, RUNNING, with its values and data; return False if its id is taken.

        The folder of its files need not exist. The data are as records keep them.

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
        metrics = []
        latest: dict[str, tuple[Any, ...]] = {}
        for key, value, timestamp, step in dict.fromkeys(content.metrics):
            is_nan, clean = self._clean(value)
            row = run_id, key, clean, timestamp, step, is_nan
            metrics.append(row)
            # The last value of a metric, by step, time and value as MLflow orders them.
            latest[key] = max(latest.get(key, row), row, key=itemgetter(4, 3, 2))
        columns = "run_uuid", "key", "value", "timestamp", "step", "is_nan"
        with suppress(sqlalchemy.exc.IntegrityError), self._transaction() as connection:
            active = connection.exec_driver_sql(
                "SELECT 1 FROM experiments WHERE experiment_id = ? AND lifecycle_stage = 'active'",
                (int(experiment_id),),
            )
            if active.first() is None:
                raise MlflowException.invalid_parameter_value(
                    f"experiment {experiment_id} is not active: it has been deleted"
                )
            _insert(connection, "runs", list(run), [tuple(run.values())])
            for table, pairs in (("tags", tags), ("params", content.params)):
                rows = [(run_id, *pair) for pair in pairs.items()]
                _insert(connection, table, ["run_uuid", "key", "value"], rows)
            _insert(connection, "metrics", columns, metrics)
            _insert(connection, "latest_metrics", columns, list(latest.values()))
            source, edge = self._dataset(connection, int(experiment_id), data), uuid.uuid4().hex
            link = {
                "input_uuid": edge,
                "source_type": "DATASET",
                "source_id": source,
                "destination_type": "RUN",
                "destination_id": run_id,
                "step": 0,
            }
            _insert(connection, "inputs", list(link), [tuple(link.values())])
            context = edge, "mlflow.data.context", CONTEXT
            _insert(connection, "input_tags", ["input_uuid", "name", "value"], [context])
            return True
        return False

    def end(self, run_id: str, status: str, end_time: int) -> None:
        """Give a run its terminal status."""
        with self._transaction() as connection:
            connection.exec_driver_sql(
                "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?",
                (status, end_time, run_id),
            )

    def _dataset(self, connection: Any, experiment_id: int, data: Mapping[str, Any]) -> str:
        """Return the id of a dataset, which MLflow keeps once an experiment."""
        name, digest = dataset_key(data)
        found = connection.exec_driver_sql(
            "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?",
            (experiment_id, name, digest),
        ).scalar()
        if found is not None:
            return str(found)
        wanted, made = dataset_of(data), uuid.uuid4().hex
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
        _insert(connection, "datasets", list(row), [tuple(row.values())])
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


def _insert(
    connection: Any, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows as the driver takes them: SQLAlchemy's own way takes longer than the database."""
    if rows:
        names, places = ", ".join(columns), ", ".join("?" * len(columns))
        # Nothing in it comes from outside: the names are those above.
        insert = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
        connection.exec_driver_sql(insert, rows)


def run_id_of(sweep_id: str, key: str, folder: Path) -> str:
    """Return the id of the run of an attempt, 32 hexadecimal digits as MLflow's own.

    It follows from sweep, attempt and folder, so that a second projector cannot double the run: the
    database refuses the id. The folder is in it because MLflow remembers, for all stores that a
    process has opened, where the files of an id are.
    """
    return uuid.uuid5(_IDS, json.dumps([sweep_id, key, str(folder)])).hex
