"""The folder of a sweep: what was written is read to the bit, and what is damaged is named."""

import dataclasses
import hashlib
import json
import math
import subprocess
import sys
import zlib

import msgspec
import numpy as np
import pytest

from sweeps.errors import StoreError, UsageError
from sweeps.experiment import TrialResult, TrialSpec
from sweeps.journal.events import (
    MOST_BYTES,
    Archived,
    Asked,
    Noted,
    Renamed,
    Retried,
    TooLongError,
    Unfinished,
    UnknownEventError,
    to_line,
)
from sweeps.records import (
    DamagedRecordWarning,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
    notes_of,
    recover,
)
from sweeps.records import store as module
from sweeps.records.arrays import pack_arrays
from sweeps.records.enqueued import (
    enqueue,
    opened_at_retry,
    trials_in_all,
    trials_to_retry,
    waiting_points,
)
from sweeps.records.sweep import Generation
from tests.homes import whole_records
from tests.sweeps.factories import altered, recorded

INFO = SweepInfo(
    id="20260101-abcd",
    name="toy",
    created_at=1,
    experiment="toy:experiment",
    experiment_name="toy",
    metric="score",
    direction="maximize",
    epoch_metric=None,
    fingerprint={"seed": 0},
    space={"parameters": {}},
    data={"name": "toy"},
    baselines=("one", "two"),
    code={"commit": None, "diff": "+\u65e5\n"},
)


@pytest.fixture
def store(tmp_path):
    store = RecordStore(tmp_path / "sweeps" / INFO.id)
    store.begin(INFO)
    return store


def make_record(trial=7, attempt=2, **changes) -> Record:
    """Return an attempt with numbers and texts that JSON has no form for."""
    result = TrialResult(
        outcome="complete",
        stop_reason="early_stopping",
        metrics={"accuracy": 0.1 + 0.2, "worst": -math.inf},
        history={"loss": [1.0, -0.0], "val_loss": [5e-324, math.nan]},
        arrays={"confusion": np.arange(18, dtype=np.uint16).reshape(2, 3, 3)},
        timings={"train_seconds": 0.25},
        summary='日本 "quoted" \n 🙂 \udc80',
        info={"class_names": ["0", "1"], "odd": [math.nan, None, {"\ud800": 2**80}]},
    )
    members = {
        "spec": TrialSpec(INFO.id, trial, attempt, 2**31 - 1, {"x": 1e-4, "on": True, "off": None}),
        "outcome": "complete",
        "reason": "early_stopping",
        "ends_trial": True,
        "error": None,
        "params": {"x": 1e-4},
        "distributions": {
            "x": '{"name": "FloatDistribution", "attributes": '
            '{"step": null, "low": 1e-05, "high": 1.0, "log": true}}'
        },
        "objective": -0.0,
        "data": {"name": "toy", "digest": "ab"},
        "origin": "sampled",
        "environment": {"python": "3.11"},
        "started_at": 1000,
        "finished_at": 3500,
    }
    return recorded(result, **{**members, **changes})


def seen(record):
    """Return what a reader sees of a record, in which NaN and -0.0 are told apart."""
    known = {name: getattr(record, name) for name in Record.__struct_fields__}
    own = {name: known[name] for name in known if name not in {"number", "at", "host", "moved"}}
    parsed = {name: value for name, value in own.items() if not name.endswith("_json")}
    facts = record.data, record.environment, record.distributions, record.result
    return repr([{**parsed, "epochs": 0, "trained": None}, facts])


def with_result(record, **changes):
    return altered(record, result=dataclasses.replace(record.result, **changes))


def with_weights(trial, attempt=1):
    return with_result(make_record(trial, attempt), weights={"w": np.array([trial, 0.5])})


def as_new(store):
    """Return the store as another process sees it."""
    module._readings.clear()
    return RecordStore(store.folder)


def files(store):
    found = (path for path in store.folder.rglob("*") if path.is_file())
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in found}


