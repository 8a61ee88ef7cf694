"""Databases and records that are locked, full, read-only, damaged or lost: no result is lost."""

import fcntl
import resource
import shutil
import threading
import zlib
from contextlib import contextmanager
from functools import partial

import pytest

import sweeps
from sweeps.errors import StoreError
from sweeps.home import Home
from sweeps.records import RecordError
from tests.sweeps import journals
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched, give_up_the_rights_of_root
from tests.sweeps.soundness import assert_sound

TRIALS = 8
RUN = ["run", "--workers", "0"]


@pytest.fixture
def undisturbed(finished_toy):
    """The table of a sweep that is left alone."""
    return table(finished_toy("undisturbed", trials=TRIALS))


def lose_events(sweep, kept):
    """Cut off what was written after so many trials had ended, as a power cut may."""
    journal = sweep.home.store(sweep.info.id).journal.path
    found = journals.documents(journal)
    ends = [place for place, one in enumerate(found) if one["kind"] == "ended 2"]
    journals.write(journal, found[: ends[kept] if kept < len(ends) else len(found)])


def lose_ends(sweep, kept):
    """Take away the ends of trials that were asked, and perhaps trained."""
    store = sweep.home.store(sweep.info.id)
    journals.forget(store, *(key for key in store.state().ended if int(key[:4]) >= kept))


