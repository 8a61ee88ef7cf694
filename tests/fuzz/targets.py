"""The readers of foreign bytes, each with what it refuses bytes by, and bytes to begin from.

A reader returns or refuses: any other exception, a crash, a hang or too much memory is a find. What
was found is kept in `corpus/NAME/`, and read again in the first tier (`test_corpus.py`).
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args
from unittest.mock import patch

import numpy as np
from optuna.distributions import FloatDistribution, IntDistribution, distribution_to_json

from digitexp.data.files import read_idx
from digitexp.data.loading import load_source
from digitexp.data.source import DataError
from digitexp.weights_files import read_hdf5, read_weights
from search_spaces.bodies import parse_expression
from search_spaces.errors import SpaceError
from search_spaces.loading import CATALOGUE, load_space
from sweeps.analysis.rows import trial_rows
from sweeps.errors import UsageError
from sweeps.executors.checkpoint import CheckpointFile, CheckpointPlace
from sweeps.executors.messages import Ended, Epochs, Inbox, MessageError, pack
from sweeps.home import Home
from sweeps.journal.events import (
    Archived,
    Asked,
    Checked,
    Finished,
    Imported,
    ImportedTrial,
    Learned,
    LearnedPoint,
    Noted,
    Outcome,
    Received,
    Renamed,
    Requested,
    Retried,
    Returned,
    Started,
    Unfinished,
    UnknownEventError,
)
from sweeps.journal.file import FILE
from sweeps.manage.importing import read_results
from sweeps.manage.sharing import share_sweep, unpack_sweep
from sweeps.records import (
    CodeHistory,
    Conclusions,
    ConfirmationRecord,
    RecordError,
    RecordStore,
    WordedConclusion,
)
from sweeps.records.code import ExperimentCode, SourceFile
from sweeps.records.enqueued import enqueue
from sweeps.records.sweep import Generation
from tests.sweeps.factories import SWEEP_ID, make_info, make_record

HERE: Final = Path(__file__).parent
_MANIFEST: Final = "manifest.json"
_WORK: Final = Path(tempfile.mkdtemp(prefix="fuzz-"))


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        read: Reads the bytes.
        refuses: What it may raise.
        seeds: Returns bytes to begin from.
    """

    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    seeds: Callable[[], Iterator[bytes]]


