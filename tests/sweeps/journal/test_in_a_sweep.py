"""The journal of a real sweep, and the files beside it: what each may lose, and what is said."""

import json
import os

import pytest

import sweeps
from sweeps.errors import StoreError
from sweeps.workspace import failpoints
from tests.sweeps.conftest import table


@pytest.fixture
def sweep(finished_toy):
    return finished_toy(trials=5)


def store_of(sweep):
    return sweep.home.store(sweep.info.id)


@pytest.fixture
def again(toy_space):
    """Go on with the sweep."""

    def run(sweep, trials=5):
        options = {"home": sweep.home.path, "workers": 0, "progress": "quiet"}
        return sweeps.run(str(toy_space), trials=trials, **options)

    return run


@pytest.mark.parametrize("step", ["written", "synced"])
def test_a_disk_that_does_not_sync_ends_the_sweep_with_exit_code_1(call, monkeypatch, step):
    monkeypatch.setenv(failpoints.VARIABLE, f"journal.{step}:9:raise")
    failpoints._armed.cache_clear()
    result = call("run", "TOY", "--trials", "5", "--workers", "0")
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
    assert result.exit_code == 1, result.output
    assert "journal.jsonl: cannot be written (fail-point" in result.stderr
    assert "the same command goes on" in result.stderr
    assert "Traceback" not in result.stderr
    assert call("run", "TOY", "--trials", "5", "--workers", "0").exit_code == 0


def test_arrays_without_their_event_are_removed_at_the_next_start(sweep, again):
    """A process was killed between its two writes."""
    folder = store_of(sweep).folder / "trials"
    whole = next(folder.glob("0003-1.npz")).read_bytes()
    for name in ("0007-1.npz", "0007-1.weights.npz", "0003-2.npz"):
        (folder / name).write_bytes(whole)
    (folder / ".0008-1.npz.77.tmp").write_bytes(whole[:100])
    before = table(sweep)
    assert table(again(sweep, trials=6))[:5] == before
    left = {path.name for path in folder.iterdir()}
    assert not left & {"0007-1.npz", "0007-1.weights.npz", "0003-2.npz", ".0008-1.npz.77.tmp"}
    assert "0003-1.npz" in left


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(lambda path: path.unlink(), "it is gone", id="gone"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged", id="cut"),
        pytest.param(
            lambda path: path.write_bytes(
                bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]
            ),
            "damaged",
            id="flipped",
        ),
        pytest.param(lambda path: path.write_bytes(b""), "damaged", id="empty"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), "no file", id="a folder"),
    ],
)
def test_arrays_that_are_lost_cost_the_details_of_their_trial_and_not_its_result(sweep, harm, said):
    store, before = store_of(sweep), table(sweep)
    assert store.read("0003-1", pytest.fail).result.arrays
    harm(store.details_path("0003-1"))
    reports = []
    record = store.read("0003-1", reports.append)
    assert not record.result.arrays
    assert len(reports) == 1
    assert said in reports[0]
    assert "0003-1.npz" in reports[0]
    assert "the arrays of trial 3 are left out" in reports[0]
    assert table(sweeps.load("toy", sweep.home.path)) == before


def test_an_outcome_whose_line_is_damaged_is_said_and_comes_back_the_same(sweep, call):
    store, before = store_of(sweep), table(sweep)
    whole = store.journal.path.read_bytes()
    lines = whole.split(b"\n")
    (place,) = [n for n, line in enumerate(lines) if b'"ended 2"' in line and b'"trial":3,' in line]
    lines[place] = lines[place].replace(b'"trial":3,', b'"trial":8,')
    store.journal.path.write_bytes(b"\n".join(lines))
    number = json.loads(lines[place].rpartition(b" ")[0])["number"]
    reports = []
    assert [r.trial for r in store.read_all(report=reports.append)] == [0, 1, 2, 4]
    (line,) = set(reports)
    assert f"event {number} is damaged" in line
    result = call("run", "TOY", "--trials", "5", "--workers", "0")
    assert result.exit_code == 0, result.output
    assert f"event {number} is damaged" in result.stderr
    assert table(sweeps.load("toy", sweep.home.path)) == before
    (line,) = store.journal.damage  # a start has told of it, and the doctor goes on to
    assert f"event {number} is damaged" in line


def test_a_journal_that_another_program_has_emptied_is_not_taken_for_no_sweep(sweep, call):
    """Some program wrote over it while it was read: what is left is refused, untouched."""
    path = store_of(sweep).journal.path
    text = b"This is no journal.\n" * 100
    path.write_bytes(text)
    result = call("run", "TOY", "--trials", "5", "--workers", "0")
    assert result.exit_code in {1, 2}
    assert "journal.jsonl" in result.stderr
    assert "bring it back" in result.stderr
    assert path.read_bytes() == text


def test_one_that_cannot_be_written_ends_the_sweep_before_anything_is_trained(
    sweep, again, monkeypatch
):
    def refuse(descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("sweeps.journal.file.os.fsync", refuse)
    with pytest.raises(StoreError, match=r"No space left on device"):
        again(sweep, trials=6)
