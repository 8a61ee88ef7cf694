import dataclasses

import numpy as np
import pytest

from sweeps.records import Generation, RecordError, RecordStore, SweepInfo, UnfinishedSlot
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


def with_weights(slot, attempt=1):
    record = make_record()
    result = dataclasses.replace(record.result, weights={"w": np.array([slot, 0.5])})
    spec = dataclasses.replace(record.spec, slot=slot, attempt=attempt)
    return dataclasses.replace(record, spec=spec, result=result)


def test_what_was_fixed_at_creation_reads_back_equal(store):
    assert store.info() == INFO


def test_a_folder_without_a_sweep_has_no_info(tmp_path):
    assert RecordStore(tmp_path / "nothing").info() is None


def test_records_come_back_in_the_order_of_slot_and_attempt(store):
    for slot, attempt in [(10, 1), (2, 2), (2, 1), (0, 1)]:
        store.write(with_weights(slot, attempt))
    found = [(r.spec.slot, r.spec.attempt) for r in store.read_all()]
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
    records = [store.write(with_weights(slot)) for slot in range(2)]
    store.drop_weights("0000-1")
    assert [p.name for p in store.folder.glob("*.weights")] == ["0001-1.weights"]
    with pytest.raises(RecordError, match="dropped when better trials arrived"):
        store.weights(records[0])


def test_an_attempt_without_weights_says_so(store):
    record = store.write(dataclasses.replace(make_record(), outcome="failed", result=None))
    with pytest.raises(RecordError, match="ended without weights"):
        store.weights(record)


def test_a_damaged_record_is_named(store):
    store.write(make_record())
    path = store.folder / "0007-2.record"
    path.write_bytes(b"torn")
    with pytest.raises(RecordError, match=r"0007-2\.record: not a record"):
        store.read_all()
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


def generation(number, first_slot, **changes):
    made = Generation(
        number=number,
        first_slot=first_slot,
        created_at=number,
        fingerprint={"seed": 0, "space": str(number)},
        space={"generation": number},
        baselines=("three",),
        code={"commit": None},
        directory=None,
        unfinished=(UnfinishedSlot(1, 2, "sampled", {"x": 1}, {}, {"x": 1}),),
    )
    return dataclasses.replace(made, **changes)


def test_a_sweep_is_read_as_its_newest_generation_has_it_and_knows_the_earlier(store):
    assert (INFO.generation, INFO.study_name, INFO.at(7)) == (1, INFO.id, INFO)
    second, third = generation(2, 5), generation(3, 9, unfinished=())
    store.write_generation(second)
    store.write_generation(third)
    info = store.info()
    assert info == INFO.extended(second).extended(third)
    assert (info.generation, info.first_slot, info.unfinished) == (3, 9, ())
    assert (info.id, info.created_at, info.study_name) == (INFO.id, 1, f"{INFO.id}.3")
    assert info.space == info.at(9).space == {"generation": 3}
    assert info.at(8) == info.at(5) == INFO.extended(second)
    assert info.at(5).unfinished == second.unfinished
    assert info.at(4).space == INFO.space
    assert (info.at(4).generation, info.at(0).study_name) == (1, INFO.id)


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "damaged"), ("{}", "not a generation's"), ("[1]", "not a gener")]
)
def test_a_damaged_generation_is_an_error_that_names_the_file(store, text, problem):
    (store.folder / "generation-2.json").write_text(text)
    with pytest.raises(RecordError, match=rf"generation-2\.json: {problem}"):
        store.info()
