"""Several hosts, that is homes, share sweeps through one database."""

import json
import re
import shutil
import signal
import time

import psycopg
import pytest

import sweeps
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.journal import Journal, Record
from sweeps.journal.events import to_line
from sweeps.shared import server
from sweeps.shared.lease import LEASE_SECONDS
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched
from tests.sweeps.shared.cutting_proxy import CuttingProxy
from tests.sweeps.shared.postgres import PASSWORD, wait_until
from tests.sweeps.soundness import assert_sound

WORKERS = 2
SLOWLY = ["--set", "longest_seconds=1", "--set", "epochs=5"]


@pytest.fixture
def host(toy_space, make_home, storage):
    """Run a command on a host, which has a home of its own."""

    class Host:
        def __init__(self, name):
            self.home = make_home(name)

        def run(self, *words, before=()):
            words = ["--workers", str(WORKERS), *words]
            return self.do("run", str(toy_space), *words, before=before)

        def do(self, *words, before=()):
            return Launched([*words, *self.options], before=before, hears_all=True)

        @property
        def options(self):
            return ["--home", str(self.home), "--storage", storage]

        def sweep(self):
            return sweeps.load("toy", self.home, storage)

        def records_there(self):
            """Return what the database has now."""
            Home.resolve(self.home, storage)
            return self.records()

        def records(self):
            """Return the line of each attempt that has ended, by its key."""
            folders = [path.parent for path in self.home.glob("sweeps/*/journal.jsonl")]
            events = [e for folder in folders for e in Journal(folder).read(pytest.fail)]
            return {event.key: to_line(event) for event in events if isinstance(event, Record)}

    return Host


def done(launched, code=0):
    assert launched.wait() == code, launched.stderr()
    return launched


def table_here(run_toy, **options):
    return table(run_toy("undisturbed", **options))


def nothing_runs(home, storage):
    opened = Home.resolve(home, storage)
    (info,) = opened.sweeps()
    assert not opened.is_running(info.id)
    return True


@pytest.mark.slow
def test_a_sweep_begun_on_one_host_goes_on_on_another(host, run_toy, storage):
    a, b = host("a"), host("b")
    done(a.run("--trials", "5"))
    done(b.run("--trials", "9"))
    assert table(b.sweep()) == table(a.sweep()) == table_here(run_toy, trials=9)
    assert nothing_runs(a.home, storage)
    assert_sound(b.home, table(b.sweep()), storage=storage)


@pytest.mark.slow
def test_another_host_has_what_a_script_wrote(tmp_path, make_home, storage):
    (tmp_path / "train.sh").write_text('echo $1 > $2/x; echo \'{"result": {"score": 1}}\'')
    (tmp_path / "script.yaml").write_text(
        "command: sh train.sh {x} {output}\nobjective: {metric: score, direction: maximize}\n"
        "parameters:\n  x: {type: float, low: 0, high: 1}\n"
    )
    options = {"trials": 2, "workers": 0, "progress": "quiet", "storage": storage}
    sweep = sweeps.run(str(tmp_path / "script.yaml"), home=make_home("a"), **options)
    there = sweeps.load("script", make_home("b"), storage)
    for trial in (0, 1):
        assert there.trial(trial).files == sweep.trial(trial).files
        assert there.trial(trial).files.keys() == {"output/x", "stdout.txt"}


@pytest.mark.slow
def test_a_coordinator_killed_on_one_host_is_resumed_from_another_and_nothing_is_lost(
    host, run_toy, storage
):
    a, b = host("a"), host("b")
    fixed = ("longest_seconds=1", "epochs=5")
    killed = a.run("--trials", "12", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 4)
    killed.kill()
    there = host("onlooker").records_there()
    assert a.records().items() <= there.items(), "nothing is here that is not there"
    began = time.monotonic()
    resumed = done(b.run("--trials", "12", *SLOWLY))
    assert time.monotonic() - began < LEASE_SECONDS + 60
    assert "waiting whether it is still there" in resumed.stderr()
    assert len(there) >= 2
    assert there.items() <= b.records().items(), "byte by byte"
    assert table(b.sweep()) == table_here(run_toy, trials=12, overrides=fixed)
    assert nothing_runs(b.home, storage)
    assert_sound(b.home, table(b.sweep()), storage=storage)
    back = done(a.run("--trials", "12", *SLOWLY))
    assert "warming up" not in back.stderr(), "nothing is trained again"
    assert table(a.sweep()) == table(b.sweep())


@pytest.mark.slow
def test_a_killed_coordinator_is_resumed_from_its_own_home_at_once(host, storage):
    a = host("a")
    killed = a.run("--trials", "8", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 2)
    killed.kill()
    assert "waiting" not in done(a.run("--trials", "8", *SLOWLY)).stderr()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [pytest.param("fast", marks=pytest.mark.nightly), "immediate"])
