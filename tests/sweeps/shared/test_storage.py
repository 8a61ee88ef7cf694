"""What is written on one host arrives on the other; what the database has is what counts."""

import shutil
import threading
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.home import BINDING, Home
from sweeps.journal.events import Noted, UnknownEventError
from sweeps.manage.lifecycle import collect_garbage, delete_sweep
from sweeps.records import notes_of
from sweeps.records.store import recover
from sweeps.runner.control import PAUSE, ask, asked_of, withdraw
from sweeps.runner.ownership import hold
from sweeps.shared import Lease
from tests.sweeps.factories import SWEEP_ID, altered, make_info, make_record
from tests.sweeps.shared.cutting_proxy import CuttingProxy

KEY = make_record().key


class Host:
    """A home of its own, with its storage or without."""

    def __init__(self, folder, storage=None):
        self.home = Home.resolve(folder, storage)
        self.store = self.home.store(SWEEP_ID)

    def create(self):
        with self.home.exclusive():
            self.store.begin(make_info())
        record = make_record()
        result = replace(record.result, weights={"w": np.arange(3.0)})
        self.store.write(altered(record, result=result), {"x": b"written"})

    def refresh(self):
        self.home.refresh()

    def files(self):
        folder = self.store.folder
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    def notes(self):
        return notes_of(self.store)


@pytest.fixture
def hosts(tmp_path, storage):
    """Two hosts, each of which has the sweep and one attempt with arrays, weights and files."""
    a = Host(tmp_path / "a", storage)
    a.create()
    b = Host(tmp_path / "b", storage)
    names = {f"{KEY}.npz", f"{KEY}.weights.npz", f"{KEY}.files.zip"}
    assert {path.rpartition("/")[2] for path in a.files()} >= names
    assert b.files() == a.files()
    return a, b


def test_what_is_written_or_deleted_on_one_host_is_so_on_the_other(hosts):
    a, b = hosts
    a.store.write(make_record(1))
    a.store.drop_weights(KEY)
    digest = a.store.keep_text(b"a long text")
    a.store.append(Noted("sweep", "a note"))
    b.refresh()
    assert b.files() == a.files()
    assert b.store.read("0001-1").result is not None
    assert f"trials/{KEY}.weights.npz" not in b.files()
    assert b.store.text(digest) == b"a long text"
    assert b.notes() == {"sweep": "a note"}


def test_weights_that_are_freed_on_one_host_are_freed_on_all(hosts):
    a, b = hosts
    record = make_record(1)
    result = replace(record.result, weights={"w": np.arange(3.0)})
    b.store.write(altered(record, result=result))
    a.refresh()
    weights = "trials/0001-1.weights.npz"
    assert weights in a.files()
    removed = collect_garbage(a.home, make_info(), 0)
    assert [path.name for path, _ in removed] == ["0001-1.weights.npz"]
    b.refresh()
    assert weights not in {*a.files(), *b.files()}
    assert f"trials/{KEY}.weights.npz" in b.files(), "of a baseline"


def test_a_space_of_a_confirmation_and_a_stray_of_a_killed_host_are_the_same_everywhere(hosts):
    a, b = hosts
    a.store.keep_file(a.store.folder / "finalists-1" / "space.yaml", b"space", "conclusion")
    a.store.keep_file(a.store.details_path("0007-1"), b"named by no event", "details")
    b.refresh()
    assert b.files() == a.files()
    assert b.files()["finalists-1/space.yaml"] == b"space"
    with hold(b.home, make_info()):
        recover(b.store, pytest.fail)
    a.refresh()
    c = Host(a.home.path.parent / "c", a.home.storage)
    assert "trials/0007-1.npz" not in {*b.files(), *c.files()}


