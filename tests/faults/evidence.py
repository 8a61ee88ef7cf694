"""What a home holds after a case, read from the outside: journal, files of trials, mlflow.db.

The database is read by SQL, the journal as text, and records by the public reader, too: the judge
shares as little as it can with what it judges.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.analysis.rows import best_row, trial_rows
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.journal.events import Outcome
from sweeps.records import Record, RecordError
from sweeps.records.store import _readings
from tests.faults.leftovers import stale_locks, temporary_files

FINISHED = ("COMPLETE", "PRUNED", "FAIL")
STATUSES: Mapping[Outcome, tuple[str, str]] = {
    "complete": ("FINISHED", "COMPLETE"),
    "pruned": ("FINISHED", "PRUNED"),
    "diverged": ("FAILED", "FAIL"),
    "failed": ("FAILED", "FAIL"),
    "interrupted": ("KILLED", "RUNNING"),
}
"""Outcome of an attempt -> status of its MLflow run, state of the trial it ends."""


@dataclass(frozen=True)
class QueuedTrial:
    """A trial that was asked for; RUNNING until it has an outcome, PRUNED if it diverged."""

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Attempt:
    """An attempt at a trial that ended.

    Attributes:
        key: What its MLflow run is found by.
        number: 1, 2, ... at its trial; more than 1 marks a repetition.
        status: What the status of its run must be.
        state: How its trial ended by it; RUNNING if it did not end it.
    """

    key: str
    trial: int
    number: int
    status: str
    state: str
    value: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class AskedAttempt:
    """An attempt that the journal says was about to begin.

    Attributes:
        event: The number of the event.
        number: 1, 2, ... at its trial.
    """

    event: int
    trial: int
    number: int
    params: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What its record and its MLflow run are found by."""
        return f"{self.trial:04d}-{self.number}"


@dataclass(frozen=True)
class Run:
    """An MLflow run that nobody deleted."""

    kind: str
    key: str
    status: str
    state: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Model:
    """A registered model: the record digest of each version, and the trial of its champion."""

    digests: list[str]
    champion: str


@dataclass
class Evidence:
    """Everything the oracle judges.

    Attributes:
        asked: What the journal says was asked for, in its order; None where there is no journal.
        events: The numbers of all events of the journal, in its order.
        ended: The key of each attempt that the journal says has ended, in its order.
        damaged_events: Lines of the journal that are none.
        begun: The key of each training that was begun, told by the experiment itself.
        best: Trial and value of the best trial as the report has it; None if there is none.
        unreadable: What could not be read, and why.
        leftovers: Processes, locks and temporary files.
        starts: When the attempts began, seconds since the epoch.
        spans: How long they took, in seconds.
        models: Registered models of the sweep; None if there need be none.
    """

    metric: str
    maximize: bool
    trials: list[QueuedTrial] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    asked: list[AskedAttempt] | None = None
    events: list[int] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    damaged_events: list[str] = field(default_factory=list)
    begun: list[tuple[int, int]] = field(default_factory=list)
    best: tuple[int, float] | None = None
    unreadable: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    spans: list[float] = field(default_factory=list)
    models: list[Model] | None = None

    @property
    def trainings(self) -> Counter[int]:
        """Trial -> how often its training was begun."""
        return Counter(trial for trial, _ in self.begun)

    def table(self) -> list[tuple[int, str, float | None, dict[str, Any]]]:
        """Return what must not depend on any fault: trial, state, value, parameters."""
        return [(s.number, s.state, s.value, dict(s.params)) for s in self.trials]


