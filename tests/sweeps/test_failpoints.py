"""Killed before and after everything it writes, a sweep that is resumed equals one left alone."""

import shutil
import signal
from functools import partial

import pytest

import sweeps
from sweeps import failpoints
from sweeps.errors import StoreError, UsageError
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

TRIALS = 24  # of which 23 were sampled and have weights: 20 are kept
EXTENSION = {"extend": True, "overrides": ("x=-1..0.9",)}
AGAIN_AND_AGAIN = {"slot", "tell", "weights", "record", "run"}
SHORT = ("sweep.synced", "slot.added", "record.renamed", "tell.constrained", "run.created")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, migrated_database):
    """The space of the toy sweep, and the tables of runs that were left alone, also extended."""
    folder = tmp_path_factory.mktemp("undisturbed")
    space = folder / "toy.yaml"
    space.write_text(TOY)
    tables = {}
    for extended in (False, True):
        home = folder / str(extended)
        home.mkdir()
        shutil.copy(migrated_database, home / "mlflow.db")
        run = partial(sweeps.run, str(space), home=home, progress="quiet", workers=0)
        sweep = run(trials=5 if extended else TRIALS)
        tables[extended] = table(run(trials=TRIALS, **EXTENSION) if extended else sweep)
    return space, tables


def marked(name):
    return name if name in SHORT else pytest.param(name, marks=pytest.mark.faults)


@pytest.mark.slow
@pytest.mark.parametrize("name", [marked(name) for name in failpoints.OF_A_SWEEP])
def test_killed_at_any_point_and_resumed_it_ends_as_if_left_alone(
    undisturbed, tmp_path, migrated_database, name
):
    space, tables = undisturbed
    home = tmp_path / "home"
    if not name.startswith("tracking."):
        home.mkdir()
        shutil.copy(migrated_database, home / "mlflow.db")
    words = ["run", str(space), "--home", str(home), "--workers", "0", "--trials"]

    def run(failpoint="", trials=TRIALS, more=()):
        launched = Launched([*words, str(trials), *more], {failpoints.VARIABLE: failpoint})
        return launched.wait(), launched.stderr()

    kind = name.partition(".")[0]
    more = []
    if kind == "attempt":  # only a slot that was killed before gets a second one
        assert run("slot.added:3")[0] == -signal.SIGKILL
    elif kind == "generation":
        assert run(trials=5)[0] == 0
        more = ["--extend", "--set", *EXTENSION["overrides"]]
    point = f"{name}:3" if kind in AGAIN_AND_AGAIN else name
    assert run(point, more=more)[0] == -signal.SIGKILL
    code, stderr = run(more=more)
    assert code == 0, stderr
    assert_sound(home, tables[kind == "generation"])


@pytest.mark.slow
def test_a_file_that_cannot_be_written_ends_the_sweep_with_one_message(run_toy, monkeypatch):
    expected = table(run_toy("alone", trials=5))
    monkeypatch.setenv(failpoints.VARIABLE, "record.written:3:raise")
    failpoints._armed.cache_clear()
    with pytest.raises(StoreError, match=r"0002-1\.record: cannot be written \(fail-point"):
        run_toy(trials=5, workers=0)
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
    assert table(run_toy(trials=5)) == expected


@pytest.mark.parametrize(
    "text", ["record", "record.written:0", "record.written:x", "record.written:kill:2", "a:1:raise"]
)
def test_a_fail_point_that_there_is_not_is_refused(monkeypatch, text):
    monkeypatch.setenv(failpoints.VARIABLE, text)
    failpoints._armed.cache_clear()
    with pytest.raises(UsageError, match=r"write name\[:n\]\[:kill\|raise\|pause\]"):
        failpoints.reached("record.written")
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
