"""Holding a sweep that hosts share: renewed, away, lost; and addresses that are none."""

import threading
import time

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.home import Home
from sweeps.journal.events import Noted
from sweeps.records import notes_of
from sweeps.runner.control import PAUSE, ask, asked_of, withdraw
from sweeps.runner.ownership import hold
from sweeps.shared import lease
from sweeps.shared.lease import Lease
from sweeps.shared.server import StorageServer, open_server, parse_storage
from tests.sweeps.factories import make_record
from tests.sweeps.shared.postgres import PASSWORD, wait_until


@pytest.fixture
def shared(toy_space, make_home, storage):
    """A sweep of four trials, and two homes that have it."""
    options = {"storage": storage, "progress": "quiet", "workers": 0}
    sweep = sweeps.run(str(toy_space), trials=4, home=make_home("a"), **options)
    return sweep.info, Home.resolve(make_home("a"), storage), Home.resolve(make_home("b"), storage)


@pytest.mark.slow
def test_a_lease_that_is_renewed_keeps_others_out(shared):
    info, here, elsewhere = shared
    notes = []
    with hold(here, info):
        assert elsewhere.is_running(info.id)
        assert "process" in elsewhere.owner(info.id)
        with (
            pytest.raises(UsageError, match="is being run by process"),
            hold(elsewhere, info, notes.append),
        ):
            pass
    assert "waiting whether it is still there" in notes[0]
    assert not elsewhere.is_running(info.id)
    with hold(elsewhere, info):
        assert here.is_running(info.id)


@pytest.mark.slow
def test_what_is_recorded_while_the_database_restarts_waits_for_it(shared, postgres):
    info, here, elsewhere = shared
    notes = []
    with hold(here, info, notes.append) as held:
        postgres.stop("fast")
        restart = threading.Timer(4, postgres.start)
        restart.start()
        for attempt in (2, 3):
            here.store(info.id).write(make_record(0, attempt))
        restart.join()
        held.check()
        elsewhere.refresh(info.id)
        assert {"0000-2", "0000-3"} <= elsewhere.store(info.id).state().ended.keys()
    assert [note for note in notes if "waiting for postgresql" in note]


@pytest.mark.slow
def test_who_holds_a_sweep_hears_what_others_write_and_ask(shared):
    info, here, elsewhere = shared
    with hold(here, info):
        elsewhere.store(info.id).append(Noted("sweep", "from afar"))
        ask(elsewhere.store(info.id), PAUSE)
        own = here.store(info.id)
        wait_until(lambda: asked_of(own) == {PAUSE}, 20)
        assert notes_of(here.store(info.id))["sweep"] == "from afar"
        withdraw(elsewhere.store(info.id), [PAUSE])
        wait_until(lambda: not asked_of(own), 20)


def test_a_lease_is_ours_for_certain_for_half_its_time_then_the_database_is_asked(
    storage, postgres, monkeypatch
):
    monkeypatch.setattr(lease, "LEASE_SECONDS", 4.0)
    server = open_server(storage)
    server.prepare()
    ours = Lease(server, "s", "toy", "a")
    postgres.stop("fast")
    ours.confirm()
    time.sleep(2.1)
    with pytest.raises(StoreError, match="cannot be reached"):
        ours.confirm()
    postgres.start()
    ours.confirm()
    time.sleep(4.1)
    theirs = Lease(server, "s", "toy", "b")
    with pytest.raises(LeaseLost):
        ours.confirm()
    with pytest.raises(LeaseLost):  # another thread of the one that was told
        ours.confirm()
    theirs.confirm()
    theirs.release()
    with pytest.raises(LeaseLost):
        theirs.confirm()
    Lease(server, "s", "toy", "c").confirm()


def lose(info, here, elsewhere):
    lost = threading.Event()
    with hold(here, info, on_lost=lost.set) as held:
        assert held.lease is not None
        held.lease.release()  # as if nothing had been heard of it for too long
        Lease(elsewhere.shared.server, info.id, info.name, "another home")
        with pytest.raises(LeaseLost):
            here.store(info.id).write(make_record(0, 9))
        assert lost.wait(20)
        held.check()


@pytest.mark.slow
def test_who_has_lost_a_sweep_hears_of_it_and_may_write_nothing_more(shared):
    info, here, elsewhere = shared
    with pytest.raises(LeaseLost, match="taken over"):
        lose(info, here, elsewhere)
    elsewhere.refresh()
    assert "0000-9" not in elsewhere.store(info.id).state().ended
    assert "0000-9" not in here.store(info.id).state().ended


def test_a_sweep_that_was_deleted_elsewhere_cannot_be_held(shared):
    info, here, elsewhere = shared
    lease = Lease(elsewhere.shared.server, info.id, info.name, "b")
    elsewhere.shared.remote(info.id).forget()
    lease.release()
    with pytest.raises(UsageError, match="deleted on another host"), hold(here, info):
        pass


def test_a_server_that_goes_is_one_error_that_says_what_is_safe(storage, postgres):
    server = open_server(storage)
    postgres.stop("immediate")
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"cannot be reached .* Recorded trials are safe"):
        server.identity()
    assert time.monotonic() - began < 20
    assert PASSWORD not in str(server)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nonsense", "not an address"),
        ("sqlite:///x.db", "'sqlite' is not supported"),
        ("postgresq://h/d", "did you mean 'postgresql'"),
        ("postgresql://u:secret@host", "names no database"),
        ("postgresql://u:secret@127.0.0.1:1/d", "127.0.0.1"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address, said):
    with pytest.raises(UsageError, match=said) as refused:
        open_server(address)
    assert "secret" not in str(refused.value)


def test_both_spellings_of_an_address_are_the_same():
    one, other = (parse_storage(f"{name}://u@h/d") for name in ("postgresql", "postgresql+psycopg"))
    assert str(StorageServer(one)) == str(StorageServer(other)) == "postgresql+psycopg://u@h/d"


def test_a_server_that_stops_while_a_connection_is_in_use_leaves_no_traceback(
    postgres, storage, caplog
):
    server = open_server(storage)
    held = server.engine.raw_connection()  # what SQLAlchemy's own clearing away gives back
    held.cursor().execute("SELECT 1")
    postgres.stop("immediate")
    held.close()
    assert [record.message for record in caplog.records] == []


@pytest.mark.slow
def test_hints_name_the_storage_that_was_given_and_not_its_password(
    toy_space, make_home, storage, monkeypatch
):
    monkeypatch.setenv("SWEEPS_STORAGE", "")
    words = ["run", str(toy_space), "--trials", "2", "--workers", "0", "--home", str(make_home())]
    given = CliRunner().invoke(app, [*words, "--storage", storage]).output
    hints = [line for line in given.splitlines() if line.strip().startswith("sweeps ")]
    shown = storage.replace(PASSWORD, "***")
    assert len(hints) == 4
    assert all(f"--storage '{shown}'" in hint for hint in hints), hints
    assert PASSWORD not in given
    monkeypatch.setenv("SWEEPS_STORAGE", storage)  # where the next command finds it, too
    assert "--storage" not in CliRunner().invoke(app, words).output