def as_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return a reader of bytes for one of files."""

    def reader(data: bytes) -> object:
        path = _WORK / name
        path.write_bytes(data)
        return read(path)

    return reader


DISTRIBUTIONS: Final = {
    "learning_rate": distribution_to_json(FloatDistribution(1e-4, 1e-2, log=True)),
    "units_1": distribution_to_json(IntDistribution(8, 128)),
}


@cache
def shared_files() -> dict[str, bytes]:
    """Return the files of a shared sweep, with every kind of event and file, without manifest."""
    home = Home(_WORK / "home")
    store = home.store(SWEEP_ID)
    info = make_info()
    store.begin(info, Requested(9), Started(began_at=1, command="sweeps run", folder="/"))
    params = {"learning_rate": 0.001, "units_1": 9}
    unfinished = Unfinished(
        trial=6, attempts=1, origin="sampled", params=params, distributions=DISTRIBUTIONS,
        config=params,
    )  # fmt: skip
    second = Generation(2, 7, 1, info.fingerprint, info.space, (), info.code, None, (unfinished,))
    store.write_generation(info.extended(second), second)
    for number, outcome in enumerate(get_args(Outcome)):
        record = make_record(number, outcome=outcome, distributions=DISTRIBUTIONS)
        if outcome == "complete":
            record.result.history["long"] = [0.5] * 10_000  # it has no room in its line
        store.append(Asked(trial=number, attempt=1, params=dict(record.params), origin="sampled"))
        store.write(record, {"log.txt": b"it wrote this"} if number else None)
    enqueue(store, {"depth": 1}, origin="enqueued")
    store.append(Noted("1", "a remarkable trial"))
    CodeHistory(store).keep(ExperimentCode({"it.py": SourceFile("ab" * 32, "pass\n")}))
    told = WordedConclusion("a", "Told", "It is trial 0. " * 5_000, ["a"], [["b"]])
    Conclusions(store).keep(
        ConfirmationRecord(SWEEP_ID, SWEEP_ID, "0000-1", "trial-0", conclusions=[told])
    )
    Conclusions(store).keep_tested("abababab-1", told)
    store.append(
        Retried(attempts=("0003-1",), opened=5), Checked(0, "it differs"), Renamed("other"),
        Learned(points=(LearnedPoint({"x": 0.5}),)), Archived(hidden=True),
        Imported(source="csv", imported_at=1, trials=(ImportedTrial("line 1", {"x": 1}, (0.5,)),)),
        Finished("KILLED", "a signal"), Received(file="x", archive="ab" * 32),
        Returned(began_at=1, seconds=1.0),
    )  # fmt: skip
    share_sweep(home, store.info() or info, _WORK / "shared.sweep")
    with zipfile.ZipFile(_WORK / "shared.sweep") as archive:
        return {
            name: archive.read(name) for name in sorted(archive.namelist()) if name != _MANIFEST
        }


def _sealed(lines: bytes) -> bytes:
    """Return lines as those of a journal, with checksums that fit."""
    return b"".join(b"\n%b %08x\n" % (line, zlib.crc32(line)) for line in lines.split(b"\n"))


def _unsealed(journal: bytes) -> bytes:
    return b"\n".join(line[:-9] for line in journal.split(b"\n") if line)


def _with(files: dict[str, bytes], name: str, content: bytes) -> dict[str, bytes]:
    """Return files with other contents of one, which the events name by their digest."""
    then, now = (hashlib.sha256(one).hexdigest() for one in (files[name], content))
    events = _unsealed(files[FILE]).replace(then.encode(), now.encode())
    others = {one: it for one, it in files.items() if one != name}
    return others | {FILE: _sealed(events), name.replace(then, now): content}


def _read_sweep(data: bytes) -> object:
    """Read an archive: the bytes themselves, or a good one with a member of these contents."""
    files = shared_files()
    names = [*files, _MANIFEST]
    chosen, content = data[0] if data else 0, data[1:]
    file, part = _WORK / "it.sweep", _WORK / "part"
    if chosen >= len(names):
        file.write_bytes(content)
    elif names[chosen] == _MANIFEST:
        file.write_bytes(_archive({_MANIFEST: content} | files))
    else:
        is_journal = names[chosen] == FILE
        files = (
            files | {FILE: _sealed(content)} if is_journal else _with(files, names[chosen], content)
        )
        file.write_bytes(_archive({_MANIFEST: _manifest(files)} | files))
    try:
        unpack_sweep(file, part)
        return trial_rows(RecordStore(part).read_all())
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _manifest(files: dict[str, bytes]) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"format": "sweeps-share 3", "name": "mlp", "id": SWEEP_ID, "files": digests}
    return json.dumps(manifest).encode()


def _sweep_seeds() -> Iterator[bytes]:
    files = shared_files()
    for number, (name, content) in enumerate(files.items()):
        yield bytes([number]) + (_unsealed(content) if name == FILE else content)
    yield bytes([len(files)]) + _manifest(files)
    yield bytes([255]) + _archive({_MANIFEST: _manifest(files)} | files)


def _read_event(data: bytes) -> object:
    """Read a line of a journal whose checksum fits, after good ones, as every command does."""
    folder = _WORK / "event"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    line = b"\n%b %08x\n" % (data, zlib.crc32(data))
    (folder / FILE).write_bytes(shared_files()[FILE] + line)
    store = RecordStore(folder)
    return store.info(), trial_rows(store.read_all(report=str)), store.state(str)


def _event_seeds() -> Iterator[bytes]:
    yield from _unsealed(shared_files()[FILE]).split(b"\n")


def _checkpoint(name: str) -> CheckpointFile:
    return CheckpointFile(CheckpointPlace(_WORK / name, "mine", 0.0), lambda *_: None)


def _read_checkpoint(data: bytes) -> object:
    """Read a sealed checkpoint, as the next attempt at its trial does."""
    file = _checkpoint("checkpoint")
    (_WORK / "checkpoint").write_bytes(hashlib.sha256(data).digest() + data)
    return file.load()


def _checkpoint_seeds() -> Iterator[bytes]:
    file = _checkpoint("saved")
    file.note({"loss": 0.5})
    file.save({"weights": [np.zeros(3)], "python": (3, (1, 2), None), "best": np.float64(1)})
    yield (_WORK / "saved").read_bytes()[32:]


def _weights_seeds() -> Iterator[bytes]:
    import h5py

    for dtype in ("float32", "float16"):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as archive:
            group = archive.create_group("layers/dense/vars")
            group.attrs["name"] = "dense"
            group["0"], group["1"] = np.ones((2, 2), dtype), np.zeros(2, dtype)
        yield buffer.getvalue()


def _read_weights(file: Path) -> object:
    with patch.object(read_hdf5, "__defaults__", (3.0,)):  # less than the fuzzer takes for a hang
        return read_weights(file)


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _digits() -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
    return images, np.arange(20, dtype=np.uint8) % 2


def _read_npz(data: bytes) -> object:
    """Read an archive: the bytes themselves, or a good one with an array of these contents."""
    file = _WORK / "it.npz"
    content = data[1:]
    if data[:1] in {b"X", b"y"}:
        with zipfile.ZipFile(file, "w") as archive:
            for name, array in zip("Xy", _digits(), strict=True):
                own = content if data[:1] == name.encode() else _npy(array)
                archive.writestr(f"{name}.npy", own)
    else:
        file.write_bytes(content)
    return load_source(str(file))


def _npz_seeds() -> Iterator[bytes]:
    images, labels = _digits()
    for name, array in (("X", images.reshape(20, 16) / 255), ("y", labels)):
        yield name.encode() + _npy(array)
    whole = _npz(x_train=images, y_train=labels, x_test=255 - images, y_test=labels)
    yield b"." + whole


def _idx_seeds() -> Iterator[bytes]:
    images, labels = _digits()
    yield struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.tobytes()
    yield struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + labels.tobytes()


def _space_seeds() -> Iterator[bytes]:
    for file in sorted(CATALOGUE.glob("*.yaml")):
        yield file.read_bytes()


def _stored_seeds() -> Iterator[bytes]:
    for name in ("smoke", "mlp"):
        yield json.dumps(load_space(name).to_dict()).encode()


def _expression_seeds() -> Iterator[bytes]:
    for text in ("layers >= 2", "units_2 <= units_1", "optimizer in [adam, 'sgd']", "x != 1e-3",
                 "depth > 0x10 and l2 > 0"):  # fmt: skip
        yield text.encode()


def _read_frame(data: bytes) -> object:
    """Feed an inbox in two pieces."""
    inbox = Inbox()
    return [message for piece in (data[:11], data[11:]) for message in inbox.feed(piece)]


def _frame_seeds() -> Iterator[bytes]:
    yield pack(Ended(7, -9)) + pack(Epochs("0001-1", [(1, {"loss": 0.5})]))


def _only_ours(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class" and arguments[0] != "sweeps.executors.messages":
        raise ImportError(f"{arguments[0]} is no message")  # a fuzzer would find os.system, too


def guard_pickles() -> None:
    """Let this process unpickle messages only; it cannot be undone."""
    sys.addaudithook(_only_ours)


TARGETS: Final = {
    "sweep": Target(_read_sweep, (UsageError,), _sweep_seeds),
    "event": Target(_read_event, (RecordError, UnknownEventError), _event_seeds),
    "checkpoint": Target(_read_checkpoint, (), _checkpoint_seeds),
    "weights": Target(as_file("it.weights.h5", _read_weights), (ValueError,), _weights_seeds),
    "npz": Target(_read_npz, (DataError,), _npz_seeds),
    "idx": Target(as_file("it-idx3-ubyte", read_idx), (DataError,), _idx_seeds),
    "space": Target(as_file("it.yaml", load_space), (SpaceError,), _space_seeds),
    "stored": Target(as_file("it.json", load_space), (SpaceError,), _stored_seeds),
    "expression": Target(
        lambda data: parse_expression(data.decode("utf-8", "replace")),
        (SpaceError,),
        _expression_seeds,
    ),
    "results": Target(
        as_file("found.csv", lambda file: read_results(str(file), None)),
        (UsageError,),
        lambda: iter([b"x,units,score\n0.5,3,0.25\n,3,nan\n", b'a;b\n"1;2";3\n']),
    ),
    "frame": Target(_read_frame, (MessageError,), _frame_seeds),
}


def read(name: str, data: bytes) -> None:
    """Read bytes by a target; what it may refuse them by is fine."""
    target = TARGETS[name]
    with suppress(*target.refuses):
        target.read(data)