ENDED = b'\n{"kind":"ended 2"'


def lines(store):
    return store.journal.path.read_bytes().split(b"\n\n")


# What a sweep is.


def test_what_was_fixed_at_creation_reads_back_equal(store):
    assert as_new(store).info() == INFO


def test_a_folder_without_a_sweep_has_no_info(tmp_path):
    assert RecordStore(tmp_path / "nothing").info() is None


def test_each_start_repeats_what_the_sweep_is_so_that_no_line_is_the_sweep(store):
    store.begin(INFO)
    path = store.journal.path
    path.write_bytes(path.read_bytes().replace(b"begun", b"began", 1))
    again = as_new(store)
    assert again.info() == INFO
    (damage,) = again.journal.damage
    assert "event 1 is damaged" in damage


def test_a_sweep_whose_only_beginning_is_lost_is_an_error(store):
    store.write(make_record())
    path = store.journal.path
    path.write_bytes(path.read_bytes().replace(b"begun", b"began"))
    with pytest.raises(RecordError, match=r"event 1 is damaged .*; bring it back from a backup"):
        as_new(store).info()


LEFT = Unfinished(
    trial=1, attempts=2, origin="sampled", params={"x": 1}, distributions={}, config={"x": 1}
)


def generation(number, first_trial, **changes):
    made = Generation(
        number=number,
        first_trial=first_trial,
        created_at=number,
        fingerprint={"seed": 0, "space": str(number)},
        space={"generation": number},
        baselines=("three",),
        code={"commit": None},
        directory=None,
        unfinished=(LEFT,),
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def extended(store):
    """The sweep with three generations."""
    second, third = generation(2, 5), generation(3, 9, unfinished=())
    store.write_generation(INFO.extended(second), second)
    store.write_generation(INFO.extended(second).extended(third), third)
    (left,) = store.info().at(5).unfinished
    assert msgspec.structs.replace(left, number=0, at=0, host="", generation=0) == LEFT
    return dataclasses.replace(second, unfinished=(left,)), third


def test_a_sweep_is_read_as_its_newest_generation_has_it_and_knows_the_earlier(store, extended):
    assert (INFO.generation, INFO.at(7)) == (1, INFO)
    second, third = extended
    info = as_new(store).info()
    assert info == INFO.extended(second).extended(third)
    assert (info.generation, info.first_trial, info.unfinished) == (3, 9, ())
    assert (info.id, info.created_at) == (INFO.id, 1)
    assert info.space == info.at(9).space == {"generation": 3}
    assert info.at(8) == info.at(5) == INFO.extended(second)
    assert info.at(5).unfinished == second.unfinished
    assert info.at(4).space == INFO.space
    assert info.at(4).generation == 1
    store.begin(info)
    assert as_new(store).info() == info


@pytest.mark.parametrize("number", [1, 2])
def test_a_generation_that_is_lost_is_an_error_until_a_start_has_repeated_it(
    store, extended, number
):
    info = store.info()
    path = store.journal.path
    whole = path.read_bytes()
    begun = b'"generation":%d,"first_trial"' % number
    assert whole.count(begun) == 1
    path.write_bytes(whole.replace(begun, begun.replace(b"generation", b"generatiom")))
    again = as_new(store)
    with pytest.raises(RecordError, match=rf"generation {number} of the sweep is, is lost; bring"):
        again.info()
    again.begin(info)
    assert as_new(store).info() == info


def test_the_number_of_trials_asked_for_is_remembered(store):
    assert store.state().requested is None
    store.ask(40)
    store.ask(40)
    assert as_new(store).state().requested == 40
    assert len(lines(store)) == 2, "what is known is not written again"


def test_an_archived_sweep_is_hidden_until_it_is_restored_or_run(store):
    assert not store.state().is_archived
    store.append(Archived(hidden=True))
    assert as_new(store).state().is_archived
    store.append(Archived(hidden=False))
    assert not as_new(store).state().is_archived
    store.append(Archived(hidden=True))
    store.ask(3)
    assert not as_new(store).state().is_archived


def test_a_renamed_sweep_keeps_its_name_when_it_is_repeated(store):
    store.append(Renamed("tidy"))
    assert as_new(store).info() == dataclasses.replace(INFO, name="tidy")
    store.begin(store.info())
    assert as_new(store).info().name == "tidy"


# Attempts.


def test_a_record_read_back_equals_what_was_written_to_the_bit(store):
    record = make_record()
    written = store.write(record)
    (back,) = whole_records(as_new(store))
    arrays, expected = back.result.arrays, record.result.arrays
    assert arrays["confusion"].dtype == np.uint16
    np.testing.assert_array_equal(arrays["confusion"], expected["confusion"])
    plain = {"arrays": {}}
    assert seen(with_result(back, **plain)) == seen(with_result(written, **plain)), "NaN, -0.0"
    assert math.copysign(1, back.objective) == math.copysign(1, back.result.history["loss"][1])
    assert back.seconds == 2.5
    assert store.read("0007-2").details_sha256 == written.details_sha256


def test_tables_are_made_without_a_look_at_arrays(store):
    written = store.write(make_record())
    store.details_path("0007-2").unlink()
    (found,) = as_new(store).read_all()
    assert seen(found) == seen(with_result(written, arrays={}))


def test_a_small_record_has_no_file_of_its_own(store):
    before = set(files(store))
    written = store.write(with_result(make_record(), arrays={}))
    assert set(files(store)) == before
    assert written.details_sha256 is None


def test_a_failed_attempt_has_no_result(store):
    error = "KaputtError: \udc80 \u4e2d\n"  # a byte that is no text, as Python keeps it
    failed = make_record(outcome="failed", result=None, objective=None, error=error)
    store.write(failed)
    assert list(map(seen, as_new(store).read_all())) == [seen(failed)]


def test_what_it_went_on_from_and_what_the_pruner_knew_come_back(store):
    record = make_record(resumed_from=3, pruner_attrs={"rungs": [1, -math.inf]})
    store.write(with_result(record, arrays={}))
    (found,) = as_new(store).read_all()
    assert (found.resumed_from, found.pruner_attrs) == (3, {"rungs": [1, -math.inf]})


def test_records_come_back_in_the_order_of_trial_and_attempt(store):
    for trial, attempt in [(10, 1), (2, 2), (2, 1), (0, 1)]:
        store.write(with_weights(trial, attempt))
    found = [(r.trial, r.attempt) for r in store.read_all()]
    assert found == [(0, 1), (2, 1), (2, 2), (10, 1)]


def test_what_is_recorded_is_never_overwritten(store):
    store.write(with_weights(3))
    before = files(store)
    with pytest.raises(RecordError, match=r"attempt 0003-1 is recorded already"):
        store.write(altered(with_weights(3), objective=0.1))
    assert files(store) == before


def test_a_failed_write_leaves_no_trace(store):
    before = files(store)
    hostile = with_result(make_record(), arrays={"a": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        store.write(hostile)
    assert files(store) == before
    assert store.read_all() == []


def test_a_model_is_told_of_the_data_first_and_of_what_the_result_adds():
    record = with_result(make_record(), info={"temperature": 1.5, "n_train": 7})
    told = altered(record, data={"info": {"n_train": 4000}}).model_info
    assert told == {"temperature": 1.5, "n_train": 4000}
    assert altered(
        record, result=None, outcome="failed", objective=None, data={"info": {"a": 1}}
    ).model_info == {"a": 1}


# What has no room in a line.


LONG = [0.1 + epoch / 7 for epoch in range(20_000)]
LARGE = {
    "history": {"loss": LONG, "val_loss": [*LONG, math.nan, -0.0]},
    "info": {"odd \ud800": [math.nan, "\udc80", LONG]},
    "summary": "\udc80\u65e5" * 20_000,
    "timings": {f"step {number}": number / 3 for number in range(5000)},
    "metrics": {f"metric {number}": -math.inf for number in range(5000)},
    "stop_reason": "why " * 20_000,
    "engine": "x" * MOST_BYTES,
    "engine_reason": "y" * MOST_BYTES,
}


@pytest.mark.parametrize("names", [*([name] for name in LARGE), [*LARGE]], ids="+".join)
def test_what_is_large_moves_into_the_file_of_the_attempt_and_comes_back(store, names):
    large = {name: LARGE[name] for name in names}
    written = store.write(with_result(make_record(), **large))
    assert len(lines(store)[-1]) < MOST_BYTES
    again = as_new(store)
    (found,) = again.read_all()
    assert seen(found) == seen(with_result(written, arrays={}))
    assert again.state().ended["0007-2"].moved == tuple(names)
    with_arrays = again.read("0007-2")
    assert with_arrays.result.arrays.keys() == {"confusion"}
    assert repr(with_arrays.result.info) == repr(written.result.info)


def test_a_history_that_has_room_in_a_line_moves_so_that_tables_are_read_at_once(store):
    store.write(with_result(make_record(), history={"loss": LONG[:1000]}, arrays={}))
    assert len(lines(store)[-1]) < 4000
    (found,) = as_new(store).read_all()
    assert found.result.history == {"loss": LONG[:1000]}


@pytest.mark.parametrize("character", ["a", "\x01", "\x7f", "é", "€", "🙂", "\ud800"])
def test_texts_about_as_long_as_a_line_come_back_whatever_their_characters(store, character):
    """Some take six times as many bytes in a line as in UTF-8."""
    length = len(json.dumps(character)) - 2
    for number, size in enumerate(range(MOST_BYTES - 4000, MOST_BYTES + 400, 400)):
        plain = with_result(make_record(number), summary=character * (size // length), info={})
        store.write(plain)
        assert as_new(store).read(plain.key).result.summary == plain.result.summary
    assert max(map(len, lines(store))) < MOST_BYTES + 16


@pytest.mark.parametrize("damage", ["gone", "altered", "another's", "no archive"])
def test_a_file_that_is_gone_or_altered_costs_details_and_no_result(store, damage):
    written = store.write(with_result(make_record(), history=LARGE["history"]))
    store.write(make_record(8))
    path = store.details_path("0007-2")
    match damage:
        case "gone":
            path.unlink()
        case "altered":
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        case "another's":
            path.write_bytes(store.details_path("0008-2").read_bytes())
        case _:
            path.write_bytes(b"nothing")
    again = as_new(store)
    lost = with_result(written, history={}, arrays={})
    assert seen(again.read_all()[0]) == seen(lost), "its metrics, and all else"
    told = []
    assert seen(again.read("0007-2", told.append)) == seen(lost)
    assert len(told) == 1
    assert told[0].startswith(f"{path}: ")
    assert told[0].endswith("the arrays of trial 7 are left out")
    assert again.read("0008-2").result.arrays.keys() == {"confusion"}


def with_moved(store, text):
    """Record an attempt whose file has this text in place of what had no room, and fits."""
    packed = pack_arrays({module._MOVED: np.frombuffer(text, np.uint8)})
    path = store.details_path("0007-2")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed)
    event = with_result(make_record(), arrays={})
    digest = hashlib.sha256(packed).hexdigest()
    store.append(msgspec.structs.replace(event, details_sha256=digest, moved=("history",)))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"7", b"[1]", b"[" * 200_000, b'{"history": 3}', b'{"history": {"a": [true]}}',
        b'{"strange": 1}', b'{"metrics": {"a\\nb": 1.0}}', b'{"summary": "\xff"}',
    ],
)  # fmt: skip
def test_a_file_of_an_archive_that_holds_no_details_costs_them_only(store, text):
    with_moved(store, text)
    (found,) = as_new(store).read_all()
    assert repr(found.result) == repr(with_result(make_record(), arrays={}).result)


@pytest.mark.parametrize(
    "changes",
    [
        {"error": "x" * MOST_BYTES},
        {"spec": TrialSpec(INFO.id, 7, 2, 1, {f"x{number}": 1.0 for number in range(9000)})},
        {"params": {"x": "y" * MOST_BYTES}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_may_not_move_and_has_no_room_is_refused_and_nothing_is_written(store, changes):
    before = files(store)
    with pytest.raises(TooLongError, match=r"'ended' would take .* bytes in the journal"):
        store.write(make_record(**changes))
    assert files(store) == before


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.faults)])
def test_every_flipped_bit_of_the_file_of_an_attempt_costs_its_arrays_only(store, step):
    written = store.write(make_record())
    path = store.details_path("0007-2")
    whole = path.read_bytes()
    for position in range(0, len(whole), step):
        for bit in range(8):
            altered = bytearray(whole)
            altered[position] ^= 1 << bit
            path.write_bytes(altered)
            told = []
            found = store.read("0007-2", told.append)
            assert seen(found) == seen(with_result(written, arrays={}))
            assert len(told) == 1


# Weights, and files that an attempt wrote.


def test_weights_are_read_back_and_checked_against_their_record(store):
    record = store.write(with_weights(3))
    np.testing.assert_array_equal(store.weights(record)["w"], [3, 0.5])
    path = store.weights_path("0003-1")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordError, match="damaged"):
        store.weights(record)


def test_dropped_weights_are_gone_and_the_others_stay(store):
    records = [store.write(with_weights(trial)) for trial in range(2)]
    store.drop_weights("0000-1")
    store.drop_weights("0000-1")
    assert [p.name for p in store.folder.rglob("*.weights.npz")] == ["0001-1.weights.npz"]
    with pytest.raises(UsageError, match="not kept: only those of baselines and the best"):
        store.weights(records[0])


def test_an_attempt_without_weights_says_so(store):
    failed = make_record(outcome="failed", result=None, objective=None)
    with pytest.raises(UsageError, match=r"ended without weights$"):
        store.weights(store.write(failed))
    wrote = store.write(altered(failed, trial=8), {"a": b"x"})
    with pytest.raises(UsageError, match=r"what it wrote is in .*0008-2\.files\.zip"):
        store.weights(wrote)


def test_what_an_attempt_wrote_is_kept_and_checked(store):
    record = store.write(make_record(), {"stdout.txt": b"printed"})
    assert as_new(store).files(record) == {"stdout.txt": b"printed"}
    path = store.files_path("0007-2")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordError, match=r"0007-2\.files\.zip: damaged"):
        store.files(record)
    path.unlink()
    assert list(store.files(record)) == ["left_out.txt"]


