import dataclasses
import itertools

import numpy as np
import pytest

from sweeps.errors import UsageError
from sweeps.records import (
    DamagedRecordWarning,
    RecordError,
    RecordStore,
    SweepInfo,
    UnfinishedTrial,
    recover,
)
from sweeps.records.record import Generation
from tests.sweeps.records.test_format import make_record


@pytest.fixture
def store(tmp_path):
    store = RecordStore(tmp_path / "records" / "20260101-abcd")
    store.create(INFO)
    return store


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
    code={"commit": None},
)


def with_weights(trial, attempt=1):
    record = make_record()
    result = dataclasses.replace(record.result, weights={"w": np.array([trial, 0.5])})
    spec = dataclasses.replace(record.spec, trial=trial, attempt=attempt)
    return dataclasses.replace(record, spec=spec, result=result)


def test_what_was_fixed_at_creation_reads_back_equal(store):
    assert store.info() == INFO


def test_a_folder_without_a_sweep_has_no_info(tmp_path):
    assert RecordStore(tmp_path / "nothing").info() is None


def test_records_come_back_in_the_order_of_trial_and_attempt(store):
    for trial, attempt in [(10, 1), (2, 2), (2, 1), (0, 1)]:
        store.write(with_weights(trial, attempt))
    found = [(r.spec.trial, r.spec.attempt) for r in store.read_all()]
    assert found == [(0, 1), (2, 1), (2, 2), (10, 1)]


def test_what_is_recorded_is_never_overwritten(store):
    store.write(with_weights(3))
    before = {path: path.read_bytes() for path in store.folder.iterdir()}
    with pytest.raises(RecordError, match=r"0003-1\.record: recorded already"):
        store.write(dataclasses.replace(with_weights(3), objective=0.1))
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before


def test_weights_are_read_back_and_checked_against_their_record(store):
    record = store.write(with_weights(3))
    np.testing.assert_array_equal(store.weights(record)["w"], [3, 0.5])
    path = next(store.folder.glob("*.weights"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordError, match="damaged"):
        store.weights(record)


def test_dropped_weights_are_gone_and_the_others_stay(store):
    records = [store.write(with_weights(trial)) for trial in range(2)]
    store.drop_weights("0000-1")
    assert [p.name for p in store.folder.glob("*.weights")] == ["0001-1.weights"]
    with pytest.raises(UsageError, match="not kept: only those of baselines and the best"):
        store.weights(records[0])


def test_an_attempt_without_weights_says_so(store):
    record = store.write(dataclasses.replace(make_record(), outcome="failed", result=None))
    with pytest.raises(UsageError, match="ended without weights"):
        store.weights(record)


def test_a_damaged_record_is_named_and_left_out(store):
    store.write(with_weights(3))
    store.write(make_record())
    (store.folder / "0007-2.record").write_bytes(b"torn")
    with pytest.warns(DamagedRecordWarning, match=r"0007-2\.record: not a record"):
        found = store.read_all()
    assert [r.spec.trial for r in found] == [3]
    with pytest.raises(RecordError, match=r"no record 0099-1\.record"):
        store.read("0099-1")


def test_a_failed_write_leaves_no_trace(store):
    record = with_weights(1)
    hostile = dataclasses.replace(record.result, arrays={"a": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        store.write(dataclasses.replace(record, result=hostile))
    assert not list(store.folder.glob(".*tmp"))
    assert store.read_all() == []


def test_the_number_of_trials_asked_for_is_remembered(store):
    assert store.asked() is None
    store.ask(40)
    assert store.asked() == 40


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
        unfinished=(UnfinishedTrial(1, 2, "sampled", {"x": 1}, {}, {"x": 1}),),
    )
    return dataclasses.replace(made, **changes)


def test_a_sweep_is_read_as_its_newest_generation_has_it_and_knows_the_earlier(store):
    assert (INFO.generation, INFO.at(7)) == (1, INFO)
    second, third = generation(2, 5), generation(3, 9, unfinished=())
    store.write_generation(second)
    store.write_generation(third)
    info = store.info()
    assert info == INFO.extended(second).extended(third)
    assert (info.generation, info.first_trial, info.unfinished) == (3, 9, ())
    assert (info.id, info.created_at) == (INFO.id, 1)
    assert info.space == info.at(9).space == {"generation": 3}
    assert info.at(8) == info.at(5) == INFO.extended(second)
    assert info.at(5).unfinished == second.unfinished
    assert info.at(4).space == INFO.space
    assert info.at(4).generation == 1


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "Expecting"), ("{}", "it lacks number"), ("[1]", "it is .1.")]
)
def test_a_damaged_generation_is_an_error_that_names_the_file(store, text, problem):
    (store.folder / "generation-2.json").write_text(text)
    with pytest.raises(RecordError, match=rf"generation-2\.json: damaged \({problem}"):
        store.info()