def read_home(
    home: Path, *, tracking: Path | None = None, trainings: Path | None = None
) -> Evidence:
    """Read the one sweep of a home.

    Args:
        home: The home.
        tracking: SQLite file of the MLflow store; the home's own if None.
        trainings: Where the experiment wrote down which trainings it began.
    """
    _readings.clear()  # as another process would read it
    (info,) = Home(home).sweeps()
    store = Home(home).store(info.id)
    found = Evidence(info.metric, info.direction == "maximize")
    journal = read_journal(store.folder)
    with _noting(found):
        found.runs = read_runs(tracking or home / "mlflow.db", info.id)
        found.models = read_models(tracking or home / "mlflow.db", info.id)
    with _noting(found):
        records = store.read_all(report=_not_judged)
        if journal.damaged and not store.journal.damage:
            found.unreadable.append("the journal is damaged, and nothing is said of it")
        found.attempts = [_attempt(record) for record in records]
        found.starts = [record.started_at / 1000 for record in records]
        found.spans = [record.seconds for record in records]
        best = best_row(trial_rows(records), info.direction)
        found.best = (best.trial, float(best.objective or 0.0)) if best else None
    found.asked, found.damaged_events = journal.asked, journal.damaged
    found.events = [event["number"] for event in journal.events]
    found.ended = [_key(event) for event in journal.ended]
    found.unreadable += wrong_files(store.folder, journal)
    found.trials = _trials(found.asked, found.attempts)
    found.begun = read_trainings(trainings)
    found.leftovers = [
        *stale_locks(store.folder / "lock"),
        *temporary_files(home),
        *unnamed_files(store.folder, journal),
    ]
    return found


def read_runs(database: Path, sweep_id: str) -> list[Run]:
    """Return the runs of a sweep that are not deleted."""
    with reading(database) as connection:
        rows = connection.execute(
            "SELECT run_uuid, status FROM runs JOIN tags USING (run_uuid) WHERE lifecycle_stage ="
            " 'active' AND tags.key = 'sweep_id' AND tags.value = ? ORDER BY start_time",
            [sweep_id],
        ).fetchall()
        runs = []
        for run_id, status in rows:
            tags, params, metrics = (
                dict(connection.execute(f"SELECT key, value FROM {t} WHERE run_uuid = ?", [run_id]))
                for t in ("tags", "params", "latest_metrics")
            )
            kind, state = tags.get("kind", ""), tags.get("state", "")
            runs.append(Run(kind, tags.get("trial", ""), status, state, params, metrics))
        return runs


def read_models(database: Path, sweep_id: str) -> list[Model]:
    """Return the registered models of a sweep."""
    with reading(database) as connection:
        names = connection.execute(
            "SELECT name FROM registered_model_tags WHERE key = 'sweep_id' AND value = ?",
            [sweep_id],
        ).fetchall()
        tag = (
            "SELECT t.value FROM model_versions v JOIN model_version_tags t USING (name, version)"
            " WHERE name = ? AND t.key = ? AND v.current_stage != 'Deleted_Internal'"
        )
        alias = (
            " AND version = (SELECT version FROM registered_model_aliases a WHERE a.name = v.name)"
        )
        models = []
        for (name,) in names:
            digests = connection.execute(tag, [name, "record_digest"]).fetchall()
            champions = connection.execute(tag + alias, [name, "trial"]).fetchall()
            models.append(Model([d for (d,) in digests], champions[0][0] if champions else ""))
        return models


@dataclass(frozen=True)
class JournalText:
    """A journal, read line by line.

    Attributes:
        events: What its whole lines say, in their order.
        damaged: Its other lines.
    """

    events: list[dict[str, Any]]
    damaged: list[str]

    @property
    def asked(self) -> list[AskedAttempt]:
        """What was asked for."""
        names = ("number", "trial", "attempt", "params")
        return [AskedAttempt(*(event[n] for n in names)) for event in self._of("asked")]

    @property
    def ended(self) -> list[dict[str, Any]]:
        """The events of attempts that have ended."""
        return self._of("ended")

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"].partition(" ")[0] == kind]


def read_journal(folder: Path) -> JournalText:
    """Return the journal in the folder of a sweep.

    What stands after the last newline is being written, or was when the process was killed.
    """
    path = folder / "journal.jsonl"
    content = path.read_bytes() if path.exists() else b""
    events, damaged = [], []
    for line in filter(None, content[: content.rfind(b"\n") + 1].split(b"\n")):
        text, _, checksum = line.rpartition(b" ")
        if checksum == f"{zlib.crc32(text):08x}".encode():
            events.append(json.loads(text))
        else:
            damaged.append(repr(line[:200]))
    return JournalText(events, damaged)