# Damage.


def test_a_damaged_event_is_named_and_left_out(store):
    store.write(with_weights(3))
    store.write(make_record())
    path = store.journal.path
    path.write_bytes(path.read_bytes().replace(b'"attempt":2', b'"attempt":3'))
    again = as_new(store)
    with pytest.warns(DamagedRecordWarning, match=r"journal\.jsonl: event 5 is damaged"):
        found = again.read_all()
    assert [r.trial for r in found] == [3]
    with pytest.raises(RecordError, match=r"no record of attempt 0099-1 in .*journal\.jsonl"):
        again.read("0099-1")


@pytest.mark.parametrize("step", [47, pytest.param(1, marks=pytest.mark.faults)])
def test_of_a_journal_that_is_cut_every_whole_attempt_is_there(store, step):
    for trial in range(3):
        store.write(with_weights(trial))
    path = store.journal.path
    whole = path.read_bytes()
    ends = [whole.index(b"\n", n + 1) for n in range(len(whole)) if whole.startswith(ENDED, n)]
    for length in range(len(whole), len(lines(store)[0]), -step):
        path.write_bytes(whole[:length])
        found = as_new(store).read_all(report=pytest.fail)
        assert [r.trial for r in found] == [trial for trial in range(3) if ends[trial] <= length]
        assert all(r.environment and r.distributions and r.data for r in found)


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.faults)])
def test_every_flipped_bit_costs_one_attempt_and_is_said(store, step):
    for trial in range(3):
        store.write(make_record(trial))
    path = store.journal.path
    whole = path.read_bytes()
    trials = {0, 1, 2}
    for position in range(len(lines(store)[0]) + 3, len(whole) - 1, step):
        altered = bytearray(whole)
        altered[position] ^= 1 << position % 8
        path.write_bytes(altered)
        told = []
        records = as_new(store).read_all(report=told.append)
        found = {r.trial for r in records}
        assert len(trials - found) <= len(told) <= 1
        assert found <= trials
        assert all(r.environment and r.distributions and r.data for r in records)