def test_a_sweep_that_nobody_can_read_is_deleted_for_all(hosts, make_home):
    a, _ = hosts
    line = b'{"kind":"unheard 9","number":5,"by":"9.9"}'
    line = b"\n%b %08x\n" % (line, zlib.crc32(line))
    with a.home.shared.server.engine.begin() as connection:
        asked = (SWEEP_ID, a.store.journal.last() + 1, line)
        connection.exec_driver_sql("INSERT INTO sweeps_event VALUES (%s, %s, %s)", asked)
    a.refresh()
    with pytest.raises(UnknownEventError):
        a.store.state()
    tracking = f"sqlite:///{make_home('tracking') / 'mlflow.db'}"
    delete_sweep(a.home, SWEEP_ID, None, tracking)  # its runs stay in MLflow
    for host in hosts:
        host.refresh()
        assert not host.store.folder.exists()


def test_requests_travel_and_are_withdrawn_from_either_host(hosts):
    a, b = hosts
    ask(b.store, PAUSE)
    a.refresh()
    assert asked_of(a.store) == {PAUSE}
    withdraw(a.store, [PAUSE])
    b.refresh()
    assert not asked_of(b.store)


def test_a_log_stays_on_its_host_as_do_hidden_files(hosts):
    a, b = hosts
    for host in (a, b):
        (host.store.folder / "sweep.log").write_bytes(str(host.home.path).encode())
        (host.store.folder / ".checkpoints").mkdir()
        (host.store.folder / ".checkpoints" / "0000").write_bytes(str(host.home.path).encode())
    a.store.append(Noted("sweep", "x"))
    b.refresh()
    a.refresh()
    assert a.files()["sweep.log"] != b.files()["sweep.log"]
    assert a.files()[".checkpoints/0000"] != b.files()[".checkpoints/0000"]