@pytest.mark.parametrize("step", [23, pytest.param(1, marks=pytest.mark.faults)])
def test_every_prefix_of_the_last_records_opens_as_whole_or_as_torn(store, step):
    """A file of each length that a record can be cut to."""
    for trial in range(3):
        store.write(with_weights(trial))
    for trial in range(3):
        path = store.folder / f"{trial:04d}-1.record"
        whole = path.read_bytes()
        for length in range(len(whole), -1, -step):
            path.write_bytes(whole[:length])
            told = []
            found = [r.spec.trial for r in store.read_all(report=told.append)]
            is_whole = length == len(whole)
            assert found == [s for s in range(3) if s != trial or is_whole]
            assert len(told) == (not is_whole)
        path.write_bytes(whole)


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.faults)])
def test_every_flipped_bit_of_a_record_is_noticed(store, step):
    store.write(make_record())
    path = store.folder / "0007-2.record"
    whole = path.read_bytes()
    version = len("sweeps-record ")
    for position, bit in itertools.product(range(0, len(whole), step), range(8)):
        altered = bytearray(whole)
        altered[position] ^= 1 << bit
        path.write_bytes(altered)
        told = []
        if position == version and altered[position : position + 1].isdigit():
            with pytest.raises(RecordError, match="use the version that wrote it"):
                store.read_all(report=told.append)
        else:
            assert store.read_all(report=told.append) == []
            assert len(told) == 1


def test_what_a_killed_coordinator_left_half_done_is_cleared(store):
    for trial in range(3):
        store.write(with_weights(trial))
    (store.folder / ".0003-1.record.4711.tmp").write_bytes(b"half")
    (store.folder / "0003-1.weights").write_bytes(b"of an attempt that was never recorded")
    torn = store.folder / "0001-1.record"
    torn.write_bytes(torn.read_bytes()[:100])
    told = []
    assert [r.spec.trial for r in recover(store, told.append)] == [0, 2]
    assert [line.split(": ")[0] for line in told] == ["0001-1.record"]
    assert {path.name for path in store.folder.iterdir()} == {
        *("sweep.json", "0000-1.record", "0000-1.weights", "0002-1.record", "0002-1.weights"),
        "0001-1.record.torn",
    }
    assert recover(store, told.append) == recover(store, told.append)
    assert len(told) == 1


def test_a_record_of_another_version_is_neither_left_out_nor_put_aside(store):
    store.write(make_record())
    path = store.folder / "0007-2.record"
    path.write_bytes(path.read_bytes().replace(b"sweeps-record 2", b"sweeps-record 3", 1))
    for read in (store.read_all, lambda: recover(store, lambda line: None)):
        with pytest.raises(RecordError, match="record format 3, but this version reads up to 2"):
            read()
    assert path.exists()


def test_a_model_is_told_of_the_data_first_and_of_what_the_result_adds():
    record = make_record()
    result = dataclasses.replace(record.result, info={"temperature": 1.5, "n_train": 7})
    told = dataclasses.replace(record, result=result, data={"info": {"n_train": 4000}}).model_info
    assert told == {"temperature": 1.5, "n_train": 4000}
    assert dataclasses.replace(record, result=None, data={"info": {"a": 1}}).model_info == {"a": 1}