@pytest.mark.slow
@pytest.mark.parametrize(
    "places",
    [
        (0, 1, TRIALS // 2, TRIALS - 1, TRIALS),
        pytest.param(range(TRIALS + 1), marks=pytest.mark.nightly),
    ],
)
def test_a_journal_that_lost_its_last_events_costs_nothing(run_toy, make_home, undisturbed, places):
    for kept in places:
        home = make_home(str(kept))
        shutil.copytree(make_home("undisturbed"), home, dirs_exist_ok=True)
        lose_events(sweeps.load("toy", home), kept)
        run_toy(str(kept), trials=TRIALS)
        assert_sound(home, undisturbed)


def replace_tracking(home, empty):
    """Take away MLflow's store; an empty one in its place spares the seconds of its migrations."""
    for path in home.glob("mlflow.db*"):
        path.unlink()
    shutil.copy(empty / "mlflow.db", home / "mlflow.db")


@pytest.mark.slow
@pytest.mark.parametrize(  # ask_ahead is 4: so many may be in flight
    "missing", [1, 4, *(pytest.param(number, marks=pytest.mark.nightly) for number in (2, 3))]
)
def test_trials_that_were_asked_but_not_recorded_run_again(
    finished_toy, run_toy, make_home, undisturbed, missing
):
    sweep = finished_toy(trials=TRIALS - 2)
    kept = TRIALS - 2 - missing
    lose_ends(sweep, kept)
    replace_tracking(make_home(), make_home("empty"))
    again = run_toy(trials=TRIALS)
    assert_sound(make_home(), undisturbed)
    attempts = [row.attempts for row in again.rows()]
    assert attempts == [1] * kept + [2] * missing + [1] * 2


@pytest.mark.slow
def test_an_event_of_a_later_version_is_a_mistake_and_left_as_it_is(
    finished_toy, toy_space, make_home
):
    sweep = finished_toy(trials=2)
    journal = sweep.home.store(sweep.info.id).journal.path
    text = b'{"kind":"tagged 1","number":3,"at":1,"host":"h","by":"9.9"}'
    journal.write_bytes(journal.read_bytes() + b"\n%b %08x\n" % (text, zlib.crc32(text)))
    before = sorted((p, p.stat().st_mtime_ns) for p in sweep.home.sweeps_folder.rglob("*.json*"))
    refused = Launched([*RUN, str(toy_space), "--home", str(make_home()), "--trials", "3"])
    assert refused.wait() == 2, refused.stderr()
    assert "'tagged 1', which this version" in refused.stderr()
    assert "wrote it (9.9)" in refused.stderr()
    assert (
        sorted((p, p.stat().st_mtime_ns) for p in sweep.home.sweeps_folder.rglob("*.json*"))
        == before
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "contents", [pytest.param(b"", marks=pytest.mark.nightly), b"no database at all"]
)
def test_a_damaged_database_is_refused_until_it_is_moved_away(
    finished_toy, run_toy, make_home, undisturbed, contents
):
    finished_toy(trials=TRIALS - 3)
    path = make_home() / "mlflow.db"
    path.write_bytes(contents)
    before = sorted(make_home().rglob("*"))
    with pytest.raises(StoreError, match=r"mlflow\.db: damaged.*Move it away"):
        run_toy(trials=TRIALS)
    with pytest.raises(StoreError, match=r"mlflow\.db: damaged.*Move it away"):
        run_toy(trials=TRIALS, name="another")
    assert (path.read_bytes(), sorted(make_home().rglob("*"))) == (contents, before)
    for part in make_home().glob("mlflow.db*"):
        part.rename(make_home().parent / part.name)
    replace_tracking(make_home(), make_home("empty"))
    run_toy(trials=TRIALS)
    assert_sound(make_home(), undisturbed)


@pytest.mark.slow
def test_an_attempt_whose_line_is_damaged_runs_again(finished_toy, run_toy, make_home, undisturbed):
    sweep = finished_toy(trials=TRIALS)
    journals.damage(sweep.home.store(sweep.info.id), "0003-1")
    with pytest.warns(UserWarning, match=r"event \d+ is damaged .*left out"):
        assert len(sweep.rows()) == TRIALS - 1
    again = run_toy(trials=TRIALS)
    assert table(again) == undisturbed
    assert again.rows()[3].attempts == 2


@pytest.mark.slow
def test_a_sweep_that_cannot_be_read_any_more_hides_no_other(finished_toy, run_toy, make_home):
    first = finished_toy(trials=1)
    second = run_toy(trials=1, name="second")
    (first.home.sweeps_folder / first.info.id / "journal.jsonl").write_text('{"id": \n')
    assert sweeps.load("second", make_home()).info == second.info
    with pytest.raises(RecordError, match=r"journal\.jsonl: event 1 is damaged"):
        run_toy(trials=1)


@contextmanager
def held(sweep):
    """Hold the lock of a journal, as a process does that appends and is stopped."""
    with sweep.home.store(sweep.info.id).journal.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@pytest.mark.slow
def test_a_journal_that_is_locked_for_a_while_holds_the_sweep_up(
    finished_toy, run_toy, make_home, undisturbed
):
    sweep = finished_toy(trials=3)
    with held(sweep) as file:
        timer = threading.Timer(2.0, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        timer.start()
        run_toy(trials=TRIALS, workers=2)
        assert timer.finished.is_set()
    assert_sound(make_home(), undisturbed)


@pytest.mark.slow
def test_a_journal_that_stays_locked_ends_the_sweep_and_what_ran_is_safe(
    finished_toy, run_toy, make_home, undisturbed, monkeypatch
):
    monkeypatch.setattr("sweeps.journal.file.LONGEST_WAIT_SECONDS", 0.5)
    with held(finished_toy(trials=3)):
        message = r"journal\.jsonl: another process has been working on it for 0\.5 s"
        with pytest.raises(StoreError, match=message):
            run_toy(trials=TRIALS)
    assert len(sweeps.load("toy", make_home()).rows()) == 3
    run_toy(trials=TRIALS)
    assert_sound(make_home(), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "fragment"),
    [pytest.param(0, "mlflow.db", marks=pytest.mark.nightly), (500, "mlflow.db")],
)
def test_a_full_disk_ends_the_sweep_and_damages_nothing(
    finished_toy, toy_space, make_home, undisturbed, limit, fragment
):
    words = [*RUN, str(toy_space), "--home", str(make_home()), "--trials", str(TRIALS)]
    finished_toy(trials=2)
    full = Launched(words, before=[no_file_beyond(limit)])
    assert full.wait() == 1, full.stderr()
    last = full.stderr().splitlines()[-1]
    assert last.startswith("error: ")
    assert fragment in last
    assert "Traceback" not in full.stderr()
    assert Launched(words).wait() == 0
    assert_sound(make_home(), undisturbed)


def no_file_beyond(size):
    """What makes a process fail to let a file grow beyond so many bytes, as a full disk would."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "fragment"),
    [
        (0, "mlflow.db"),
        pytest.param(1000, "mlflow.db", marks=pytest.mark.nightly),
    ],
)
def test_without_room_for_a_new_sweep_there_is_none_or_an_empty_one(
    toy_space, make_home, undisturbed, limit, fragment
):
    words = [*RUN, str(toy_space), "--home", str(make_home()), "--trials", str(TRIALS)]
    full = Launched(words, before=[no_file_beyond(limit)])
    assert full.wait() == 1, full.stderr()
    assert fragment in full.stderr()
    assert "Traceback" not in full.stderr()
    found = [len(sweeps.load(info.id, make_home()).rows()) for info in Home(make_home()).sweeps()]
    assert found in ([], [0])
    assert Launched(words).wait() == 0
    assert_sound(make_home(), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["mlflow.db", pytest.param(".", marks=pytest.mark.nightly)])
def test_what_is_read_only_is_refused_and_left_as_it_is(
    finished_toy, toy_space, make_home, undisturbed, what
):
    words = [*RUN, str(toy_space), "--home", str(make_home()), "--trials", str(TRIALS)]
    finished_toy(trials=2)
    path = make_home() / what
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    refused = Launched(words, before=[give_up_the_rights_of_root])
    # Tracking never fails a trial: what MLflow could not take is said at the end.
    assert refused.wait() in ({3} if what == "mlflow.db" else {1, 2}), refused.stderr()
    path.chmod(mode)
    assert str(path) in refused.stderr()
    assert "writ" in refused.stderr()
    assert "Traceback" not in refused.stderr()
    assert Launched(words).wait() == 0
    assert_sound(make_home(), undisturbed)
