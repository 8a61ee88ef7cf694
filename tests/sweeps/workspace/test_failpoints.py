"""Killed before and after everything it writes, a sweep that is resumed equals one left alone."""

import re
import shutil
import signal
from functools import cache, partial

import pytest

import sweeps
from sweeps.errors import StoreError, UsageError
from sweeps.workspace import failpoints
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound
from tests.tiers import made_for_many

TRIALS = 24  # of which 23 were sampled and have weights: 20 are kept
FEW = 12  # the sampler has learnt by then, and no report is drawn, which takes as long as they
EXTENSION = {"extend": True, "overrides": ("x=-1..0.9",)}
AGAIN_AND_AGAIN = {"journal", "weights", "record", "run"}
SHORT = ("sweep.synced", "journal.written", "record.renamed", "run.created")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, migrated_database):
    """The space of the toy sweep, and the table of a run that was left alone, also extended."""
    folder = tmp_path_factory.mktemp("undisturbed")
    space = folder / "toy.yaml"
    space.write_text(TOY)

    @cache
    def table_of(trials, extended):
        home = folder / f"{trials} {extended}"
        home.mkdir()
        shutil.copy(migrated_database, home / "mlflow.db")
        run = partial(sweeps.run, str(space), home=home, progress="quiet", workers=0)
        with made_for_many("undisturbed"):
            sweep = run(trials=5 if extended else trials)
            return table(run(trials=trials, **EXTENSION) if extended else sweep)

    return space, table_of


def marked(name):
    return name if name in SHORT else pytest.param(name, marks=pytest.mark.faults)


@pytest.mark.slow
@pytest.mark.parametrize("name", [marked(name) for name in failpoints.OF_A_SWEEP])
def test_killed_at_any_point_and_resumed_it_ends_as_if_left_alone(
    undisturbed, tmp_path, migrated_database, name
):
    space, table_of = undisturbed
    asked = FEW if name in SHORT else TRIALS
    home = tmp_path / "home"
    if not name.startswith("tracking."):
        home.mkdir()
        shutil.copy(migrated_database, home / "mlflow.db")
    words = ["run", str(space), "--home", str(home), "--workers", "0", "--trials"]

    def run(failpoint="", trials=asked, more=()):
        launched = Launched([*words, str(trials), *more], {failpoints.VARIABLE: failpoint})
        return launched.wait(), launched.stderr()

    kind = name.partition(".")[0]
    more = []
    if kind == "generation":
        assert run(trials=5)[0] == 0
        more = ["--extend", "--set", *EXTENSION["overrides"]]
    point = f"{name}:3" if kind in AGAIN_AND_AGAIN else name
    assert run(point, more=more)[0] == -signal.SIGKILL
    code, stderr = run(more=more)
    assert code == 0, stderr
    assert_sound(home, table_of(asked, kind == "generation"))
    (log,) = home.glob("records/*/sweep.log")
    logged = re.findall(r"^\S+ \S+ trial (\d+) [A-Z]+ ", log.read_text("utf-8"), re.MULTILINE)
    assert {*map(int, logged)} == {*range(asked)}, "the trial that the kill overtook, too"


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