def test_a_database_that_is_away_for_a_while_delays_a_sweep_and_loses_nothing(
    host, run_toy, postgres, storage, mode
):
    a = host("a")
    running = a.run("--trials", "24", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 3)
    postgres.stop(mode)
    time.sleep(4)
    postgres.start()
    assert "waiting for" in done(running).stderr()
    fixed = ("longest_seconds=1", "epochs=5")
    assert table(host("b").sweep()) == table_here(run_toy, trials=24, overrides=fixed)
    assert nothing_runs(a.home, storage)
    assert_sound(a.home, table(a.sweep()), storage=storage)


@pytest.mark.slow
def test_a_database_that_is_away_when_the_trials_have_ended_is_waited_for(
    host, run_toy, postgres, storage
):
    a = host("a")
    running = a.run("--trials", "6", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 3)
    postgres.stop("immediate")
    running.until_said("waiting for")
    postgres.start()
    done(running)
    fixed = ("longest_seconds=1", "epochs=5")
    assert table(host("b").sweep()) == table_here(run_toy, trials=6, overrides=fixed)
    assert_sound(a.home, table(a.sweep()), storage=storage)


def wait_briefly():
    server.LONGEST_WAIT_SECONDS = 3.0


@pytest.mark.slow
def test_a_database_that_stays_away_ends_the_sweep_and_the_same_command_goes_on(
    host, run_toy, postgres, storage
):
    a = host("a")
    running = a.run("--trials", "14", *SLOWLY, before=[wait_briefly])
    wait_until(lambda: len(a.records()) >= 3)
    postgres.stop("immediate")
    said = done(running, 1).stderr()
    message = r"^error: .*cannot be reached.*Recorded trials are safe, and the same command goes on"
    assert re.search(message, said, re.MULTILINE)
    assert "Traceback" not in said
    recorded = a.records()
    assert len(recorded) >= 3
    refused = done(a.run("--trials", "14", *SLOWLY), 2)
    assert "give an address that answers" in refused.stderr()
    postgres.start()
    assert host("onlooker").records_there() == recorded, "nothing that was recorded is lost"
    done(a.run("--trials", "14", *SLOWLY))
    assert recorded.items() <= a.records().items()
    fixed = ("longest_seconds=1", "epochs=5")
    assert table(host("b").sweep()) == table_here(run_toy, trials=14, overrides=fixed)
    assert_sound(a.home, table(a.sweep()), storage=storage)


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_that_waits_for_its_database(host, postgres):
    a = host("a")
    running = a.run("--trials", "14", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 2)
    postgres.stop("fast")
    running.until_said("waiting for")
    began = time.monotonic()
    running.signal(signal.SIGINT)
    assert running.wait() == 130, running.stderr()
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_a_database_that_was_dropped_is_an_error_and_not_taken_for_ctrl_c(host, postgres, storage):
    a = host("a")
    running = a.run("--trials", "14", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 2)
    with psycopg.connect(postgres.address().replace("+psycopg", ""), autocommit=True) as there:
        there.execute(f"DROP DATABASE {storage.rpartition('/')[2]} WITH (FORCE)".encode())
    said = done(running, 1).stderr()
    assert re.search(r"^error: .*does not exist.*Recorded trials are safe", said, re.MULTILINE)
    assert len(a.records()) >= 2


@pytest.mark.slow
def test_replies_that_are_lost_store_nothing_twice(host, run_toy, storage, postgres, toy_space):
    proxy = CuttingProxy(postgres.port, nth=7)
    a = host("a")
    through = storage.replace(str(postgres.port), str(proxy.port))
    words = ["--trials", "10", "--home", str(a.home), "--storage", through]
    done(Launched(["run", str(toy_space), *words]))
    proxy.close()
    assert proxy.cuts > 3
    assert table(a.sweep()) == table_here(run_toy, trials=10)
    assert_sound(a.home, table(a.sweep()), storage=storage)


@pytest.mark.slow
def test_only_one_host_runs_a_sweep_and_the_other_is_told_who_does(host):
    a, b = host("a"), host("b")
    running = a.run("--trials", "40", *SLOWLY)
    wait_until(a.records)
    refused = done(b.run("--trials", "40", *SLOWLY), 2)
    assert f"is being run by process {running.pid}" in refused.stderr()
    assert "running" in done(b.do("list")).stderr().lower()
    assert f"process {running.pid}" in done(b.do("status")).stderr()
    done(b.do("stop", "toy"))
    assert running.wait() == 130


@pytest.mark.slow
def test_who_was_silent_for_too_long_has_lost_the_sweep_and_writes_nothing_more(
    host, run_toy, storage
):
    a, b = host("a"), host("b")
    silent = a.run("--trials", "10", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 2)
    silent.signal(signal.SIGSTOP)
    done(b.run("--trials", "10", *SLOWLY))
    before = table(b.sweep())
    silent.signal(signal.SIGCONT)
    assert silent.wait() == 1
    (line,) = [line for line in silent.stderr().splitlines() if line.startswith("error:")]
    assert "was taken over by another process" in line
    assert "Traceback" not in silent.stderr()
    assert table(b.sweep()) == before
    fixed = ("longest_seconds=1", "epochs=5")
    assert before == table_here(run_toy, trials=10, overrides=fixed)
    assert nothing_runs(b.home, storage)
    assert_sound(b.home, table(b.sweep()), storage=storage)


