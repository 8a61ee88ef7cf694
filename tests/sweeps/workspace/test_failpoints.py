"""Killed before and after everything it writes, a sweep that is resumed equals one left alone."""

import re
import shutil
import signal
import time
from functools import cache, partial

import pytest

import sweeps
from sweeps.errors import StoreError, UsageError
from sweeps.workspace import failpoints
from tests.failpoints import OF_A_SWEEP, STEPS
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound
from tests.tiers import made_for_many

TRIALS = 24  # of which 23 were sampled and have weights: 20 are kept
FEW = 12  # the sampler has learnt by then, and no report is drawn, which takes as long as they
EXTENSION = {"extend": True, "overrides": ("x=-1..0.9",)}
AGAIN_AND_AGAIN = {"weights", "details", "run"}
APPENDS = range(1, 8)
"""The first ones: what the sweep is, its code, that it starts, and the first trials."""
SHORT = ("text.synced", "journal.written:3", "details.renamed:3", "run.created:3")


def passages(name):
    """Return at which of its passages a fail-point is to end the process."""
    kind = name.partition(".")[0]
    if kind == "journal":
        return [f"{name}:{passage}" for passage in APPENDS]
    return [f"{name}:3" if kind in AGAIN_AND_AGAIN else name]


POINTS = [point for name in OF_A_SWEEP for point in passages(name)]


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


def marked(point):
    return point if point in SHORT else pytest.param(point, marks=pytest.mark.faults)


@pytest.fixture
def sweep(undisturbed, tmp_path, migrated_database):
    """Run the toy sweep in a process that ends at a fail-point; return its exit code and words."""
    home = tmp_path / "home"

    def run(point="", trials=TRIALS, *more):
        if not home.exists() and not point.startswith("tracking."):
            home.mkdir()
            shutil.copy(migrated_database, home / "mlflow.db")
        words = ["run", str(undisturbed[0]), "--home", str(home), "--workers", "0"]
        options = ["--trials", str(trials), *more]
        launched = Launched([*words, *options], {failpoints.VARIABLE: point})
        return launched.wait(), launched.stderr()

    return run, home


def check_all_are_logged(home, trials):
    """Fail unless the log has each trial, also that which a kill overtook."""
    (log,) = home.glob("sweeps/*/sweep.log")
    logged = re.findall(r"^\S+ \S+ trial (\d+) [A-Z]+ ", log.read_text("utf-8"), re.MULTILINE)
    assert {*map(int, logged)} == {*range(trials)}


@pytest.mark.slow
@pytest.mark.parametrize("point", [marked(point) for point in POINTS])
def test_killed_at_any_point_and_resumed_it_ends_as_if_left_alone(undisturbed, sweep, point):
    (run, home), trials = sweep, FEW if point in SHORT else TRIALS
    assert run(point, trials)[0] == -signal.SIGKILL
    code, stderr = run("", trials)
    assert code == 0, stderr
    assert_sound(home, undisturbed[1](trials, False))
    check_all_are_logged(home, trials)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("passage", range(1, 7))
@pytest.mark.parametrize("step", ["opened", "written", "synced"])
def test_killed_while_it_is_extended_it_ends_as_if_left_alone(undisturbed, sweep, step, passage):
    run, home = sweep
    more = ("--extend", "--set", *EXTENSION["overrides"])
    assert run("", 5)[0] == 0
    assert run(f"journal.{step}:{passage}", TRIALS, *more)[0] == -signal.SIGKILL
    code, stderr = run("", TRIALS, *more)
    assert code == 0, stderr
    assert_sound(home, undisturbed[1](TRIALS, True))
    check_all_are_logged(home, TRIALS)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("step", STEPS)
def test_killed_while_a_deleted_journal_is_written_anew(undisturbed, sweep, step):
    """It is there or not, as the rename decides, and then with all that was said to be in it."""
    _, home = sweep
    home.mkdir()
    words = ["run", str(undisturbed[0]), "--home", str(home), "--workers", "0"]
    slow = ["--trials", str(TRIALS), "--set", "longest_seconds=0.2"]
    running = Launched([*words, *slow], {failpoints.VARIABLE: f"restored.{step}"})

    def text():
        return b"".join(path.read_bytes() for path in home.glob("sweeps/*/journal.jsonl"))

    while b'"ended 2"' not in (before := text()):
        assert running.is_alive(), running.stderr()
        time.sleep(0.01)
    (path,) = home.glob("sweeps/*/journal.jsonl")
    path.unlink()
    assert running.wait() == -signal.SIGKILL
    assert path.exists() == (step in {"renamed", "done"})
    assert text().startswith(before if path.exists() else b"")


@pytest.mark.slow
def test_a_file_that_cannot_be_written_ends_the_sweep_with_one_message(run_toy, monkeypatch):
    expected = table(run_toy("alone", trials=5))
    monkeypatch.setenv(failpoints.VARIABLE, "details.written:3:raise")
    failpoints._armed.cache_clear()
    with pytest.raises(StoreError, match=r"0002-1\.npz: cannot be written \(fail-point"):
        run_toy(trials=5, workers=0)
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
    assert table(run_toy(trials=5)) == expected


@pytest.mark.parametrize(
    "text", [":1", "text.written:0", "text.written:x", "text.written:kill:2", "text.written:1:burn"]
)
def test_a_fail_point_of_another_form_is_refused(monkeypatch, text):
    monkeypatch.setenv(failpoints.VARIABLE, text)
    failpoints._armed.cache_clear()
    with pytest.raises(UsageError, match=r"write name\[:n\]\[:kill\|raise\|pause\]"):
        failpoints.reached("text.written")
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
