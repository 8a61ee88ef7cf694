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
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

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
from sweeps.manage.importing import read_results
from sweeps.manage.sharing import unpack_sweep
from sweeps.records import RecordError, RecordStore
from sweeps.records.format import pack_arrays, seal, unpack_arrays, unseal

HERE: Final = Path(__file__).parent
_GOLDEN: Final = HERE.parent / "golden" / "home-b7e3d90.tar.xz"
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


@cache
def golden_files() -> dict[str, bytes]:
    """Return the files of a recorded sweep: one with failed, pruned and confirmed trials."""
    with tarfile.open(_GOLDEN) as packed:
        packed.extractall(_WORK / "golden", filter="data")
    home = Home.resolve(_WORK / "golden" / "home")
    folder = home.store(home.get("bowl").id).folder
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    return {name: content for name, content in found.items() if name != "lock"}


def _read_sweep(data: bytes) -> object:
    """Read an archive: the bytes themselves, or a good one with a member of these contents."""
    names = [*sorted(golden_files()), _MANIFEST]
    chosen, content = data[0] if data else 0, data[1:]
    file, part = _WORK / "it.sweep", _WORK / "part"
    if chosen >= len(names):
        file.write_bytes(content)
    else:
        if names[chosen].endswith(".record"):
            content = seal(content)
        file.write_bytes(_archive(golden_files(), **{names[chosen]: content}))
    try:
        unpack_sweep(file, part)
        return trial_rows(RecordStore(part).read_all())
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _archive(good: dict[str, bytes], **other: bytes) -> bytes:
    """Return an archive of these files; `other` are files with other contents."""
    files = good | other
    files = {_MANIFEST: _manifest(files)} | files
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _manifest(files: dict[str, bytes]) -> bytes:
    sweep = json.loads(golden_files()["sweep.json"])
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"format": "sweeps-share 1", "name": sweep["name"], "id": sweep["id"]}
    return json.dumps(manifest | {"files": digests}).encode()


def _sweep_seeds() -> Iterator[bytes]:
    files = golden_files()
    for number, name in enumerate(sorted(files)):
        content = files[name]
        yield bytes([number]) + (unseal(content) if name.endswith(".record") else content)
    yield bytes([len(files)]) + _manifest(files)
    yield bytes([255]) + _archive(files)


def _records() -> list[str]:
    return [name for name in sorted(golden_files()) if name.endswith(".record")]


def _read_record(data: bytes) -> object:
    """Read a sealed record, as every command does.

    The first byte chooses its name, and whether the rest is its archive or the document therein.
    """
    names, first, content = _records(), data[0] if data else 0, data[1:]
    name = names[first % len(names)]
    if first >= 128:
        content = pack_arrays({"record.json": np.frombuffer(content, np.uint8)})
    folder = _WORK / "record"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / name).write_bytes(seal(content))
    store = RecordStore(folder)
    whole = store.read(name.removesuffix(".record"))
    return trial_rows([whole, *store.read_all(report=str)])


def _record_seeds() -> Iterator[bytes]:
    names = _records()
    for number, name in enumerate(names):
        archive = unseal(golden_files()[name])
        yield bytes([number]) + archive
        high = -(-128 // len(names)) * len(names)
        yield bytes([high + number]) + unpack_arrays(io.BytesIO(archive))["record.json"].tobytes()


def _checkpoint(name: str) -> CheckpointFile:
    return CheckpointFile(CheckpointPlace(_WORK / name, "mine", 0.0), lambda *_: None)


def _read_checkpoint(data: bytes) -> object:
    """Read a sealed checkpoint, as the next attempt at its trial does."""
    file = _checkpoint("checkpoint")
    (_WORK / "checkpoint").write_bytes(seal(data, "checkpoint"))
    return file.load()


def _checkpoint_seeds() -> Iterator[bytes]:
    file = _checkpoint("saved")
    file.note({"loss": 0.5})
    file.save({"weights": [np.zeros(3)], "python": (3, (1, 2), None), "best": np.float64(1)})
    yield unseal((_WORK / "saved").read_bytes(), "checkpoint")


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
    "record": Target(_read_record, (RecordError,), _record_seeds),
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
