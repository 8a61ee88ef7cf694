"""The folder of one sweep: its journal, and the files of its attempts.

journal.jsonl                the events, see `sweeps.journal`
trials/0017-1.npz            arrays of attempt 1 at trial 17; none if it has none
trials/0017-1.weights.npz    its weights, where they are kept
trials/0017-1.files.zip      what it wrote into its folder
trials/0017-1.model/         of a champion: its model in a format of its library
texts/<SHA-256>              code, and whatever has no room in a line
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from sweeps.errors import UsageError
from sweeps.journal import Journal, SweepState
from sweeps.journal.events import (
    MOST_BYTES,
    Event,
    Facts,
    Record,
    Requested,
    Skipped,
    TooLongError,
    Trained,
    curves_in,
    json_text,
    raw_json,
    to_line,
)
from sweeps.journal.file import Remote
from sweeps.records.arrays import MOST_ARRAYS, pack_arrays, read_arrays
from sweeps.records.kept_files import collect_files, pack_files, read_kept
from sweeps.records.schema import RecordError, Report, listed, unreadable, warn
from sweeps.records.sweep import Generation, SweepInfo, events_of, info_of
from sweeps.wording import counted
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import (
    MOST_PARSED,
    FormatError,
    make_folder,
    open_file,
    parse_json,
    read_file,
    remove,
    remove_temporary,
    write_atomically,
)

TRIALS: Final = "trials"
TEXTS: Final = "texts"
BINDING: Final = "shared.json"
"""The file of a home that is a copy of a database, see `sweeps.shared`."""
DELETED: Final = ".deleted-"
"""Prefix of a sweep's folder in `sweeps/` from the moment it is deleted."""
_RUNNING: Final = ".running"
_CHECKPOINTS: Final = ".checkpoints"
_ARRAYS: Final = "arrays/"
_MOVED: Final = "moved.json"
_MOVABLE: Final = (
    "history", "info", "summary", "timings", "metrics", "stop_reason", "engine", "engine_reason",
)  # fmt: skip
"""Members of a result that move into the file of arrays if they have no room in a line; the
longest goes first."""
_INLINE: Final = 16 * 1024
"""A longer history lies in the file of arrays, so that a table of many trials is read at once."""
_LARGEST: Final = MOST_ARRAYS + MOST_PARSED
"""Most bytes of a file of an attempt; weights may have more."""
_OF_AN_ATTEMPT: Final = re.compile(r"[0-9]{4,9}-[0-9]{1,9}(\.weights)?\.npz")
_KNOWN: Final = 32
_SHOWN: Final = 10
_MOST_TOLD: Final = 5000  # as many as have room in a line


