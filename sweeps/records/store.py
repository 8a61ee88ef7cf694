"""The records of one sweep as files: `<trial>-<attempt>.record`, beside it `.weights`, `.files`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from sweeps.errors import UsageError
from sweeps.journal import Asked, Journal
from sweeps.records.code import CodeHistory
from sweeps.records.conclusions import Conclusions, without_place
from sweeps.records.enqueued import EnqueuedPoints, Retries
from sweeps.records.format import (
    VersionError,
    encode,
    pack_arrays,
    read_record,
    read_weights,
)
from sweeps.records.index import FEWEST, Indexed, read_index, state_of, write_index
from sweeps.records.kept_files import collect_files, pack_files, read_kept
from sweeps.records.notes import IMPORTED, LEARNED, Ending, Notes, Starts
from sweeps.records.record import VERSION, Checked, Generation, Record, SweepInfo
from sweeps.records.schema import (
    TORN,
    Count,
    DamagedFileError,
    RecordError,
    Report,
    SideFile,
    json_bytes,
    listed,
    put_aside,
    read_document,
    read_numbered,
    shaped,
    unreadable,
    warn,
)
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import (
    FormatError,
    make_folder,
    remove,
    remove_temporary,
    write_atomically,
)

INFO_FILE: Final = "sweep.json"
GENERATIONS: Final = "generation-{}.json"
_RECORD: Final = re.compile(r"[0-9]{4,}-[0-9]+\.record")
_RUNNING: Final = ".running"
_CHECKPOINTS: Final = ".checkpoints"
_ARCHIVED_FILE: Final = "archived"
_FIXED: Final = "put a copy of it there, or move its folder away"
_NOTED: Final = "the next `sweeps run`, or `sweeps doctor --fix`, puts it aside"
"""The ways out for damaged files: of those that never change; of those that each start writes."""
ASKED: Final[SideFile[int]] = SideFile("asked", Count, _NOTED, "asked")
"""How many trials the sweep was last asked for."""
ENDING: Final = SideFile("ending.json", Ending, _NOTED, "ending")
"""The ending of the last start; there is none while it runs, or if it was killed."""
CHECKED: Final = SideFile("checked.json", Checked, _NOTED, "checked")
"""The result of the second training of a trial."""


class RecordStore:
    """Reads and writes the files in the folder `records/<sweep id>` of one sweep."""

    def __init__(self, folder: Path, on_written: Callable[[str], None] | None = None) -> None:
        self.folder, self._on_written = folder, on_written  # gets the key of each new record

    def create(self, info: SweepInfo) -> None:
        """Make the folder and write the facts that are fixed for the life of the sweep.

        Raises:
            StoreError: It cannot be written.
        """
        make_folder(self.folder)
        document = dataclasses.asdict(info)
        del document["generations"], document["checked"]  # each has a file of its own
        self._write_json(self.folder / INFO_FILE, document, "sweep")

    def rename(self, name: str) -> None:
        """Give the sweep another name; beside it only the Python of a script may change."""
        self._change(self.folder / INFO_FILE, name=name)

    def forget_place(self) -> None:
        """Remove the folder of its experiment, which names a place on the recording machine."""
        for path in (self.folder / INFO_FILE, *listed(self.folder, GENERATIONS.format("*"))):
            self._change(path, directory=without_place(_document(path).get("directory")))

    def name_experiment(self, experiment: str) -> None:
        """Note by which command a script is run now; its fingerprint stays that of its start."""
        for path in (*listed(self.folder, GENERATIONS.format("*")), self.folder / INFO_FILE):
            document = _document(path)
            changed = {"space": {**document["space"], "experiment": experiment}}
            whole = {"experiment": experiment} if "experiment" in document else {}
            self._change(path, **changed, **whole)

    def _change(self, path: Path, **members: Any) -> None:
        self._write_json(path, {**_document(path), **members}, "sweep")

    def write_generation(self, generation: Generation) -> None:
        """Begin the next generation: this one write makes it the newest."""
        document = dataclasses.asdict(generation)
        path = self.folder / GENERATIONS.format(generation.number)
        self._write_json(path, document, "generation")

    def info(self) -> SweepInfo | None:
        """Return the sweep as its newest generation has it; None if there is no sweep here.

        Raises:
            RecordError: A file is damaged, missing, or from a newer version.
        """
        path = self.folder / INFO_FILE
        info = read_document(path, partial(shaped, SweepInfo), _FIXED)
        if info is None:
            return None
        if info.version > VERSION:
            raise RecordError(f"{path}: version {info.version}; use the one that wrote it")
        for generation in read_numbered(self.folder, GENERATIONS, Generation, _FIXED, first=2):
            info = info.extended(generation)
        return dataclasses.replace(info, checked=self.checked())

    def checked(self, report: Report = warn) -> Checked | None:
        """Return the result of the second training; None without one, or if it is damaged."""
        return CHECKED.heard(self.folder, report)

    @property
    def running(self) -> Path:
        """The folder in which each attempt that runs has a folder of its own."""
        return self.folder / _RUNNING

    def checkpoint_path(self, trial: int) -> Path:
        """Return the path of the checkpoint of a trial that runs, or was cut off."""
        return self.folder / _CHECKPOINTS / f"{trial:04d}"

    def last_state_path(self, trial: int) -> Path:
        """Return the path of the state after the last epoch of a trial that has ended."""
        return self.folder / _CHECKPOINTS / f"{trial:04d}.last"

    def drop_checkpoint(self, trial: int) -> None:
        """Delete the checkpoint of a trial, if it has one; nothing is lost but time."""
        _drop(self.checkpoint_path(trial))

    def drop_last_state(self, trial: int) -> None:
        """Delete the state after the last epoch of a trial, if it has one."""
        _drop(self.last_state_path(trial))

    def go_on_from(self, trials: Iterable[int], trial: int) -> None:
        """Let a trial begin with the last state of the first of these that has one."""
        for other in trials:
            with suppress(OSError):  # without it the training begins anew
                os.link(self.last_state_path(other), self.checkpoint_path(trial))
                return

    @property
    def is_archived(self) -> bool:
        """Whether the sweep is hidden in lists and in MLflow."""
        return (self.folder / _ARCHIVED_FILE).exists()

    def archive(self) -> None:
        """Hide the sweep, until it is run or restored."""
        write_atomically(self.folder / _ARCHIVED_FILE, b"", "archived")

    def unarchive(self) -> None:
        """Show the sweep again."""
        (self.folder / _ARCHIVED_FILE).unlink(missing_ok=True)

    @property
    def retries(self) -> Retries:
        """The trials that failed and are to be run again."""
        return Retries(self.folder)

    @property
    def journal(self) -> Journal:
        """The journal of the sweep."""
        return Journal(self.folder)

    def asked_for(self, report: Report = warn) -> dict[int, Asked]:
        """Return for each trial in the journal, by number, its last attempt that was asked for.

        Args:
            report: Receives a line about each event that is damaged, and left out.

        Raises:
            UnknownEventError: An event was written by a version that is not known here.
            RecordError: The journal cannot be read.
        """
        try:
            events = self.journal.read(report)
        except OSError as error:
            raise unreadable(self.journal.path, error) from None
        return {event.trial: event for event in events if isinstance(event, Asked)}

    def ask(self, trials: int) -> None:
        """Note that a start begins, and how many trials it was asked for."""
        self.unarchive()  # whoever runs it wants to see it
        (self.folder / ENDING.name).unlink(missing_ok=True)
        ASKED.write(self.folder, trials)

    def asked(self, report: Report = warn) -> int | None:
        """Return how many trials were last asked for; None if none were, or the file is damaged."""
        return ASKED.heard(self.folder, report)

    def ending(self, report: Report = warn) -> Ending | None:
        """Return the ending of the last start; None if it runs, was killed, or left a bad file."""
        return ENDING.heard(self.folder, report)  # no reason to refuse a whole sweep

    def write(self, record: Record, files: Mapping[str, bytes] | None = None) -> Record:
        """Write an attempt: its weights and files first, then the record with their digests.

        Args:
            record: The attempt.
            files: Files that the attempt wrote, by name.

        Returns:
            The record as a reader will see it, with the digests of its weights and files.

        Raises:
            RecordError: The attempt is recorded already: a record never changes.
            StoreError: It cannot be written; only weights and files of it may be left.
        """
        if self._record_path(record.spec.key).exists():
            raise RecordError(f"{self._record_path(record.spec.key)}: recorded already")
        if record.result is not None and record.result.weights is not None:
            packed = pack_arrays(record.result.weights)
            write_atomically(self._weights_path(record.spec.key), packed, "weights")
            digest = hashlib.sha256(packed).hexdigest()
            record = dataclasses.replace(record, weights_sha256=digest)
        if files:
            digest = self.write_files(record.spec.key, files)
            record = dataclasses.replace(record, files_sha256=digest)
        write_atomically(self._record_path(record.spec.key), encode(record), "record")
        if self._on_written is not None:
            self._on_written(record.spec.key)
        return record

    def read_all(self, *, arrays: bool = False, report: Report = warn) -> list[Record]:
        """Return every whole record, ordered by trial and attempt.

        Args:
            arrays: Whether to unpack the arrays too.
            report: Receives a line about each damaged record, which is left out.

        Raises:
            RecordError: One of them is of another format version.
        """
        return self.scan(partial(_leave_out, report), arrays=arrays)

    def read_to_show(self, report: Report = warn) -> list[Record]:
        """Return the same without arrays, of many records from their index; see `index.py`."""
        return self.scan(partial(_leave_out, report), known=read_index(self.folder))

    def index(self) -> None:
        """Write what the records say into one file, if there are many and it lacks some of them.

        It only makes `read_to_show` faster, so that nothing is said where it cannot be written.
        """
        with suppress(OSError, RecordError):
            paths = self.paths()
            if len(paths) < FEWEST:
                return
            known = read_index(self.folder)
            found: dict[str, Indexed] = {}
            for path in paths:
                state, one = state_of(path), known.get(path.name)
                if one is not None and one.state == state:
                    found[path.name] = one
                elif state is not None:
                    with suppress(FileNotFoundError, FormatError, RecordError):
                        found[path.name] = Indexed(state, read_record(path, arrays=False))
            if found != known:
                write_index(self.folder, found)

    def paths(self) -> list[Path]:
        """Return the files of the attempts recorded so far, in order; none without a folder.

        Raises:
            RecordError: The folder cannot be read.
        """
        return [p for p in listed(self.folder) if _RECORD.fullmatch(p.name)]  # no backup copies

    def read(self, key: str) -> Record:
        """Return one record with its arrays, by `<trial>-<attempt>`.

        Raises:
            RecordError: It is missing, damaged, or of another format version.
        """
        path = self._record_path(key)
        try:
            record = _own(read_record(path, arrays=True), self._sweep_id())
            return _as_marked(record, self.retries.attempts() if record.outcome == "failed" else ())
        except FileNotFoundError:
            raise RecordError(f"no record {path.name} in {path.parent}") from None
        except FormatError as error:
            raise RecordError(f"{path}: {error}") from None

    def weights(self, record: Record) -> dict[str, np.ndarray]:
        """Return the best-epoch weights of an attempt.

        Raises:
            UsageError: There are none: they were never stored, or are not kept.
            RecordError: They are damaged.
        """
        path, written = self._weights_path(record.spec.key), self.files_path(record.spec.key)
        if record.weights_sha256 is None:
            hint = f"; what it wrote is in {written} (zip)" if record.files_sha256 else ""
            raise UsageError(f"trial {record.spec.trial} ended without weights{hint}")
        try:
            return read_weights(path, record.weights_sha256)
        except FileNotFoundError:
            why = "only those of baselines and the best trials are"
            raise UsageError(f"weights of trial {record.spec.trial} are not kept: {why}") from None
        except FormatError as error:
            raise RecordError(f"{path}: {error}") from None

    def write_files(self, key: str, files: Mapping[str, bytes]) -> str:
        """Keep the files that an attempt wrote; return the digest of their archive."""
        packed = pack_files(files)
        write_atomically(self.files_path(key), packed, "files")
        return hashlib.sha256(packed).hexdigest()

    def files(self, record: Record) -> dict[str, bytes]:
        """Return the files that an attempt wrote, by name; see `read_kept`."""
        digest = record.files_sha256
        return {} if digest is None else read_kept(self.files_path(record.spec.key), digest)

    def files_path(self, key: str) -> Path:
        """Return the path of the archive of the files that an attempt wrote."""
        return self.folder / f"{key}.files"

    def drop_weights(self, key: str) -> None:
        """Delete the weights of one attempt, if they are there."""
        reached("drop.begun")
        self._weights_path(key).unlink(missing_ok=True)
        reached("drop.done")

    def scan(
        self,
        on_damage: Callable[[Path, str], None],
        *,
        arrays: bool = False,
        known: Mapping[str, Indexed] | None = None,
    ) -> list[Record]:
        """Return every whole record in order, as `read_all`.

        Args:
            on_damage: Receives path and problem of each damaged record.
            arrays: Whether to unpack the arrays too.
            known: The index of the records, if it is to be used.

        Raises:
            RecordError: One of them is of another format version.
        """
        retried, sweep = self.retries.attempts(), self._sweep_id()

        def read() -> Iterator[Record]:
            for path in self.paths():
                one = known.get(path.name) if known else None
                try:
                    if one is not None and one.state == state_of(path):
                        record = one.record
                    else:
                        record = read_record(path, arrays=arrays)
                    yield _as_marked(_own(record, sweep), retried)
                except FileNotFoundError:
                    continue  # put aside meanwhile
                except VersionError as error:
                    raise RecordError(f"{path}: {error}") from None
                except FormatError as error:
                    on_damage(path, str(error))

        return sorted(read(), key=lambda record: (record.spec.trial, record.spec.attempt))

    def _sweep_id(self) -> str | None:
        """Return the id of the sweep; None if `sweep.json` does not say it."""
        with suppress(RecordError):
            return _document(self.folder / INFO_FILE).get("id")
        return None

    def _record_path(self, key: str) -> Path:
        return self.folder / f"{key}.record"

    def _weights_path(self, key: str) -> Path:
        return self.folder / f"{key}.weights"

    def _write_json(self, path: Path, document: Mapping[str, Any], what: str) -> None:
        write_atomically(path, json_bytes(document, indent=1), what)


def _document(path: Path) -> dict[str, Any]:
    """Return what `sweep.json` or the file of a generation holds; nothing without it."""
    return read_document(path, partial(shaped, dict[str, Any]), _FIXED) or {}


_FOREIGN: Final = "a record of another sweep"


def _own(record: Record, sweep: str | None) -> Record:
    """Return a record of this sweep; raise FormatError for one that was copied in."""
    if sweep is not None and record.spec.sweep != sweep:
        raise FormatError(f"{_FOREIGN} ({record.spec.sweep}), copied in")
    return record


def _leave_out(report: Report, path: Path, why: str) -> None:
    then = "puts it aside" if why.startswith(_FOREIGN) else "runs this trial again"
    report(f"{path}: {why}; left out: the next `sweeps run` {then}")


def checkpoint_files(checkpoint: Path) -> Path:
    """Return the folder with the files that belong to a checkpoint, if there are any."""
    return checkpoint.with_name(f"{checkpoint.name}.files")


def _drop(checkpoint: Path) -> None:
    with suppress(OSError):
        checkpoint.unlink(missing_ok=True)  # first: without it the files are not used any more
        remove(checkpoint_files(checkpoint))
        checkpoint.parent.rmdir()  # if it was the last one


def _as_marked(record: Record, retried: Collection[str]) -> Record:
    """Return a record with the marks of `sweeps retry` applied: a marked one ends no trial."""
    return dataclasses.replace(record, ends_trial=False) if record.spec.key in retried else record


_ASIDE: Final = re.compile(r"([0-9]{4,})-([0-9]+)\.record\b")


def recover(store: RecordStore, report: Report) -> list[Record]:
    """Remove half-written files and put damaged ones aside. The caller holds the sweep's lock.

    A record that is torn or altered was never acknowledged, or is lost: it is kept under another
    name, and its trial runs again. A damaged note of the start before is kept under another name
    too; the next start writes it anew.

    Args:
        store: The records of the sweep.
        report: Receives a line about each file put aside.

    Returns:
        Every whole record, ordered by trial and attempt.

    Raises:
        RecordError: One of them is of another format version.
    """

    def spare(path: Path, problem: str) -> None:
        then = "" if problem.startswith(_FOREIGN) else ", this trial runs again"
        report(f"{path.name}: {problem}; kept as {put_aside(path)}{then}")

    remove_temporary(store.folder)
    for note in (ASKED, ENDING, CHECKED, Starts.FILE):
        try:
            note.read(store.folder)
        except DamagedFileError as error:
            report(f"{error}: kept as {put_aside(error.path)}")
    records = store.scan(spare)
    known = {record.spec.key for record in records}
    for weights in listed(store.folder, "[0-9]*.weights"):
        if weights.stem not in known:
            remove(weights)
    _keep_unrecorded(store, known, report)
    remove_temporary(store.checkpoint_path(0).parent)
    for record in records if store.checkpoint_path(0).parent.is_dir() else ():
        if record.ends_trial:  # another host has ended it
            store.drop_checkpoint(record.spec.trial)
    return records


def write_missing(store: RecordStore, info: SweepInfo) -> list[Path]:
    """Write deleted `sweep.json` and `generation-N.json` anew. The caller holds the sweep's lock.

    Args:
        store: The records of the sweep; if their folder is gone, nothing is written.
        info: The sweep.

    Returns:
        The files that were written.
    """
    missing = []
    if store.folder.is_dir() and not (path := store.folder / INFO_FILE).exists():
        store.create(info.at(0))
        missing.append(path)
    for generation in info.generations[1:]:
        path = store.folder / GENERATIONS.format(generation.number)
        if store.folder.is_dir() and not path.exists():
            store.write_generation(generation)
            missing.append(path)
    return missing


def _keep_unrecorded(store: RecordStore, known: Collection[str], report: Report) -> None:
    """Keep the files of attempts that were cut off before their end was recorded."""
    for folder in listed(store.running, "[0-9]*"):
        key = folder.name.partition(".")[0]
        files = {} if key in known else collect_files(folder)
        if files:
            store.write_files(key, files)
            where = store.files_path(key)
            report(f"what attempt {key} wrote before it was cut off is in {where} (zip)")
    with suppress(OSError):
        remove(store.running)


def attempts_put_aside(store: RecordStore) -> dict[int, int]:
    """Return, by trial, the last attempt whose record was put aside; its number is used up."""
    last: dict[int, int] = {}
    for path in listed(store.folder, f"*.record*{TORN}"):
        key = _ASIDE.match(path.name)
        if key is not None:
            trial, attempt = map(int, key.groups())
            last[trial] = max(last.get(trial, 0), attempt)
    return last


def confirmed_training(store: RecordStore) -> tuple[RecordStore, SweepInfo, Record] | None:
    """Return the training that a confirmation chose as the champion, where and of which sweep.

    Args:
        store: The records of the sweep that was confirmed.

    Returns:
        None without a confirmation, or if it or the sweep with that training was deleted.

    Raises:
        RecordError: What it chose is damaged.
    """
    confirmed = Conclusions(store.folder).confirmed()
    trainings = RecordStore(store.folder.parent / confirmed.trained_in) if confirmed else None
    info = trainings.info() if trainings else None
    if confirmed is None or trainings is None or info is None:
        return None
    return trainings, info, trainings.read(confirmed.champion)


def unreadable_files(folder: Path) -> Iterator[RecordError]:
    """Yield an error for each damaged file.

    `sweep.json` and generations are left out: without them there is no sweep.
    """
    notes = (ASKED, ENDING, CHECKED, Starts.FILE, IMPORTED, LEARNED)
    readers: list[Callable[[], object]] = [
        *(partial(note.read, folder) for note in notes),
        Notes(folder).all,
        CodeHistory(folder).all,
        *Conclusions(folder).readers(),
        *EnqueuedPoints(folder).readers(),
    ]
    for read in readers:
        try:
            read()
        except RecordError as error:
            yield error