def test_what_a_killed_coordinator_left_half_done_is_cleared(store):
    for trial in range(3):
        store.write(with_weights(trial))
    expected = set(files(store))
    for half in ("trials/.0003-1.npz.4711.tmp", ".journal.jsonl.4711.tmp", "texts/.ab.4711.tmp"):
        (store.folder / half).write_bytes(b"half")
    for stray in ("0003-1.npz", "0003-1.weights.npz"):
        (store.folder / "trials" / stray).write_bytes(b"of an attempt that was never recorded")
    running = store.running / "0003-1" / "output"
    running.mkdir(parents=True)
    (running / "model.bin").write_bytes(b"written before it was killed")
    with store.journal.path.open("ab") as file:
        file.write(to_line(Asked(trial=3, attempt=1, params={}, origin="sampled"))[:-20])
    told = []
    again = as_new(store)
    assert [r.trial for r in recover(again, told.append)] == [0, 1, 2]
    assert set(files(store)) == expected | {"trials/0003-1.files.zip"}
    kept = store.folder / "trials" / "0003-1.files.zip"
    assert told == [f"what attempt 0003-1 wrote before it was cut off is in {kept}"]
    again.write(with_weights(3))
    assert [r.trial for r in as_new(store).read_all(report=pytest.fail)] == [0, 1, 2, 3]