class _Reading:
    """What one process has read of a journal; all stores of the folder have it in common."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.turn = threading.RLock()
        self.state = SweepState()
        self.records: list[Record] | None = None

    def refresh(self) -> SweepState:
        with self.turn:
            events, is_anew = self.journal.take()
            if is_anew:
                self.state = SweepState()
            for event in events:
                self.state.add(event)
            if is_anew or events:
                self.records = None
            return self.state


_readings: Final[OrderedDict[Path, _Reading]] = OrderedDict()
_turn: Final = threading.Lock()


def _reading(folder: Path, remote: Remote | None) -> _Reading:
    with _turn:
        found = _readings.pop(folder, None)
        if found is None:
            found = _Reading(Journal(folder))
        if remote is not None:
            found.journal.remote = remote
        _readings[folder] = found
        while len(_readings) > _KNOWN:
            _readings.popitem(last=False)
        return found


class RecordStore:
    """Reads and writes the folder `sweeps/<sweep id>` of one sweep.

    Attributes:
        folder: The folder.
        remote: The database that hosts share; None as a rule.
    """

    def __init__(self, folder: Path, remote: Remote | None = None) -> None:
        self.folder, self.remote = folder, remote
        self._read = _reading(folder, remote)

    def beside(self, sweep_id: str) -> RecordStore:
        """Return the records of another sweep of the home."""
        return RecordStore(self.folder.parent / sweep_id)

    @property
    def journal(self) -> Journal:
        """The journal of the sweep."""
        return self._read.journal

    def append(self, *events: Event) -> None:
        """Write events, all with one sync.

        Raises:
            StoreError: They cannot be written.
            TooLongError: One has no room in a line.
        """
        self.journal.append(*events)

    def state(self, report: Report = lambda line: None) -> SweepState:
        """Return what the events say.

        Args:
            report: Receives a line about each damaged event that no start has told of.

        Raises:
            UnknownEventError: An event was written by a version that is not known here.
            RecordError: The journal cannot be read.
        """
        try:
            state = self._read.refresh()
        except OSError as error:
            raise unreadable(self.journal.path, error) from None
        pairs = zip(self.journal.damaged, self.journal.damage, strict=True)
        lines = [line for number, line in pairs if number not in state.skipped]
        for line in lines[:_SHOWN]:
            report(line)
        if lines[_SHOWN:]:
            more = counted(len(lines) - _SHOWN, "more line")
            report(f"{self.journal.path}: {more} about damaged events; `sweeps doctor` has all")
        return state

    def begin(self, info: SweepInfo, *events: Event) -> None:
        """Write what the sweep is, and other events.

        Each start does so again, so that no single line of the journal is the sweep.

        Raises:
            StoreError: It cannot be written.
        """
        make_folder(self.folder)
        self.append(*events_of(info, self._keep_line), *events)

    def write_generation(self, info: SweepInfo, generation: Generation) -> None:
        """Begin the next generation of a sweep; its last event makes it the newest."""
        number = generation.number
        left = [msgspec.structs.replace(one, generation=number) for one in generation.unfinished]
        self.append(*left, events_of(info, self._keep_line)[-1])

    def info(self) -> SweepInfo | None:
        """Return the sweep as its newest generation has it; None if there is no sweep here.

        Raises:
            RecordError: What it is is lost, or cannot be read.
        """
        path, has_trials = self.journal.path, any((self.folder / TRIALS).glob("*"))
        if not (path.exists() or path.is_symlink() or has_trials):
            return None
        state = self.state()
        try:
            info = info_of(state, self._line)
        except LookupError as error:
            raise RecordError(f"{path}: {error.args[0]}; bring it back") from None
        damage = self.journal.damage
        if info is None and (damage or state.asked or state.ended or has_trials):
            why = damage[0] if damage else f"{path}: what the sweep is, is lost"
            raise RecordError(f"{why}; bring it back from a backup, or move its folder away")
        return info

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

    def ask(self, trials: int) -> None:
        """Note that a start asks for so many trials; whoever runs a sweep wants to see it."""
        state = self.state()
        if (state.requested, state.finished, state.is_archived) != (trials, None, False):
            self.append(Requested(trials))

    def write(self, record: Record, files: Mapping[str, bytes] | None = None) -> Record:
        """Write an attempt: its files first, then the event with their digests.

        Args:
            record: The attempt.
            files: Files that the attempt wrote, by name.

        Returns:
            The record as a reader will see it, with its arrays, and the digests of its files.

        Raises:
            RecordError: The attempt is recorded already: a record never changes.
            StoreError: It cannot be written; only files of it may be left.
        """
        key, result, members = record.key, record.result, dict[str, np.ndarray]()
        if key in self.state().ended:
            raise RecordError(f"{self.journal.path}: attempt {key} is recorded already")
        digests = {}
        if result is not None:
            members = {f"{_ARRAYS}{name}": array for name, array in result.arrays.items()}
            if result.weights is not None:
                path, packed = self.weights_path(key), pack_arrays(result.weights)
                digests["weights_sha256"] = self.keep_file(path, packed, "weights")
        if files:
            digests["files_sha256"] = self.write_files(key, files)
        line, moved = _fitting(msgspec.structs.replace(record, **digests))
        if moved:
            members[_MOVED] = np.frombuffer(json_text(moved).encode(), np.uint8)
        if members:
            path, packed = self.details_path(key), pack_arrays(members)
            digests["details_sha256"] = self.keep_file(path, packed, "details")
        self.append(msgspec.structs.replace(line, **digests))
        return msgspec.structs.replace(record, **digests).with_result(result)

    def read_all(self, report: Report = warn) -> list[Record]:
        """Return every whole record, ordered by trial and attempt, without its arrays.

        Args:
            report: Receives a line about each damaged event, which is left out.

        Raises:
            UnknownEventError: An event was written by a version that is not known here.
        """
        self.state(report)
        with self._read.turn:
            if self._read.records is None:
                ended = self._read.state.ended.values()
                whole = [self._whole(one) if one.moved else one for one in ended]
                self._read.records = sorted(whole, key=attrgetter("trial", "attempt"))
            return [*self._read.records]

    def _whole(self, record: Record) -> Record:
        """Return a record with what had no room in its line; without it if the file is damaged."""
        with suppress(RecordError):
            return self._joined(record, self._details(record))
        return record

    def _joined(self, record: Record, members: Mapping[str, np.ndarray]) -> Record:
        try:
            moved: Any = parse_json(members[_MOVED].tobytes()) if _MOVED in members else {}
            curves = record.curves_json
            if "history" in moved:
                curves = raw_json(moved.pop("history"))
                curves_in(bytes(curves))  # refuses at once what is none
            trained = msgspec.convert({**msgspec.to_builtins(record.trained), **moved}, Trained)
            return msgspec.structs.replace(record, trained=trained, curves_json=curves)
        except (ValueError, TypeError, AttributeError) as error:
            raise RecordError(f"{self.details_path(record.key)}: {error}") from None

    def read(self, key: str, report: Report = warn) -> Record:
        """Return one record with its arrays, by `<trial>-<attempt>`.

        Args:
            key: Its key.
            report: Receives a line if the file with its arrays is gone or damaged: what lies there
                is left out then.

        Raises:
            RecordError: There is none.
        """
        event = self.state().ended.get(key)
        if event is None:
            raise RecordError(f"no record of attempt {key} in {self.journal.path}")
        record = msgspec.structs.replace(event)  # it keeps what it has parsed
        if record.details_sha256 is None:
            return record
        try:
            members = self._details(event)
            record = self._joined(event, members) if event.moved else record
        except RecordError as error:
            report(f"{error}; the arrays of trial {record.trial} are left out")
            return record
        arrays = {
            name.removeprefix(_ARRAYS): array
            for name, array in members.items()
            if name.startswith(_ARRAYS)
        }
        return record.with_result(record.result and replace(record.result, arrays=arrays))

    def _details(self, record: Record) -> dict[str, np.ndarray]:
        """Return the members of the file of arrays of an attempt.

        Raises:
            RecordError: It is gone or damaged.
        """
        path = self.details_path(record.key)
        try:
            return read_arrays(path, record.details_sha256 or "", _LARGEST)
        except FileNotFoundError:
            raise RecordError(f"{path}: it is gone") from None
        except FormatError as error:
            raise RecordError(f"{path}: {error}") from None

    def weights(self, record: Record) -> dict[str, np.ndarray]:
        """Return the best-epoch weights of an attempt.

        Raises:
            UsageError: There are none: they were never stored, or are not kept.
            RecordError: They are damaged.
        """
        path, written = self.weights_path(record.key), self.files_path(record.key)
        if record.weights_sha256 is None:
            hint = f"; what it wrote is in {written}" if record.files_sha256 else ""
            raise UsageError(f"trial {record.trial} ended without weights{hint}")
        try:
            return read_arrays(path, record.weights_sha256)
        except FileNotFoundError:
            why = "only those of baselines and the best trials are"
            raise UsageError(f"weights of trial {record.trial} are not kept: {why}") from None
        except FormatError as error:
            raise RecordError(f"{path}: {error}") from None

    def write_files(self, key: str, files: Mapping[str, bytes]) -> str:
        """Keep the files that an attempt wrote; return the digest of their archive."""
        return self.keep_file(self.files_path(key), pack_files(files), "files")

    def files(self, record: Record) -> dict[str, bytes]:
        """Return the files that an attempt wrote, by name; see `read_kept`."""
        digest = record.files_sha256
        return {} if digest is None else read_kept(self.files_path(record.key), digest)

    def details_path(self, key: str) -> Path:
        """Return the path of the arrays of an attempt."""
        return self.folder / TRIALS / f"{key}.npz"

    def weights_path(self, key: str) -> Path:
        """Return the path of the weights of an attempt."""
        return self.folder / TRIALS / f"{key}.weights.npz"

    def model_path(self, key: str) -> Path:
        """Return the folder of the saved model of an attempt, which is there for champions."""
        return self.folder / TRIALS / f"{key}.model"

    def saved_model(self, key: str) -> dict[str, Path]:
        """Return the files of the saved model of an attempt, by name; empty if there is none."""
        folder = self.model_path(key)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path for path in found}

    def files_path(self, key: str) -> Path:
        """Return the path of the archive of the files that an attempt wrote."""
        return self.folder / TRIALS / f"{key}.files.zip"

    def named_files(self, state: SweepState) -> dict[Path, str]:
        """Return the files that events name, whether they are there or not, with their SHA-256."""
        found = [
            (path(event.key), digest)
            for event in state.ended.values()
            for path, digest in (
                (self.details_path, event.details_sha256),
                (self.weights_path, event.weights_sha256),
                (self.files_path, event.files_sha256),
            )
        ]
        diffs = (begun.diff for begun in state.generations.values())
        confirmed = (event.text for event in state.confirmed)
        tested = (event.text for event in state.tested.values())
        texts = (*diffs, *state.codes, *confirmed, *tested)
        found += [(self.text_path(text), text) for text in texts if text is not None]
        return {path: digest for path, digest in found if digest is not None}

    def altered_files(self) -> tuple[list[Path], list[Path]]:
        """Return the files that events name, and that are damaged; and those whose loss is one.

        Weights and the files of an attempt may be dropped, so that their loss is none.
        """
        damaged, gone = [], []
        for path, digest in self.named_files(self.state()).items():
            try:
                with open_file(path) as file:
                    is_ours = os.fstat(file.fileno()).st_size <= _LARGEST or "weights" in path.name
                    is_whole = is_ours and hashlib.file_digest(file, "sha256").hexdigest() == digest
            except FileNotFoundError:
                gone += [path] if path.suffixes in ([], [".npz"]) else []
                continue
            except OSError:
                is_whole = False
            damaged += [] if is_whole else [path]
        return damaged, gone

    def drop_weights(self, key: str) -> None:
        """Delete the weights of one attempt, if they are there."""
        reached("drop.begun")
        self.drop(self.weights_path(key))
        reached("drop.done")

    def drop(self, *paths: Path) -> None:
        """Delete files of the sweep, for all hosts.

        Raises:
            StoreError: The database that hosts share is away; they are still there.
        """
        if self.remote is not None and paths:
            self.remote.drop(paths)
        for path in paths:
            remove(path)

    def keep_file(self, path: Path, content: bytes, what: str) -> str:
        """Write a file of the sweep, which never changes, also for all hosts; return its digest.

        `what` is the first part of the names of its fail-points.

        Raises:
            StoreError: It cannot be written, or not there.
        """
        make_folder(path.parent, parents=False)
        write_atomically(path, content, what)
        if self.remote is not None:
            self.remote.send(path, content)
        return hashlib.sha256(content).hexdigest()

    def keep_text(self, content: bytes) -> str:
        """Keep a text beside the journal; return its digest.

        Raises:
            StoreError: It cannot be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        if self.text(digest) is None or self.remote is not None:
            self.keep_file(self.text_path(digest), content, "text")
        return digest

    def text_path(self, digest: str) -> Path:
        """Return the path of a text."""
        return self.folder / TEXTS / digest

    def text(self, digest: str) -> bytes | None:
        """Return a text by its digest; None if it is gone or altered."""
        with suppress(OSError, FormatError):
            content = read_file(self.text_path(digest))
            return content if hashlib.sha256(content).hexdigest() == digest else None
        return None

    def document(self, inline: Mapping[str, Any], digest: str | None) -> Any:
        """Return a document that lies in an event, or in a text; None if that text is lost."""
        if digest is None:
            return inline
        content = self.text(digest)
        with suppress(FormatError, ValueError):
            return None if content is None else parse_json(content)
        return None

    def _keep_line(self, text: str) -> str:
        return self.keep_text(text.encode("utf-8", "backslashreplace"))

    def _line(self, digest: str) -> str | None:
        content = self.text(digest)
        return None if content is None else content.decode(errors="replace")


