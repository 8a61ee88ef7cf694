"""What reading a file takes of memory, measured in a process of its own; and what still goes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from sweeps.executors.attempt import checked
from sweeps.experiment import TrialResult
from sweeps.records import RecordStore
from sweeps.records.arrays import pack_arrays, unpack_arrays
from sweeps.workspace.files import (
    MOST_MEMORY,
    MOST_UNPACKED,
    FormatError,
    is_too_much,
    parse_json,
)
from tests.sweeps.factories import altered
from tests.sweeps.records.test_store import INFO, as_new, make_record, with_moved, with_result

READS = """
import sys
from pathlib import Path
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.records import RecordError, RecordStore

def taken():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

path = Path(sys.argv[1])
if path.suffix == ".sweep":
    from sweeps.manage.sharing import import_sweep
before = taken()
try:
    if path.suffix == ".sweep":
        import_sweep(Home(path.parent / "home"), path, "sqlite:///nowhere/mlflow.db")
    else:
        store, said = RecordStore(path.parent.parent), []
        record = store.read(store.read_all()[0].key, said.append)
        if path.name.endswith(".weights.npz"):
            store.weights(record)
        elif path.suffix == ".zip":
            store.files(record)
        print(*said)
except (RecordError, UsageError) as error:
    print(error)