_FILES: Mapping[str, str] = {"details": ".npz", "weights": ".weights.npz", "files": ".files.zip"}
"""Member of an event that has the digest of a file -> the end of its name."""


def _key(event: Mapping[str, Any]) -> str:
    return f"{event['trial']:04d}-{event['attempt']}"


def wrong_files(folder: Path, journal: JournalText) -> Iterator[str]:
    """Say which files of trials are gone or altered; weights may have been dropped."""
    for event in journal.ended:
        for member, ending in _FILES.items():
            path = folder / "trials" / f"{_key(event)}{ending}"
            if event.get(member) is None or (member == "weights" and not path.exists()):
                continue
            if not path.exists():
                yield f"{path.name} is gone"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != event[member]:
                yield f"{path.name} is not what its event says"


def unnamed_files(folder: Path, journal: JournalText) -> list[str]:
    """Return the files of trials that no event names."""
    named = {f"{_key(e)}{end}" for e in journal.ended for m, end in _FILES.items() if e.get(m)}
    return sorted(path.name for path in folder.glob("trials/*.npz") if path.name not in named)


def read_trainings(trainings: Path | None) -> list[tuple[int, int]]:
    """Return trial and attempt of each training that was begun."""
    if trainings is None or not trainings.exists():
        return []
    lines = [line.split() for line in trainings.read_text().splitlines()]
    return [(int(trial), int(attempt)) for trial, attempt, *_ in lines]


def acknowledged(home: Path) -> dict[int, tuple[float | None, dict[str, Any]]]:
    """Return the trials whose outcome is safe by now: value and parameters."""
    sweeps = Home(home).sweeps()
    records = Home(home).store(sweeps[0].id).read_all(report=_not_judged) if sweeps else []
    return {r.trial: (r.objective, dict(r.params)) for r in records if r.ends_trial}


def unasked(home: Path) -> list[str]:
    """Return the attempts that are recorded, though the journal does not say that they began."""
    sweeps = Home(home).sweeps()
    if not sweeps:
        return []
    store = Home(home).store(sweeps[0].id)
    recorded = {r.key for r in store.read_all(report=_not_judged)}  # before the journal is read
    return sorted(recorded - {attempt.key for attempt in read_journal(store.folder).asked})


def _not_judged(line: str) -> None:
    """Take a line about damage; `read_home` says what was not said."""


def _attempt(record: Record) -> Attempt:
    status, state = STATUSES[record.outcome]
    if not record.ends_trial:
        state = "RUNNING"  # the next attempt decides
    elif record.outcome == "diverged":
        state = "PRUNED"  # so that samplers learn from it
    return Attempt(
        record.key,
        record.trial,
        record.attempt,
        status,
        state,
        record.objective,
        dict(record.params),
    )


def _trials(asked: Sequence[AskedAttempt], attempts: Sequence[Attempt]) -> list[QueuedTrial]:
    """Return the trials by number: as they were asked for, and as their records say they ended."""
    params = {attempt.trial: attempt.params for attempt in [*attempts, *asked]}
    ended = {attempt.trial: attempt for attempt in attempts if attempt.state in FINISHED}
    trials = []
    for number in sorted(params):
        end = ended.get(number)
        state, value = (end.state, end.value) if end else ("RUNNING", None)
        trials.append(QueuedTrial(number, state, value, params[number]))
    return trials


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that is there already; wait for whoever has locked it."""
    if not database.exists():
        raise sqlite3.OperationalError(f"{database.name} is not there")
    with closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, timeout=30)) as connection:
        yield connection


@contextmanager
def _noting(found: Evidence) -> Iterator[None]:
    try:
        yield
    except (RecordError, UsageError, sqlite3.Error) as error:
        found.unreadable.append(f"{type(error).__name__}: {error}")