def _fitting(record: Record) -> tuple[Record, Facts]:
    """Return a record that has room in a line, and the members of its result that had none.

    Raises:
        TooLongError: What does not move has no room.
    """
    moved: Facts = {}
    while (name := _to_move(record)) is not None:
        if name == "history":
            moved[name] = curves_in(bytes(record.curves_json))
            record = msgspec.structs.replace(record, curves_json=msgspec.Raw(b"{}"))
        else:
            assert record.trained is not None
            moved[name] = value = getattr(record.trained, name)
            rest = msgspec.structs.replace(record.trained, **{name: type(value)()})
            record = msgspec.structs.replace(record, trained=rest)
    return msgspec.structs.replace(record, moved=(*moved,)), moved


def _to_move(record: Record) -> str | None:
    if len(bytes(record.curves_json)) > _INLINE:
        return "history"
    # msgspec writes no character, and no number, in less than a sixth of the bytes of ours.
    with suppress(UnicodeEncodeError, OverflowError):
        if 6 * len(msgspec.json.encode(record)) + 1024 < MOST_BYTES:
            return None
    try:
        # The digest, and what the journal adds, have room beside it.
        whole = {"host": "x" * 512, "details_sha256": "0" * 64, "moved": _MOVABLE}
        to_line(msgspec.structs.replace(record, **whole))
    except TooLongError:
        if record.trained is None:
            raise
        lengths = {name: len(json_text(getattr(record.trained, name))) for name in _MOVABLE[1:]}
        lengths["history"] = len(bytes(record.curves_json))
        longest = max(_MOVABLE, key=lambda name: lengths[name])
        if lengths[longest] <= len("{}"):
            raise
        return longest
    return None