def test_hosts_that_write_at_the_same_time_lose_nothing_and_have_the_same_journal(hosts):
    def write(host, name):
        for number in range(20):
            host.store.append(Noted(str(number), name))
            host.store.append(Noted(f"1{number:02d}{len(name)}", name))

    threads = [
        threading.Thread(target=write, args=(h, n)) for h, n in zip(hosts, ("a", "bb"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    a, b = hosts
    for host in hosts:
        host.refresh()
    assert a.files()["journal.jsonl"] == b.files()["journal.jsonl"]
    assert a.store.journal.read(pytest.fail)
    assert {f"1{n:02d}{size}" for n in range(20) for size in (1, 2)} <= a.notes().keys()
    numbers = [event.number for event in b.store.journal.read(pytest.fail)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("ending", [".npz", ".weights.npz", ".files.zip"])
@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"torn"), lambda p: p.unlink()])
def test_a_file_that_is_torn_or_gone_is_read_again(hosts, ending, harm):
    a, b = hosts
    before = a.files()
    harm(a.store.folder / "trials" / f"{KEY}{ending}")
    b.refresh()
    a.refresh()
    assert a.files() == b.files() == before


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def without_a_line(content):
    lines = content.split(b"\n\n")
    return b"\n\n".join([lines[0], *lines[2:]])


@pytest.mark.parametrize(
    "harm",
    [
        flipped,
        without_a_line,
        lambda content: content[:-20],
        lambda content: content + b"\n{torn",
        lambda content: b"",
        lambda content: b"\n\n" + content,
    ],
    ids=["a bit", "a line", "cut", "half a line more", "empty", "empty lines"],
)
@pytest.mark.parametrize("then", ["read", "written"])
def test_a_journal_that_was_damaged_here_is_what_the_database_has(hosts, harm, then):
    a, b = hosts
    a.store.append(Noted("sweep", "last"))
    path = a.store.journal.path
    path.write_bytes(harm(path.read_bytes()))
    if then == "written":
        a.store.append(Noted("sweep", "after"))
    a.refresh()
    b.refresh()
    assert a.notes() == b.notes() == {"sweep": "after" if then == "written" else "last"}
    assert a.store.journal.read(pytest.fail) == b.store.journal.read(pytest.fail)
    assert a.store.read_all() == b.store.read_all() != []


def test_a_folder_that_somebody_removed_is_read_again(hosts):
    a, b = hosts
    before = b.files()
    shutil.rmtree(a.store.folder)
    a.refresh()
    b.refresh()
    assert a.files() == b.files() == before


def test_half_a_line_does_not_travel(hosts):
    a, b = hosts
    before = b.files()["journal.jsonl"]
    with a.store.journal.path.open("ab") as file:
        file.write(b'\n{"kind":"noted 1"')
    a.refresh()
    b.refresh()
    assert b.files()["journal.jsonl"] == before
    b.store.append(Noted("sweep", "x"))
    a.refresh()
    assert a.store.journal.read(pytest.fail) == b.store.journal.read(pytest.fail)
    assert a.notes() == {"sweep": "x"}


def test_a_copy_that_is_ahead_of_its_database_is_refused_and_kept(hosts, storage):
    a, _ = hosts
    a.store.append(Noted("sweep", "x"))
    last = a.store.journal.last()
    with a.home.shared.server.engine.begin() as connection:  # as of a backup that was played back
        connection.exec_driver_sql("DELETE FROM sweeps_event WHERE number = %s", (last,))
    before = a.files()
    with pytest.raises(StoreError, match=f"it has no event {last} of sweep"):
        a.store.append(Noted("sweep", "y"))
    assert a.files() == before


def test_a_commit_whose_answer_is_lost_adds_nothing_twice(hosts, tmp_path, storage, postgres):
    proxy = CuttingProxy(postgres.port, nth=2)
    through = Host(tmp_path / "a", storage.replace(str(postgres.port), str(proxy.port)))
    for number in range(12):
        through.store.append(Noted("sweep", str(number)))
    proxy.close()
    assert proxy.cuts > 3
    _, b = hosts
    b.refresh()
    texts = [e.text for e in b.store.journal.read(pytest.fail) if isinstance(e, Noted)]
    assert texts == [str(number) for number in range(12)]


def test_a_commit_whose_answer_is_lost_is_known_again_after_another_host_has_written(
    hosts, monkeypatch
):
    a, b = hosts
    server = a.home.shared.server
    run = server.run

    def cut(action):
        run(action)
        b.store.append(Noted("1", "in between"))
        return run(action)  # as it is repeated when the answer was lost

    monkeypatch.setattr(server, "run", cut)
    a.store.append(Noted("0", "once"))
    monkeypatch.undo()
    a.refresh()
    for host in hosts:
        texts = [e.text for e in host.store.journal.read(pytest.fail) if isinstance(e, Noted)]
        assert texts == ["once", "in between"]


def test_a_sweep_deleted_on_one_host_is_gone_on_the_other(hosts):
    a, b = hosts
    (b.store.folder / "sweep.log").write_bytes(b"its own")
    with hold(a.home, make_info()):
        a.home.shared.remote(SWEEP_ID).forget()
    with pytest.raises(StoreError, match="was deleted on another host"):
        b.store.append(Noted("sweep", "x"))
    for host in (a, b):
        host.refresh()
        assert host.home.sweeps() == []
        assert not host.store.folder.exists()


def test_a_sweep_that_was_deleted_on_all_hosts_may_come_back_as_a_file(hosts, tmp_path, storage):
    a, b = hosts
    part = b.home.sweeps_folder / ".import-0"
    shutil.copytree(a.store.folder, part)
    whole = a.files()
    with hold(a.home, make_info()):
        a.home.shared.remote(SWEEP_ID).forget()
    b.refresh()
    b.home.shared.give(part, SWEEP_ID)
    a.refresh()
    assert a.files().items() >= whole.items() - {("lock", whole.get("lock", b""))}


def test_who_has_lost_the_lease_writes_nothing(hosts):
    a, b = hosts
    before = b.files()
    with suppress(LeaseLost), hold(a.home, make_info()) as held:
        held.lease.release()
        Lease(b.home.shared.server, SWEEP_ID, "toy", "b")
        for write in (
            lambda: a.store.write(make_record(1)),
            lambda: a.store.drop_weights(KEY),
            lambda: a.store.keep_text(b"text"),
            a.home.shared.remote(SWEEP_ID).forget,
        ):
            with pytest.raises(LeaseLost):
                write()
    b.refresh()
    assert b.files() == before
    assert Host(b.home.path.parent / "c", b.home.storage).files() == before


def test_hidden_files_and_paths_that_lead_elsewhere_are_left_there(hosts, tmp_path):
    _, b = hosts
    before = {path for path in tmp_path.rglob("*") if "/c" not in str(path)}
    paths = (
        "sweeps/../../stolen", "/stolen", "sweeps/.hidden/x", "elsewhere/x", "sweeps/x/../../../y",
        "sweeps/x/.running/y", "sweeps/x/lock", "sweeps/x/journal.jsonl", "test/../stolen",
        "mlflow.db",
    )  # fmt: skip
    with b.home.shared.server.engine.begin() as connection:
        for path in paths:
            connection.exec_driver_sql("INSERT INTO sweeps_file VALUES (%s, 'data')", (path,))
        for sweep in ("../stolen", ".hidden", "/stolen", "a/b"):
            connection.exec_driver_sql("INSERT INTO sweeps_event VALUES (%s, 1, 'x')", (sweep,))
    b.refresh()
    assert {path for path in tmp_path.rglob("*") if "/c" not in str(path)} == before


def test_a_home_that_gets_a_database_gives_it_its_sweeps(tmp_path, storage):
    Host(tmp_path / "a").create()
    test = tmp_path / "a" / "test" / "0123"
    test.mkdir(parents=True)
    (test / "0001.json").write_bytes(b"{}")
    a = Host(tmp_path / "a", storage)
    a.home.refresh()
    assert not (tmp_path / "a" / BINDING).exists(), "nothing is made before something is written"
    with a.home.exclusive():
        pass
    b = Host(tmp_path / "b", storage)
    assert b.files() == a.files() != {}
    assert (tmp_path / "b" / "test" / "0123" / "0001.json").read_bytes() == b"{}"


def test_a_home_whose_first_giving_was_cut_short_gives_the_rest(tmp_path, storage):
    alone = Host(tmp_path / "a")
    alone.create()
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    a = Host(tmp_path / "a", storage)
    with a.home.exclusive():
        pass
    a.store.append(Noted("sweep", "went on"))
    copy = Host(tmp_path / "copy", storage)  # as if it had been killed before it was bound
    assert copy.notes() == {"sweep": "went on"}


def test_a_home_whose_sweep_went_on_in_another_way_is_not_mixed_with_the_database(
    tmp_path, storage
):
    alone = Host(tmp_path / "a")
    alone.create()
    shutil.copytree(tmp_path / "a", tmp_path / "other")
    with Host(tmp_path / "a", storage).home.exclusive():
        pass
    other = Host(tmp_path / "other")
    other.store.append(Noted("sweep", "another way"))
    before = other.files()
    with pytest.raises(UsageError, match="went on in another way"):
        Host(tmp_path / "other", storage)
    assert other.files() == before
    assert not (tmp_path / "other" / BINDING).exists()


def test_a_home_in_which_a_sweep_runs_without_it_gets_no_database(tmp_path, storage):
    alone = Host(tmp_path / "a")
    alone.create()
    bound = Host(tmp_path / "a", storage)
    with (
        hold(alone.home, make_info()),
        pytest.raises(UsageError, match="is being run without --storage"),
        bound.home.exclusive(),
    ):
        pass
    with bound.home.exclusive():
        pass


def test_a_damaged_binding_says_what_to_do_and_is_written_anew(hosts, storage):
    a, b = hosts
    (a.home.path / BINDING).write_bytes(b"{torn")
    with pytest.raises(StoreError, match="delete it"):
        Host(a.home.path, storage)
    (a.home.path / BINDING).unlink()
    assert Host(a.home.path, storage).files() == b.files()


def test_a_database_of_an_earlier_version_is_refused(tmp_path, storage, hosts):
    a, _ = hosts
    with a.home.shared.server.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sweeps_event")
    with pytest.raises(UsageError, match=r"earlier version .* `sweeps import HOME`"):
        Host(tmp_path / "new", storage)
    assert not (tmp_path / "new").exists()
