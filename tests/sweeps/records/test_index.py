import dataclasses
import json
import os

import numpy as np
import pytest

from sweeps.records import DamagedRecordWarning, RecordStore, recover
from sweeps.records import index as module
from sweeps.records import store as store_module
from tests.sweeps.records.test_format import make_record
from tests.sweeps.records.test_store import INFO

INDEX = os.path.join(".index", "records")  # noqa: PTH118 - as a part of a path


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The records of eight attempts of several kinds, which are enough for an index."""
    monkeypatch.setattr(store_module, "FEWEST", 8)
    store = RecordStore(tmp_path / "records" / INFO.id)
    store.create(INFO)
    for record in attempts():
        store.write(record)
    return store


def attempts():
    whole = make_record()
    for trial in range(5):
        history = {"loss": [0.1 / (trial + 1)] * trial, "accuracy": [1 / 3] * trial}
        yield attempt(whole, trial, history=history, summary=f"a model of {trial % 2} layers")
    yield attempt(whole, 5, history={"loss": [1.0, float("nan")]}, outcome="diverged")
    failed = dataclasses.replace(whole, result=None, objective=None, outcome="failed")
    error = "KaputtError: \udc80 \u4e2d\n"  # a byte that is no text, as Python keeps it
    yield dataclasses.replace(attempt(failed, 6), error=error, ends_trial=False)
    last = attempt(whole, 6, history={"loss": [0.5]})
    yield dataclasses.replace(last, resumed_from=3, files_sha256="0" * 64)


def attempt(record, trial, **changes):
    again = 2 if record.result is not None and trial == 6 else 1
    spec = dataclasses.replace(record.spec, trial=trial, attempt=again)
    result = record.result and dataclasses.replace(record.result, **changes)
    return dataclasses.replace(record, spec=spec, result=result)


def opened(monkeypatch):
    """Return the names of the records that are opened from now on."""
    names = []
    read = store_module.read_record

    def noting(path, *, arrays):
        names.append(path.name)
        return read(path, arrays=arrays)

    monkeypatch.setattr(store_module, "read_record", noting)
    return names


def sealed(*documents):
    members = {f"rows-{n}": np.frombuffer(one, np.uint8) for n, one in enumerate(documents)}
    return module.seal(module.pack_arrays({**members, "curves": np.zeros(0)}), "index")


def test_it_says_what_the_records_say_and_none_of_them_is_opened(store, monkeypatch):
    before = store.read_all()
    store.index()
    read = opened(monkeypatch)
    found = store.read_to_show()
    assert read == []
    assert list(map(repr, found)) == list(map(repr, before)), "NaN differs from itself"
    equal = [a == b for a, b in zip(found, before, strict=True)]
    assert equal == [trial != 5 for trial in range(8)], "types, too"
    kept = store.read_all(arrays=True)
    assert len(read) == len(kept) == 8
    assert all(record.result is None or record.result.arrays for record in kept)


def test_a_record_that_is_new_or_another_by_now_is_read_itself(store, monkeypatch):
    store.index()
    store.write(attempt(make_record(), 7))
    damaged = store.paths()[2]
    times = (damaged.stat().st_atime_ns, damaged.stat().st_mtime_ns)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    os.utime(damaged, ns=times)
    store.paths()[0].unlink()
    read = opened(monkeypatch)
    with pytest.warns(DamagedRecordWarning, match=r"0002-1\.record: altered record"):
        found = store.read_to_show()
    assert [record.spec.key for record in found] == [
        "0001-1", "0003-1", "0004-1", "0005-1", "0006-1", "0006-2", "0007-1",
    ]  # fmt: skip
    assert read == ["0002-1.record", "0007-1.record"]


def test_it_grows_by_what_it_lacks_and_forgets_what_is_gone(store, monkeypatch):
    store.index()
    left_by_a_kill = store.folder / ".index" / "part-1"
    left_by_a_kill.touch()
    store.write(attempt(make_record(), 7))
    store.paths()[0].unlink()
    read = opened(monkeypatch)
    store.index()
    assert read == ["0007-1.record"]
    assert [*module.read_index(store.folder)] == [path.name for path in store.paths()]
    assert not left_by_a_kill.exists()
    written = (store.folder / INDEX).stat().st_mtime_ns
    store.index()
    assert (store.folder / INDEX).stat().st_mtime_ns == written, "nothing was lacking"


def test_few_records_have_none(tmp_path):
    store = RecordStore(tmp_path / INFO.id)
    store.create(INFO)
    for record in attempts():
        store.write(record)
    store.index()
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content.replace(b"loss", b"lose"),
        lambda content: module.seal(b"nothing", "index"),
        lambda content: sealed(b"[]", b"[]"),
        lambda content: sealed(b"[" * 200_000),
        lambda content: sealed(b"[]," * 3_000_000),
        lambda content: sealed(
            json.dumps(module._signature()).encode(), b"[]", b'[["x",[1],2,3,4]]'
        ),
    ],
    ids=["torn", "empty", "altered", "no archive", "strange", "deep", "huge", "of other types"],
)
def test_one_that_is_damaged_is_as_none(store, monkeypatch, spoil):
    before = store.read_to_show()
    store.index()
    path = store.folder / INDEX
    path.write_bytes(spoil(path.read_bytes()))
    read = opened(monkeypatch)
    assert list(map(repr, store.read_to_show())) == list(map(repr, before))
    assert len(read) == 8
    store.index()
    read.clear()
    store.read_to_show()
    assert read == [], "the next start writes it anew"


def test_one_of_another_version_is_as_none(store, monkeypatch):
    store.index()
    monkeypatch.setattr(module, "FORMAT_VERSION", 3)
    assert module.read_index(store.folder) == {}


def test_a_trial_that_is_marked_to_be_run_again_has_no_outcome(store, monkeypatch):
    store.index()
    store.retries.add(["0006-1", "0000-1"], 7)
    read = opened(monkeypatch)
    marked = [record.spec.key for record in store.read_to_show() if not record.ends_trial]
    assert (marked, read) == (["0000-1", "0006-1"], [])


def test_who_goes_on_with_a_sweep_or_checks_it_trusts_no_index(store, monkeypatch):
    store.index()
    read = opened(monkeypatch)
    for look in (store.read_all, lambda: recover(store, lambda line: None)):
        read.clear()
        assert len(look()) == len(read) == 8


def test_a_folder_elsewhere_is_left_alone(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "part-1").mkdir(parents=True)
    (store.folder / ".index").symlink_to(elsewhere)
    store.index()
    assert [path.name for path in elsewhere.iterdir()] == ["part-1"]


def test_where_it_cannot_be_written_nothing_is_said(store):
    (store.folder / ".index").write_text("a file")
    store.index()
    assert len(store.read_to_show()) == 8


def test_a_sweep_that_ends_undisturbed_writes_it(run_toy, monkeypatch):
    monkeypatch.setattr(store_module, "FEWEST", 4)
    sweep = run_toy(trials=4)
    store = sweep.home.store(sweep.info.id)
    read = opened(monkeypatch)
    assert len(store.read_to_show()) == 4
    assert read == []
