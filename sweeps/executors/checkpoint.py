"""Checkpoints: a file with the state of a running attempt, from which the next attempt goes on.

It is written at the end of an epoch, once enough time has passed since the last one; whole or not
at all, without pickles. It is found by the next attempt at the same trial; the one after the last
epoch of a long trial by the same trial with more epochs. A file that is damaged, or of another
configuration, code, data or machine, is refused, and the trial begins anew.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from sweeps.errors import StoreError
from sweeps.experiment import PreparedData, TrialSpec
from sweeps.journal.file import FILE
from sweeps.records import Record, RecordError
from sweeps.records.arrays import pack_arrays, unpack_arrays
from sweeps.records.enqueued import EPOCHS
from sweeps.records.schema import json_bytes
from sweeps.records.store import checkpoint_files
from sweeps.workspace.files import (
    FormatError,
    make_folder,
    parse_json,
    read_file,
    write_atomically,
)

_DOCUMENT: Final = "checkpoint.json"
_DIGEST_BYTES: Final = 32
"""A checkpoint is the SHA-256 of an archive, and that archive."""
_GONE_ON: Final = frozenset({"crash", "oom", "killed"})


def is_left(record: Record) -> bool:
    """Whether the next attempt at the trial goes on from its checkpoint, not from the beginning.

    A training that raised an error or took too long would do so again from its checkpoint.
    """
    has_crashed = record.outcome == "failed" and record.reason in _GONE_ON
    return (record.outcome == "interrupted" or has_crashed) and not record.ends_trial


def owner_of(spec: TrialSpec, data: PreparedData, environment: Mapping[str, Any]) -> str:
    """Return a digest of all that decides a training: no other one may go on from its checkpoint.

    Args:
        spec: The attempt; neither its number nor that of its trial counts, nor the number of
            epochs: a state says by itself how many it is for.
        data: The data it is trained on.
        environment: Versions, processor and code, as records keep them.
    """
    cpu = environment.get("cpu", {}).get("features")
    config = {name: value for name, value in spec.config.items() if name != EPOCHS}
    facts = [spec.sweep, spec.seed, config, data.digest, data.split_digest]
    made_by = [environment.get(name) for name in ("python", "packages", "code")]
    return hashlib.sha256(json_bytes([facts, made_by, cpu])).hexdigest()


class Stored(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a checkpoint.

    Attributes:
        owner: See `owner_of`.
        epochs: The epochs that were reported, in order.
        state: The state after them, as `_encoded` returns it.
        refused: Why there is no state; None if there is one.
    """

    owner: str
    epochs: tuple[Mapping[str, float], ...]
    state: Any = None
    refused: str | None = None