@pytest.mark.slow
def test_requests_enqueued_points_and_notes_reach_the_host_that_runs_the_sweep(host):
    a, b = host("a"), host("b")
    running = a.run("--trials", "30", *SLOWLY)
    wait_until(lambda: len(a.records()) >= 2)
    done(b.do("enqueue", "toy", "x=0.125", "layers=0", "kind=a"))
    done(b.do("note", "toy", "seen from afar"))
    done(b.do("pause", "toy"))
    running.until_said("paused")
    done(b.do("resume", "toy"))
    running.until_said("goes on")
    wait_until(lambda: any(row.params.get("x") == 0.125 for row in a.sweep().rows()))
    done(b.do("stop", "toy"))
    assert running.wait() == 130
    assert "seen from afar" in done(a.do("note", "toy")).stderr()
    assert "is not running" in done(b.do("stop", "toy")).stderr()


@pytest.mark.slow
def test_a_name_is_taken_on_every_host(host, toy_space, storage):
    a, b = host("a"), host("b")
    done(a.run("--trials", "2"))
    refused = done(b.run("--trials", "2", "--seed", "1"), 2)
    assert "exists with other options" in refused.stderr()
    done(b.do("rename", "toy", "other"))
    assert "other" in done(a.do("list")).stderr()
    done(b.do("delete", "other", "--yes"))
    assert "no sweep" in done(a.do("trials", "other"), 2).stderr()
    assert not list(a.home.glob("sweeps/[!.]*"))


@pytest.mark.slow
def test_what_a_disk_damaged_comes_back_from_the_database(host):
    a = host("a")
    done(a.run("--trials", "4"))
    whole = a.records()
    (journal,) = a.home.glob("sweeps/*/journal.jsonl")
    lines = journal.read_bytes().replace(b'"ended 2"', b'"ended 7"', 1)
    journal.write_bytes(lines)
    (arrays,) = a.home.glob("sweeps/*/trials/0001-1.npz")
    before = arrays.read_bytes()
    arrays.write_bytes(before[:100])
    done(a.run("--trials", "4"))
    assert a.records() == whole
    assert arrays.read_bytes() == before


@pytest.mark.slow
def test_a_folder_that_somebody_removed_is_read_again_and_not_deleted_elsewhere(host):
    a = host("a")
    done(a.run("--trials", "4"))
    before = a.records()
    for path in a.home.glob("sweeps/*"):
        shutil.rmtree(path)
    done(a.do("list"))
    assert a.records() == before
    assert host("b").sweep().rows()


@pytest.mark.slow
def test_a_copy_is_read_without_its_database_and_not_changed_without_it(host, toy_space):
    a = host("a")
    done(a.run("--trials", "3"))
    home = ["--home", str(a.home)]
    assert "COMPLETE" in done(Launched(["trials", "toy", *home], hears_all=True)).stderr()
    refused = done(Launched(["run", str(toy_space), "--trials", "5", *home]), 2)
    assert "is a copy of postgresql+psycopg://sweeper:***@" in refused.stderr()


@pytest.mark.slow
def test_a_copy_of_one_database_is_not_mixed_with_another(host, postgres, toy_space):
    a = host("a")
    done(a.run("--trials", "2"))
    other = postgres.create("another")
    words = ["run", str(toy_space), "--home", str(a.home), "--storage", other]
    assert "is a copy of" in done(Launched(words), 2).stderr()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a.replace(PASSWORD, "wrong"), "password authentication failed"),
        (lambda a: a.rpartition("/")[0] + "/nowhere", 'database "nowhere" does not exist'),
        (lambda a: a.replace("127.0.0.1:", "127.0.0.1:1"), "refused|invalid port|integer"),
        (lambda a: a.replace("127.0.0.1", "nobody.invalid"), "resolve"),
        (lambda a: a.replace("postgresql+psycopg", "mysql"), "'mysql' is not supported"),
        (lambda a: "not an address", "not an address"),
    ],
)
def test_a_mistake_in_the_address_is_one_line_without_the_password(
    storage, tmp_path, toy_space, change, said
):
    home = tmp_path / "untouched"
    words = ["run", str(toy_space), "--home", str(home), "--storage", change(storage)]
    refused = done(Launched(words), 2)
    (line,) = refused.stderr().strip().splitlines()
    assert any(text in line for text in said.split("|"))
    assert PASSWORD not in line
    assert not home.exists()


@pytest.mark.slow
def test_no_password_is_written_anywhere(host, storage):
    a = host("a")
    ended = done(a.run("--trials", "2"))
    assert PASSWORD not in ended.stderr()
    for path in a.home.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_python_calls_share_as_commands_do(host, toy_space, storage, make_home):
    options = {"storage": storage, "progress": "quiet", "trials": 4}
    first = sweeps.run(str(toy_space), home=make_home("a"), **options)
    again = sweeps.run(str(toy_space), home=make_home("b"), **options)
    assert table(first) == table(again)
    assert PASSWORD not in repr(again) + json.dumps(again.info.fingerprint)
    with pytest.raises(UsageError, match="is a copy of"):
        sweeps.run(str(toy_space), home=make_home("a"), progress="quiet", trials=5)