def checkpoint_files(checkpoint: Path) -> Path:
    """Return the folder with the files that belong to a checkpoint, if there are any."""
    return checkpoint.with_name(f"{checkpoint.name}.files")


def _drop(checkpoint: Path) -> None:
    with suppress(OSError):
        checkpoint.unlink(missing_ok=True)  # first: without it the files are not used any more
        remove(checkpoint_files(checkpoint))
        checkpoint.parent.rmdir()  # if it was the last one


def recover(store: RecordStore, report: Report) -> list[Record]:
    """Remove what a killed process left half done. The caller holds the sweep's lock.

    `report` receives a line about each damaged event, and about what is kept.

    Returns:
        Every whole record, ordered by trial and attempt.

    Raises:
        UnknownEventError: An event was written by a version that is not known here.
    """
    for folder in (store.folder, store.folder / TRIALS, store.folder / TEXTS):
        remove_temporary(folder)
    records = store.read_all(report=report)
    if damaged := sorted({*store.journal.damaged} - store.state().skipped)[:_MOST_TOLD]:
        store.append(Skipped(events=tuple(damaged)))
    store.drop(*strays(store))
    _keep_unrecorded(store, {record.key for record in records}, report)
    remove_temporary(store.checkpoint_path(0).parent)
    for record in records if store.checkpoint_path(0).parent.is_dir() else ():
        if record.ends_trial:  # another host has ended it
            store.drop_checkpoint(record.trial)
    return records


def strays(store: RecordStore) -> list[Path]:
    """Return the files of attempts that no event names: their end was never recorded."""
    named = store.named_files(store.state())
    folder = store.folder / TRIALS
    found = [path for path in listed(folder) if _OF_AN_ATTEMPT.fullmatch(path.name)]
    return [path for path in found if path not in named]


def _keep_unrecorded(store: RecordStore, known: Iterable[str], report: Report) -> None:
    """Keep the files of attempts that were cut off before their end was recorded."""
    known = set(known)
    for folder in sorted(store.running.glob("[0-9]*")) if store.running.is_dir() else ():
        key = folder.name.partition(".")[0]
        files = {} if key in known else collect_files(folder)
        if files:
            store.write_files(key, files)
            where = store.files_path(key)
            report(f"what attempt {key} wrote before it was cut off is in {where}")
    with suppress(OSError):
        remove(store.running)