@dataclass(frozen=True)
class CheckpointPlace:
    """The place of a trial's checkpoint; it travels to the process that trains.

    Attributes:
        path: The file.
        owner: See `owner_of`.
        interval_seconds: Shortest time between two checkpoints; 0: after each epoch.
        last: The file for the state after the last epoch; None: it is not saved.
    """

    path: Path
    owner: str
    interval_seconds: float
    last: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder with the files of a training that writes its own."""
        return checkpoint_files(self.path)

    def is_here(self) -> bool:
        """Whether this process can write into the folder of the sweep, an id that no other has."""
        sweep = self.path.parent.parent
        return os.access(sweep / FILE, os.R_OK) and os.access(sweep, os.W_OK)

    def said(self) -> str | None:
        """Return, in words, how an attempt that begins now uses the checkpoint; None without one.

        Its arrays are not read: whether they can be used is found out by the attempt.
        """
        try:
            stored, _ = self.read(arrays=False)
        except FileNotFoundError:
            return None
        except (FormatError, RecordError, OSError) as error:
            return f"begins anew: {error}"
        if stored.refused is not None:
            return f"begins anew: {stored.refused}"
        if self.folder.is_dir():  # only the training that wrote them knows after which epoch
            return "goes on from the files of its checkpoint"
        return f"goes on from its checkpoint, after epoch {len(stored.epochs)}"

    def read(self, *, arrays: bool = True) -> tuple[Stored, dict[str, np.ndarray]]:
        """Return what the file holds, with or without its arrays.

        Raises:
            FileNotFoundError: There is none.
            FormatError: It is damaged, or another training's.
            OSError: It cannot be read.
        """
        stored, found = decode(read_file(self.path), arrays=arrays)
        if stored.owner != self.owner:
            raise FormatError(
                "its checkpoint is of another configuration, code, data, version or processor"
            )
        return stored, found


def decode(data: bytes, *, arrays: bool = True) -> tuple[Stored, dict[str, np.ndarray]]:
    """Return what the bytes of a checkpoint hold.

    Raises:
        FormatError: They are torn, altered, or no checkpoint.
    """
    digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    try:
        if hashlib.sha256(payload).digest() != digest:
            raise FormatError("its checksum does not fit")
        members = unpack_arrays(io.BytesIO(payload), lambda name: arrays or name == _DOCUMENT)
        if _DOCUMENT not in members:
            raise FormatError(f"it has no {_DOCUMENT}")
        stored = msgspec.convert(parse_json(members.pop(_DOCUMENT).tobytes()), Stored)
    except ValueError as error:
        raise FormatError(f"its checkpoint is damaged ({error})") from None
    return stored, members


class CheckpointFile:
    """The `Checkpoint` of one attempt; see `sweeps.experiment.Checkpoint`.

    Attributes:
        resumed_from: Number of epochs that it went on from; None if it began anew.
        refused: Why its state cannot be saved; None as a rule.
    """

    def __init__(
        self, place: CheckpointPlace, report: Callable[[int, Mapping[str, float]], None]
    ) -> None:
        """Args: `report` is called with each epoch of an earlier attempt, once it is resumed."""
        self.resumed_from: int | None = None
        self.refused: str | None = None
        self._place, self._report = place, report
        self._loaded: Stored | None = None
        self._epochs: list[Mapping[str, float]] = []
        self._saved_at = time.monotonic()
        self._is_kept = False  # there is a checkpoint, so that the training is a long one
        self._is_off = False

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """Be None in another process, and in a deep copy: one training saves its state."""
        return type(None), ()

    @property
    def folder(self) -> Path:
        """See `sweeps.experiment.Checkpoint`."""
        return self._place.folder

    def note(self, metrics: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that ends."""
        self._epochs.append({name: float(value) for name, value in metrics.items()})

    def load(self) -> Any:
        """Return the state that an earlier attempt has saved; None without one."""
        try:
            stored, arrays = self._place.read()
            state = None if stored.refused is not None else _decoded(stored.state, arrays)
        except (FormatError, RecordError, OSError):  # `CheckpointPlace.said` has said it
            return None
        self._loaded = stored
        return state

    def resume(self, epochs: Sequence[Mapping[str, float]] | None = None) -> int:
        """Report the epochs of the loaded state again, or these, and return their number."""
        assert self._loaded is not None, "load() has returned no state"
        before = self._loaded.epochs if epochs is None else epochs
        self.resumed_from, self._is_kept = len(before), True
        for epoch, metrics in enumerate(before):
            self._report(epoch, metrics)
        return self.resumed_from

    def is_due(self, *, is_last: bool = False) -> bool:
        """Whether the last checkpoint is old enough; after the last epoch, whether there is one."""
        is_old = time.monotonic() - self._saved_at >= self._place.interval_seconds
        if is_last:
            is_old = self._place.last is not None and (is_old or self._is_kept)
        return is_old and not self._is_off

    def save(self, state: Any, *, is_last: bool = False) -> None:
        """Write the state; where that is impossible, say why, and write no more."""
        arrays: dict[str, np.ndarray] = {}
        try:
            encoded = _encoded(state, arrays, "state")
        except TypeError as error:
            self.refuse(f"its state cannot be saved: {error}")
            return
        stored = Stored(self._place.owner, tuple(self._epochs), encoded)
        self._write(stored, arrays, self._place.last if is_last else None)
        self._saved_at, self._is_kept = time.monotonic(), True

    def refuse(self, why: str) -> None:
        """Write why there is no state: the next attempt begins anew, and says so."""
        self.refused, self._is_off = why, True
        self._write(Stored(self._place.owner, (), refused=why), {})

    def _write(
        self, stored: Stored, arrays: Mapping[str, np.ndarray], path: Path | None = None
    ) -> None:
        document = np.frombuffer(json_bytes(msgspec.to_builtins(stored)), np.uint8)
        packed = pack_arrays({_DOCUMENT: document, **arrays}, compressed=False)
        try:
            make_folder(self._place.path.parent, parents=False)
            sealed = hashlib.sha256(packed).digest() + packed
            write_atomically(path or self._place.path, sealed, "checkpoint")
        except StoreError as error:  # the training is worth more than its checkpoint
            self.refused, self._is_off = str(error), True


def _encoded(value: Any, arrays: dict[str, np.ndarray], where: str) -> Any:
    """Return a state as JSON, in which arrays are named; they are added to `arrays`.

    Raises:
        TypeError: Something in it is neither plain data nor an array.
    """
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject or value.dtype.kind == "V":
            raise TypeError(f"{where} is an array of {value.dtype}")
        name = str(len(arrays))
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "number": name}
    if type(value) in {list, tuple}:
        found = [_encoded(one, arrays, f"{where}[{n}]") for n, one in enumerate(value)]
        return found if type(value) is list else {"tuple": found}
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {"dict": {k: _encoded(one, arrays, f"{where}.{k}") for k, one in value.items()}}
    raise TypeError(f"{where} is of type {type(value).__name__}")


def _decoded(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the state that `_encoded` was given.

    Raises:
        FormatError: It is none.
    """
    if isinstance(value, list):
        return [_decoded(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    try:
        ((kind, content),) = value.items()
        match kind:
            case "array":
                return arrays[content]
            case "number":
                return arrays[content][()]
            case "tuple":
                return tuple(_decoded(one, arrays) for one in content)
            case "dict":
                return {name: _decoded(one, arrays) for name, one in content.items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        pass
    raise FormatError("its checkpoint is damaged (no state)")
