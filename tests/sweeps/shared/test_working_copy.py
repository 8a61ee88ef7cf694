"""What changed on one host arrives on the other; what both changed is the database's."""

import pytest

from sweeps.errors import LeaseLost
from sweeps.records.format import seal
from sweeps.shared import Lease, SharedStorage
from sweeps.shared.server import open_server
from sweeps.shared.working_copy import few_at_once

SWEEP = "records/20261126-00000000/"
WHOLE, OTHER = seal(b"whole"), seal(b"other")


class Host:
    def __init__(self, folder, address):
        self.folder = folder
        self.shared = SharedStorage(folder, open_server(address))

    def write(self, **files):
        for name, content in files.items():
            path = self.folder / SWEEP / name.replace("__", "-").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def remove(self, name):
        (self.folder / SWEEP / name).unlink()

    def sync(self):
        self.shared.copy.sync(SWEEP)

    def files(self):
        paths = (self.folder / SWEEP).iterdir() if (self.folder / SWEEP).exists() else []
        return {path.name: path.read_bytes() for path in paths}


@pytest.fixture
def hosts(tmp_path, storage):
    a, b = Host(tmp_path / "a", storage), Host(tmp_path / "b", storage)
    a.write(sweep_json=b"{}", notes_json=b"1", asked=b"5")
    a.write(**{"0000__1_record": WHOLE, "0000__1_weights": b"w", "0000__1_files": b"f"})
    a.sync()
    b.sync()
    assert b.files() == a.files()
    return a, b


def test_what_is_written_changed_or_deleted_on_one_host_is_so_on_the_other(hosts):
    a, b = hosts
    a.write(asked=b"7", ending_json=b"{}")
    a.remove("0000-1.weights")
    a.sync()
    b.sync()
    assert b.files() == a.files()
    assert b.files()["asked"] == b"7"
    assert "0000-1.weights" not in b.files()


def test_a_log_stays_on_its_host(hosts):
    a, b = hosts
    a.write(sweep_log=b"a", lock=b"")
    b.write(sweep_log=b"b", lock=b"")
    for host in (a, b, a):
        host.sync()
    assert (a.files()["sweep.log"], b.files()["sweep.log"]) == (b"a", b"b")


def test_both_hosts_may_change_different_files(hosts):
    a, b = hosts
    a.write(asked=b"7")
    b.write(notes_json=b"2")
    for host in (a, b, a):
        host.sync()
    assert a.files() == b.files()
    assert (a.files()["asked"], a.files()["notes.json"]) == (b"7", b"2")


def test_what_both_changed_is_as_the_first_one_told_the_database(hosts):
    a, b = hosts
    a.write(asked=b"7")
    b.write(asked=b"8")
    for host in (a, b, a):
        host.sync()
    assert a.files()["asked"] == b.files()["asked"] == b"7"


@pytest.mark.parametrize("name", ["0000-1.record", "0000-1.weights", "0000-1.files"])
def test_a_file_that_never_changes_is_healed(hosts, name):
    a, _ = hosts
    before = a.files()
    (a.folder / SWEEP / name).write_bytes(b"torn")
    a.sync()
    assert a.files() == before


def test_a_record_is_never_deleted_elsewhere_because_it_is_missing_here(hosts):
    a, b = hosts
    a.remove("0000-1.record")
    a.sync()
    b.sync()
    assert a.files()["0000-1.record"] == b.files()["0000-1.record"] == WHOLE


def test_a_torn_record_does_not_travel(hosts):
    a, b = hosts
    a.write(**{"0001__1_record": WHOLE[:-2]})
    a.sync()
    b.sync()
    assert "0001-1.record" not in b.files()


def test_an_attempt_that_another_host_has_made_again_is_put_aside(hosts):
    a, b = hosts
    a.write(**{"0001__1_record": WHOLE})  # which the database never heard of
    b.write(**{"0001__2_record": OTHER})
    b.sync()
    a.sync()
    assert a.files()["0001-1.record.late"] == WHOLE
    assert "0001-1.record" not in a.files()
    assert a.files()["0001-2.record"] == OTHER


def test_what_lies_beside_a_record_that_is_put_aside_is_put_aside_too(hosts):
    a, b = hosts
    a.write(**{"0001__1_record": WHOLE, "0001__1_weights": b"late", "0001__1_files": b"late"})
    b.write(**{"0001__2_record": OTHER, "0001__2_weights": b"w"})
    a.write(**{"0002__1_record": WHOLE, "0002__1_weights": b"late"})  # both made this one
    b.write(**{"0002__1_record": OTHER})  # whose weights were freed
    b.sync()
    a.sync()
    b.sync()
    late = {"0001-1.record", "0001-1.weights", "0001-1.files", "0002-1.weights"}
    assert {name for name in a.files() if name.endswith(".late")} == {f"{n}.late" for n in late}
    assert not late & (a.files().keys() | b.files().keys())
    assert a.files()["0002-1.record"] == OTHER


def test_a_sweep_deleted_on_one_host_is_gone_on_the_other(hosts, storage):
    a, b = hosts
    b.write(sweep_log=b"its own")
    lease = Lease.take(a.shared.server, "20261126-00000000", "toy", "a")
    for name in a.files():
        a.remove(name)
    a.shared.copy.forget(SWEEP, lease)
    for host in (a, b):
        host.sync()
        assert not host.files()


def test_who_has_lost_the_lease_writes_nothing(hosts):
    a, b = hosts
    late = Lease.take(a.shared.server, "20261126-00000000", "toy", "a")
    late.release()
    Lease.take(b.shared.server, "20261126-00000000", "toy", "b")
    a.write(**{"0001__1_record": WHOLE})
    with pytest.raises(LeaseLost):
        a.shared.copy.sync(SWEEP, late)
    with pytest.raises(LeaseLost):
        late.renew()
    b.sync()
    assert "0001-1.record" not in b.files()


def test_hidden_files_and_paths_that_lead_elsewhere_stay_where_they_are(hosts, tmp_path):
    a, b = hosts
    with a.shared.server.engine.begin() as connection:
        for path in ("records/../../stolen", "/stolen", "records/.hidden/x", "elsewhere/x"):
            connection.exec_driver_sql(
                "INSERT INTO sweeps_file VALUES (%s, 'digest', 'data')", (path,)
            )
    b.shared.refresh()
    assert not (tmp_path / "stolen").exists()
    assert {path.name for path in b.folder.iterdir()} == {"records", "shared.db"}


def test_files_of_attempts_travel_alone_and_in_order():
    paths = ["sweep.json", "0000-1.files", *(f"{n:04d}-1.record" for n in range(40))]
    groups = list(few_at_once(paths))
    assert [path for group in groups for path in group] == paths
    assert [len(group) for group in groups] == [1, 1, 32, 8]
    assert list(few_at_once([])) == []