def test_an_event_of_another_version_is_neither_left_out_nor_put_aside(store):
    store.write(make_record())
    future = Asked(number=3, trial=8, attempt=1, params={}, origin="sampled", by="9.0")
    text = to_line(future).strip().rpartition(b" ")[0].replace(b"asked 1", b"asked 2")
    with store.journal.path.open("ab") as file:
        file.write(b"\n%b %08x\n" % (text, zlib.crc32(text)))
    before = files(store)
    again = as_new(store)
    for read in (again.read_all, lambda: recover(again, lambda line: None), again.info):
        with pytest.raises(UnknownEventError, match=r"use the one that wrote it \(9\.0\)"):
            read()
    assert files(store) == before


# What a user asks of it.


def failed(trial, attempt=1, **changes):
    return make_record(trial, attempt, outcome="failed", result=None, objective=None, **changes)


def test_a_trial_that_is_marked_to_be_run_again_has_no_outcome_until_its_next_attempt(store):
    for trial in range(3):
        store.write(failed(trial))
    store.append(Retried(attempts=("0000-1", "0002-1"), opened=7))
    again = as_new(store)
    assert [r.trial for r in again.read_all() if not r.ends_trial] == [0, 2]
    assert not again.read("0000-1").ends_trial
    assert opened_at_retry(again.state()) == {0: 7, 2: 7}

    def to_retry():
        found = trials_to_retry("toy", again.state(), again.read_all(), [])
        return {trial: record and record.key for trial, record in found.items()}

    assert to_retry() == {0: None, 1: "0001-1", 2: None}
    again.write(make_record(0, 2))
    assert to_retry() == {1: "0001-1", 2: None}
    assert [r.ends_trial for r in again.read_all() if r.trial == 0] == [False, True]


