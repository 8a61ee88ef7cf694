"""The records of one sweep as files: `<slot>-<attempt>.record` and `.weights` beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from sweeps.errors import UsageError
from sweeps.failpoints import reached
from sweeps.records.ending import Ending
from sweeps.records.files import make_folder, write_atomically
from sweeps.records.format import (
    FormatError,
    VersionError,
    decode,
    encode,
    pack_arrays,
    unpack_arrays,
)
from sweeps.records.generations import Generation
from sweeps.records.record import Record, SweepInfo

_INFO_FILE: Final = "sweep.json"
_ASKED_FILE: Final = "asked"
_RECORDS: Final = "[0-9]*.record"
_ARCHIVED_FILE: Final = "archived"
_ENDING_FILE: Final = "ending.json"


class RecordError(Exception):
    """A record or a weights file is missing or damaged; the message names the file."""


class DamagedRecordWarning(UserWarning):
    """A record is torn or altered; it was left out, and the next start runs its trial again."""


Report = Callable[[str], None]  # takes one line about a damaged record


def warn(line: str) -> None:
    """Report a damaged record as a warning of Python."""
    warnings.warn(line, DamagedRecordWarning, stacklevel=4)


class RecordStore:
    """Reads and writes what one folder `records/<sweep id>` holds."""

    def __init__(self, folder: Path, on_written: Callable[[str], None] | None = None) -> None:
        self.folder, self._on_written = folder, on_written  # told the key of each new record

    def create(self, info: SweepInfo) -> None:
        """Make the folder and write what is fixed for the life of the sweep.

        Raises:
            StoreError: It cannot be written.
        """
        make_folder(self.folder)
        document = dataclasses.asdict(info)
        del document["generations"]  # each has a file of its own
        self._write_json(self.folder / _INFO_FILE, document, "sweep")

    def rename(self, name: str) -> None:
        """Give the sweep another name: the one thing of it that may change."""
        document = self._read_json(self.folder / _INFO_FILE)
        assert document is not None
        self._write_json(self.folder / _INFO_FILE, {**document, "name": name}, "sweep")

    def write_generation(self, generation: Generation) -> None:
        """Begin the next generation: from this write on it is the newest, before it never was."""
        path = self._generation_path(generation.number)
        self._write_json(path, dataclasses.asdict(generation), "generation")

    def info(self) -> SweepInfo | None:
        """Return what is fixed, as the newest generation has it; None if there is no sweep here.

        Raises:
            RecordError: A file is damaged, or not a sweep's.
        """
        document = self._read_json(self.folder / _INFO_FILE)
        if document is None:
            return None
        try:
            info = SweepInfo.from_dict(document)
        except (TypeError, KeyError) as error:
            raise RecordError(f"{self.folder / _INFO_FILE}: not a sweep's, {error!r}") from None
        for generation in self._later_generations():
            info = info.extended(generation)
        return info

    def _later_generations(self) -> Iterator[Generation]:
        for number in itertools.count(2):
            path = self._generation_path(number)
            document = self._read_json(path)
            if document is None:
                return
            try:
                yield Generation.from_dict(document)
            except (TypeError, KeyError) as error:
                raise RecordError(f"{path}: not a generation's, {error!r}") from None

    @property
    def is_archived(self) -> bool:
        """Whether the sweep is to be hidden."""
        return (self.folder / _ARCHIVED_FILE).exists()

    def archive(self) -> None:
        """Hide the sweep, until it is run or restored."""
        write_atomically(self.folder / _ARCHIVED_FILE, b"", "archived")

    def unarchive(self) -> None:
        """Show the sweep again."""
        (self.folder / _ARCHIVED_FILE).unlink(missing_ok=True)

    def ask(self, trials: int) -> None:
        """Note that a start begins, and how many trials it was asked for."""
        self.unarchive()  # whoever runs it wants to see it
        (self.folder / _ENDING_FILE).unlink(missing_ok=True)
        write_atomically(self.folder / _ASKED_FILE, f"{trials}\n".encode(), "asked")

    def asked(self) -> int | None:
        """Return how many trials were asked for last, None if nobody asked yet."""
        try:
            return int((self.folder / _ASKED_FILE).read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def end(self, ending: Ending) -> None:
        """Note how the start that goes on has ended."""
        write_atomically(self.folder / _ENDING_FILE, ending.to_json(), "ending")

    def ending(self) -> Ending | None:
        """Return how the last start ended; None of one that was killed, or goes on."""
        try:
            return Ending.from_json((self.folder / _ENDING_FILE).read_bytes())
        except (FileNotFoundError, ValueError, TypeError):  # not worth refusing a whole sweep
            return None

    def write(self, record: Record) -> Record:
        """Make an attempt safe: weights first, then the record that names their digest.

        Returns:
            The record as a reader will see it, with the digest of its weights.

        Raises:
            RecordError: The attempt is recorded already: what is recorded never changes.
            StoreError: It cannot be written; nothing of it is left but, perhaps, the weights.
        """
        if self._record_path(record.spec.key).exists():
            raise RecordError(f"{self._record_path(record.spec.key)}: recorded already")
        if record.result is not None and record.result.weights is not None:
            packed = pack_arrays(record.result.weights)
            write_atomically(self._weights_path(record.spec.key), packed, "weights")
            digest = hashlib.sha256(packed).hexdigest()
            record = dataclasses.replace(record, weights_sha256=digest)
        write_atomically(self._record_path(record.spec.key), encode(record), "record")
        if self._on_written is not None:
            self._on_written(record.spec.key)
        return record

    def read_all(self, *, arrays: bool = False, report: Report = warn) -> list[Record]:
        """Return every whole record, ordered by slot and attempt.

        Args:
            arrays: Whether to unpack the arrays too.
            report: Told of each damaged record, which is left out.

        Raises:
            RecordError: One of them is of another format version.
        """
        again = "left out: the next `sweeps run` runs this trial again"
        return self.scan(lambda path, why: report(f"{path}: {why}; {again}"), arrays=arrays)

    def paths(self) -> list[Path]:
        """Return the files of the attempts recorded so far, in order."""
        return sorted(self.folder.glob(_RECORDS))

    def read(self, key: str) -> Record:
        """Return one record with its arrays, by `<slot>-<attempt>`."""
        return self._read(self._record_path(key), arrays=True)

    def weights(self, record: Record) -> dict[str, np.ndarray]:
        """Return the best-epoch weights of an attempt.

        Raises:
            UsageError: There are none: never stored, or not kept.
            RecordError: They are damaged.
        """
        path = self._weights_path(record.spec.key)
        if record.weights_sha256 is None:
            raise UsageError(f"trial {record.spec.slot} ended without weights")
        try:
            packed = path.read_bytes()
        except FileNotFoundError:
            why = "only those of baselines and the best trials are"
            raise UsageError(f"weights of trial {record.spec.slot} are not kept: {why}") from None
        if hashlib.sha256(packed).hexdigest() != record.weights_sha256:
            raise RecordError(f"{path}: damaged, the checksum does not fit its record")
        return unpack_arrays(packed)

    def drop_weights(self, key: str) -> None:
        """Delete the weights of one attempt, if they are there."""
        reached("drop.begun")
        self._weights_path(key).unlink(missing_ok=True)
        reached("drop.done")

    def scan(self, on_damage: Callable[[Path, str], None], *, arrays: bool = False) -> list[Record]:
        """Return every whole record in order, and hand over the files that are none; see above."""

        def read() -> Iterator[Record]:
            for path in self.paths():
                try:
                    yield decode(path.read_bytes(), arrays=arrays)
                except FileNotFoundError:
                    continue  # put aside meanwhile
                except VersionError as error:
                    raise RecordError(f"{path}: {error}") from None
                except FormatError as error:
                    on_damage(path, str(error))

        return sorted(read(), key=lambda record: (record.spec.slot, record.spec.attempt))

    def _read(self, path: Path, *, arrays: bool) -> Record:
        try:
            return decode(path.read_bytes(), arrays=arrays)
        except FileNotFoundError:
            raise RecordError(f"no record {path.name} in {path.parent}") from None
        except FormatError as error:
            raise RecordError(f"{path}: {error}") from None

    def _record_path(self, key: str) -> Path:
        return self.folder / f"{key}.record"

    def _weights_path(self, key: str) -> Path:
        return self.folder / f"{key}.weights"

    def _generation_path(self, number: int) -> Path:
        return self.folder / f"generation-{number}.json"

    def _write_json(self, path: Path, document: Mapping[str, Any], what: str) -> None:
        write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False).encode(), what)

    def _read_json(self, path: Path) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RecordError(
                f"{path}: damaged ({error}); put a copy of it there, or move its folder away"
            ) from None
        return document