print(taken() - before)
"""
MANY = 40_000_000


def deflated(names_and_contents, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        for name, content in names_and_contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(count):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(count, np.uint8))
    return buffer.getvalue()


def lying(archive, name):
    """Declare two bytes of a member that unpacks to many."""
    content = bytearray(archive)
    directory = content.rindex(b"PK\x01\x02", 0, content.rindex(name.encode()))
    content[directory + 24 : directory + 28] = (2).to_bytes(4, "little")
    return bytes(content)


MANIFEST = {
    "format": "sweeps-share 3",
    "name": "toy",
    "id": "20260101-abcdabcd",
    "files": {"journal.jsonl": "0" * 64},
}
BOMBS = {
    "the journal in an archive": (
        "x.sweep",
        lambda: deflated({"manifest.json": json.dumps(MANIFEST), "journal.jsonl": b"7" * 8 * MANY}),
    ),
    "the manifest": ("x.sweep", lambda: deflated({"manifest.json": b" " * 8 * MANY})),
    "a manifest of lists": (
        "x.sweep",
        lambda: deflated({"manifest.json": b"[[]," * MANY}, zipfile.ZIP_STORED),
    ),
    "an archive by another method": (
        "x.sweep",
        lambda: deflated({"manifest.json": b" " * 8 * MANY}, zipfile.ZIP_BZIP2),
    ),
    "weights": ("0007-2.weights.npz", lambda: deflated({"w.npy": npy(8 * MANY)})),
    "weights that say less": (
        "0007-2.weights.npz",
        lambda: lying(deflated({"w.npy": npy(8 * MANY)}), "w.npy"),
    ),
    "weights by another method": (
        "0007-2.weights.npz",
        lambda: deflated({"w.npy": npy(8 * MANY)}, zipfile.ZIP_LZMA),
    ),
    "arrays": ("0007-2.npz", lambda: deflated({"arrays/a.npy": npy(8 * MANY)})),
    "files of an attempt": ("0007-2.files.zip", lambda: deflated({"a": bytes(8 * MANY)})),
}
MOVED = {
    "what had no room": lambda: b" " * 3 * MANY,
    "what had no room, with lists": lambda: b"[" + b"[]," * MANY,
    "what had no room, with names": lambda: (
        b"{" + b"".join(b'"%d":{},' % number for number in range(MANY // 20))
    ),
}
ALIKE = {
    "a manifest of lists", "weights by another method", "weights that say less",
    "what had no room, with lists", "what had no room, with names",
}  # fmt: skip
"""Those that are read the way another one is."""


def cases(names):
    return [pytest.param(b, marks=pytest.mark.nightly) if b in ALIKE else b for b in names]


def read(path):
    """Read a file in another process; return what it said, and the bytes it took meanwhile."""
    command = [sys.executable, "-c", READS, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    *said, taken = ran.stdout.splitlines()
    return " ".join(said), int(taken)


def recorded(folder, name, digest):
    """Record an attempt that has the file of that name and digest; return the path of the file."""
    store = RecordStore(folder)
    store.begin(INFO)
    (folder / "trials").mkdir()
    kind = name.partition(".")[2]
    members = {"npz": "details", "weights.npz": "weights", "files.zip": "files"}
    record = with_result(make_record(), arrays={}, history={"loss": [1.0, 0.5]})
    store.write(altered(record, **{f"{members[kind]}_sha256": digest}))
    return folder / "trials" / name


@pytest.mark.slow
@pytest.mark.parametrize("bomb", cases(BOMBS))
def test_a_bomb_is_one_message_and_takes_bounded_memory(tmp_path, bomb):
    name, make = BOMBS[bomb]
    content = make()
    path = tmp_path / name
    if not name.endswith(".sweep"):
        path = recorded(tmp_path, name, hashlib.sha256(content).hexdigest())
    path.write_bytes(content)
    said, taken = read(path)
    assert said.startswith(str(path)), said
    print(f"{bomb}: {path.stat().st_size / 1e6:.1f} MB, took {taken / 1e6:.0f} MB")
    assert taken < MOST_MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("bomb", cases(MOVED))
def test_a_bomb_in_place_of_what_had_no_room_takes_bounded_memory(tmp_path, bomb):
    store = RecordStore(tmp_path)
    store.begin(INFO)
    with_moved(store, MOVED[bomb]())
    path = store.details_path("0007-2")
    said, taken = read(path)
    assert said.startswith(f"{path}: "), said
    assert said.endswith("the arrays of trial 7 are left out")
    print(f"{bomb}: {path.stat().st_size / 1e6:.1f} MB, took {taken / 1e6:.0f} MB")
    assert taken < MOST_MEMORY


def plenty():
    """Return about the largest result that is read and written: 300,000 epochs, 52 MB of arrays."""
    epochs = [0.1 + epoch / 7 for epoch in range(300_000)]
    rng = np.random.default_rng(0)
    return TrialResult(
        "complete",
        "max_epochs",
        {"accuracy": 0.5},
        dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), epochs),
        arrays={"noise": rng.random(6_500_000)},
    )


@pytest.mark.slow
def test_a_large_ordinary_record_goes_through_within_the_bound(tmp_path):
    record = make_record(result=checked(plenty()))
    store = RecordStore(tmp_path)
    store.begin(INFO)
    store.write(record)
    path = store.details_path("0007-2")
    said, taken = read(path)
    assert not said
    print(f"a large record took {taken / 1e6:.0f} MB")
    assert taken < MOST_MEMORY
    back = as_new(store).read("0007-2")
    assert back.result.history == record.result.history
    np.testing.assert_array_equal(back.result.arrays["noise"], record.result.arrays["noise"])


@pytest.mark.slow
def test_arrays_that_compress_well_are_read_again_however_many_there_are():
    arrays = {"zeros": np.zeros(MOST_UNPACKED + 1, np.uint8)}
    packed = pack_arrays(arrays)
    np.testing.assert_array_equal(unpack_arrays(io.BytesIO(packed))["zeros"], arrays["zeros"])
    assert len(pack_arrays({"zeros": np.zeros(1000)})) < 1000, "what is little is compressed"


@pytest.mark.slow
def test_a_result_that_could_not_be_read_again_fails_its_trial():
    history = {f"loss_{number}": [0.5] * 100_000 for number in range(60)}
    with pytest.raises(ValueError, match="keep what is large in `arrays`"):
        checked(TrialResult("complete", "max_epochs", {"score": 0.5}, history))


@pytest.mark.parametrize(
    "text",
    [b"[" * 200_000, b"[" * 101 + b"]" * 101, b'{"a":' * 101 + b"1" + b"}" * 101],
    ids=["without an end", "lists", "objects"],
)
def test_json_that_is_nested_too_deep_is_refused(text):
    with pytest.raises(ValueError, match="nested"):
        parse_json(text)


@pytest.mark.parametrize("text", [b"[" * 100 + b"]" * 100, b'["' + b"[" * 5000 + b'"]'])
def test_json_of_a_hundred_levels_is_read_and_a_text_has_none(text):
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'"' + b"x" * 60_000_000 + b'"', False),
        (b'"' + "\xfc".encode() * 30_000_000 + b'"', False),
        (b'"' + b"x" * 60_000_000 + "\U0001f600".encode() + b'"', True),
        (b"[" + b"0.1234567890123456," * 1_800_000 + b"0]", False),
        (b"[" + b"[]," * 3_000_000 + b"0]", True),
    ],
    ids=["a long text", "an accented text", "a text of wide characters", "a history", "lists"],
)
def test_json_counts_by_what_its_values_take(text, expected):
    assert is_too_much(text) == expected


def test_an_archive_of_endlessly_many_members_is_refused_unread():
    content = deflated({"a": b""})
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    member, last = content[start:end], bytearray(content[end:])
    last[8:12] = b"\xff" * 4
    last[12:16] = (400_000 * len(member)).to_bytes(4, "little")
    many = content[:start] + member * 400_000 + bytes(last)
    with pytest.raises(FormatError, match="it lists more than 16 MB of members"):
        unpack_arrays(io.BytesIO(many))


@pytest.mark.parametrize("name", ["0007-2.npz", "0007-2.files.zip"])
def test_a_file_larger_than_any_of_ours_is_refused_unread(tmp_path, name):
    path = recorded(tmp_path, name, "0" * 64)
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    said, taken = read(path)
    assert said.startswith(f"{path}: it has 1099511627776 bytes, and may have"), said
    assert taken < MOST_MEMORY


def test_a_journal_larger_than_any_of_ours_is_refused_unread(tmp_path):
    path = recorded(tmp_path, "0007-2.npz", "0" * 64)
    os.truncate(tmp_path / "journal.jsonl", 2**40)
    said, taken = read(path)
    assert said.startswith(f"{tmp_path / 'journal.jsonl'}: cannot be read (it has more than 2 GB)")
    assert taken < MOST_MEMORY


def test_a_result_of_more_arrays_than_a_record_may_have_fails_its_trial():
    endless = np.lib.stride_tricks.as_strided(np.zeros(1), (2**40,), (0,))
    arrays = {"endless": endless}
    with pytest.raises(ValueError, match="more than 2 GB of arrays"):
        checked(TrialResult("complete", "max_epochs", {"score": 0.5}, {}, arrays=arrays))