ENQUEUES = """
import sys
from pathlib import Path
from sweeps.records import RecordStore
from sweeps.records.enqueued import enqueue
from sweeps.workspace.locks import exclusive

folder, who = Path(sys.argv[1]), float(sys.argv[2])
store = RecordStore(folder)
for number in range(20):
    with exclusive(folder.parent):
        enqueue(store, {"x": who + number}, origin="enqueued")
"""


def test_points_that_two_processes_enqueue_at_once_are_all_there_each_with_its_number(store):
    command = [sys.executable, "-c", ENQUEUES, str(store.folder)]
    both = [subprocess.Popen([*command, who]) for who in ("100", "200")]
    assert [one.wait(60) for one in both] == [0, 0]
    points = as_new(store).state().points
    assert sorted(points) == list(range(1, 41))
    values = [points[number].params["x"] for number in sorted(points)]
    for who in (100, 200):
        assert [x for x in values if who <= x < who + 100] == [who + n for n in range(20)]


def test_a_point_waits_until_an_attempt_that_tries_it_was_asked_for(store):
    def waiting(of):
        return [(one.point, repr(one.params)) for one in waiting_points(of.state(), fits)]

    def fits(params):
        return params["x"] < 1

    assert (waiting(store), trials_in_all(store.state(), 5, 0, fits)) == ([], 5)
    for x in (0.5, -0.0, 7.0):
        enqueue(store, {"x": x}, origin="enqueued")
    assert waiting(store) == [(1, "{'x': 0.5}"), (2, "{'x': -0.0}")], "the third does not fit"
    store.append(Asked(trial=3, attempt=1, params={"x": 0.5}, origin="enqueued", point=1))
    again = as_new(store)
    assert again.state().tried == {1: 3}
    assert waiting(again) == [(2, "{'x': -0.0}")]
    assert trials_in_all(again.state(), 2, 0, fits) == 4, "there is a trial 3"
    assert trials_in_all(again.state(), 4, 4, fits) == 5


def test_a_folder_that_was_moved_away_is_not_made_anew(store, tmp_path):
    store.keep_text(b"before")
    store.folder.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="cannot be written"):
        store.keep_text(b"after")
    assert not store.folder.exists()


def test_notes_are_replaced_removed_and_read_whatever_they_say(store):
    store.append(Noted("sweep", "first"), Noted("sweep", "\u65e5\n second"), Noted("7", "odd"))
    assert notes_of(as_new(store)) == {"sweep": "\u65e5\n second", "7": "odd"}
    store.append(Noted("7", ""), Noted("8", "of \udc80"))
    assert notes_of(as_new(store)) == {"sweep": "\u65e5\n second", "7": "", "8": "of ?"}


def test_a_text_is_kept_once_and_one_that_was_altered_is_lost(store):
    digest = store.keep_text(b"text")
    assert store.keep_text(b"text") == digest
    assert store.text(digest) == b"text"
    store.text_path(digest).write_bytes(b"test")
    assert store.text(digest) is None
    assert store.document({}, digest) is None
    assert store.document({"a": 1}, None) == {"a": 1}
    long = {"history": [math.inf] * 3}
    assert store.document({}, store.keep_text(json.dumps(long).encode())) == long


def test_a_file_that_a_failed_attempt_names_is_looked_at_as_well(tmp_path):
    """So an archive in which it is no file of arrays is refused."""
    store = RecordStore(tmp_path)
    store.begin(INFO)
    content = b"no arrays"
    failed = make_record(outcome="failed", result=None, objective=None)
    path = store.details_path(failed.key)
    store.write(altered(failed, details_sha256=store.keep_file(path, content, "details")))
    told = []
    assert as_new(store).read(failed.key, told.append).result is None
    assert len(told) == 1
    assert told[0].startswith(f"{path}: ")
