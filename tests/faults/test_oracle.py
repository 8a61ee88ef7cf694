"""The oracle is judged itself: it accepts a sound store and rejects nine broken ones."""

import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from msgspec.structs import replace as replaced

from sweeps import journal
from sweeps.home import Home
from sweeps.journal.events import to_line
from tests.faults.evidence import read_home
from tests.faults.lab import Lab
from tests.faults.leftovers import processes_of
from tests.faults.oracle import RULES, Asked, violations

TRIALS = 5


@pytest.fixture(scope="module")
def sound(tmp_path_factory, migrated_database):
    """A sweep that was killed once, so that one attempt is marked as repeated."""
    lab = Lab(tmp_path_factory.mktemp("oracle") / "lab", 1, migrated_database)
    lab.workers = 1
    with lab.cleaned():
        process = lab.start(TRIALS, seconds=0.4)
        lab.until_recorded(process, 1)
        lab.until(lambda: lab.trainings() > lab.records())
        lab.kill_all(process)
        assert lab.run(TRIALS) == 0
    return lab


@pytest.fixture
def store(sound, tmp_path):
    """A copy of the sound store, with what the oracle must know of it."""
    return Store(sound, tmp_path)


class Store:
    def __init__(self, lab, folder):
        self.home, self.trainings = folder / "home", folder / "trainings"
        shutil.copytree(lab.home, self.home)
        shutil.copy(lab.trainings_file, self.trainings)
        self.asked = Asked(TRIALS, recorded=dict(lab.recorded), workers_killed=1)
        self.asked.undisturbed = lab.evidence().table()

    def sql(self, database, statement, *values):
        with closing(sqlite3.connect(self.home / database)) as connection, connection:
            changed = connection.execute(statement, values).rowcount
        assert changed > 0, "nothing was broken"

    def found(self):
        """Return the invariants that do not hold."""
        evidence = read_home(self.home, trainings=self.trainings)
        return {text.partition(":")[0] for text in violations(evidence, self.asked)}

    def folder(self):
        return self.records().folder

    def records(self):
        (info,) = Home(self.home).sweeps()
        return Home(self.home).store(info.id)

    def rewrite(self, trial, **changes):
        """Change the outcome of a trial's first attempt, as nothing of ours does."""
        changed = [
            replaced(event, **changes) if getattr(event, "key", "") == f"{trial:04d}-1" else event
            for event in self.events()
        ]
        assert changed != self.events(), "nothing was broken"
        self.write_events(changed)

    def lose(self, lost):
        """Take an event away; the others keep their numbers."""
        self.write_events([event for event in self.events() if event.number != lost.number])

    def all_asked(self):
        return [event for event in self.events() if isinstance(event, journal.Asked)]

    def ended(self, trial):
        (event,) = [e for e in self.events() if getattr(e, "key", "") == f"{trial:04d}-1"]
        return event

    def events(self):
        return self.records().journal.read(pytest.fail)

    def write_events(self, events):
        """Write the journal anew; an event keeps its number."""
        self.records().journal.path.write_bytes(b"".join(map(to_line, events)))


def lose_a_result(store):
    number = min(store.asked.recorded)
    store.rewrite(number, objective=store.asked.recorded[number][0] + 1e-9)


def leave_running(store):
    store.sql("mlflow.db", "UPDATE runs SET status = 'RUNNING' WHERE name LIKE '0002%'")


def double_a_run(store):
    finished = "SELECT run_uuid FROM runs WHERE name LIKE ? AND status = 'FINISHED'"
    copy = f"SELECT 'copy', {{}} FROM {{}} WHERE run_uuid = ({finished} ORDER BY name LIMIT 1)"
    columns = "name, source_type, status, start_time, lifecycle_stage, experiment_id"
    columns = f"run_uuid, {columns}", columns
    store.sql("mlflow.db", f"INSERT INTO runs ({columns[0]}) {copy.format(columns[1], 'runs')}",
              "000%")  # fmt: skip
    for table in ("tags", "params"):
        rows = copy.format("key, value", table)
        store.sql("mlflow.db", f"INSERT INTO {table} (run_uuid, key, value) {rows}", "000%")
    metrics = "key, value, timestamp, step, is_nan"
    rows = copy.format(metrics, "latest_metrics")
    store.sql("mlflow.db", f"INSERT INTO latest_metrics (run_uuid, {metrics}) {rows}", "000%")


def run_one_too_few(store):
    store.asked.trials += 1


def repeat_unmarked(store):
    """A trial that had its outcome was trained once more."""
    with store.trainings.open("a") as trainings:
        trainings.write("2 1 77\n")


def name_another_best(store):
    store.sql(
        "mlflow.db",
        "UPDATE latest_metrics SET value = value - 0.5 WHERE key = 'score' AND run_uuid IN"
        " (SELECT run_uuid FROM tags WHERE key = 'kind' AND value = 'sweep')",
    )


def propose_otherwise(store):
    number, state, value, params = store.asked.undisturbed[3]
    store.asked.undisturbed[3] = (number, state, value, {**params, "x": params["x"] / 2})


def end_with_a_traceback(store):
    store.asked.exit_code = 1
    store.asked.stderr = "Traceback (most recent call last):\n  ...\nKeyError: 'x'\n"


def leave_a_temporary_file(store):
    (store.folder() / "trials" / ".0002-1.npz.77.tmp").write_bytes(b"half")


BROKEN = {
    "I1": lose_a_result,
    "I2": leave_running,
    "I3": double_a_run,
    "I4": run_one_too_few,
    "I5": repeat_unmarked,
    "I6": name_another_best,
    "I7": propose_otherwise,
    "I8": end_with_a_traceback,
    "I9": leave_a_temporary_file,
}
ALSO = {"I1": {"I6", "I7"}}
"""What else is wrong in a store: a value that changed differs from its record and from MLflow."""


def test_a_sound_store_is_accepted(store):
    assert store.found() == set()
    assert store.asked.recorded  # there was something to lose


@pytest.mark.parametrize("invariant", BROKEN)
def test_a_broken_store_is_rejected_for_what_is_broken(store, invariant):
    BROKEN[invariant](store)
    assert store.found() == {invariant} | ALSO.get(invariant, set())


def test_every_invariant_has_a_broken_store():
    assert set(BROKEN) == set(RULES)


def more(name, break_it, expected):
    return pytest.param(break_it, expected, id=name)


def lose_a_record(store):
    store.lose(store.ended(0))


def tear_a_record(store):
    path = store.records().journal.path
    line = to_line(store.ended(0))
    path.write_bytes(path.read_bytes().replace(line, line.replace(b"max_epochs", b"max_epoch")))


def lose_the_arrays(store):
    (store.folder() / "trials" / "0003-1.npz").unlink()


def flip_a_bit_of_the_arrays(store):
    path = store.folder() / "trials" / "0003-1.npz"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def leave_arrays_of_no_attempt(store):
    shutil.copy(store.folder() / "trials" / "0003-1.npz", store.folder() / "trials" / "0003-7.npz")


def end_twice(store):
    store.records().journal.append(store.ended(0))


def leave_a_trial_running(store):
    params = store.all_asked()[0].params
    asked = journal.Asked(trial=TRIALS, attempt=1, params=params, origin="sampled")
    store.records().journal.append(asked)


def delete_a_run(store):
    store.sql("mlflow.db", "UPDATE runs SET lifecycle_stage = 'deleted' WHERE name LIKE '0002%'")


def fail_without_reason(store):
    store.rewrite(4, outcome="failed")


def lose_an_event(store):
    store.lose(store.all_asked()[1])


def lose_the_last_event(store):
    """The last attempt that was asked for."""
    store.lose(store.all_asked()[-1])


def damage_an_event(store):
    path = store.records().journal.path
    path.write_bytes(path.read_bytes().replace(b"sampled", b"Sampled", 1))


def ask_twice(store):
    store.records().journal.append(store.all_asked()[-1])


def ask_out_of_order(store):
    first, second, *_ = store.all_asked()
    swapped = {
        first.number: replaced(second, number=first.number),
        second.number: replaced(first, number=second.number),
    }
    store.write_events([swapped.get(event.number, event) for event in store.events()])


def ask_for_other_parameters(store):
    last = store.all_asked()[-1]
    other = replaced(last, params=last.params | {"x": 0.125})
    store.write_events([other if e.number == last.number else e for e in store.events()])


def begin_unasked(store):
    with store.trainings.open("a") as trainings:
        trainings.write("3 7 77\n")


def end_silently(store):
    store.asked.exit_code = 2


def name_a_dead_owner(store):
    (store.folder() / "lock").write_text('{"pid": 1}')


def point_the_alias_nowhere(store):
    store.sql("mlflow.db", "DELETE FROM registered_model_aliases")


def crown_another_trial(store):
    store.sql("mlflow.db", "UPDATE model_version_tags SET value = '0099-1' WHERE key = 'trial'")


def double_a_version(store):
    columns = "name, creation_time, source, run_id, status, current_stage, workspace"
    store.sql("mlflow.db", f"INSERT INTO model_versions (version, {columns}) "
                           f"SELECT 99, {columns} FROM model_versions LIMIT 1")  # fmt: skip
    store.sql("mlflow.db", "INSERT INTO model_version_tags (workspace, name, version, key, value) "
                           "SELECT workspace, name, 99, key, value FROM model_version_tags "
                           "WHERE version = 1")  # fmt: skip


@pytest.mark.parametrize("lose_it", [lose_an_event, lose_the_last_event, damage_an_event])
def test_where_the_case_took_the_events_they_may_be_gone(store, lose_it):
    lose_it(store)
    store.asked.lost_events = True
    assert store.found() == set()


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        more("no champion", point_the_alias_nowhere, "I6"),
        more("another champion", crown_another_trial, "I6"),
        more("a record has two versions", double_a_version, "I6"),
        more("a record is gone", lose_a_record, "I1"),
        more("a record is torn", tear_a_record, "I1"),
        more("arrays are gone", lose_the_arrays, "I1"),
        more("arrays are altered", flip_a_bit_of_the_arrays, "I1"),
        more("arrays of no attempt", leave_arrays_of_no_attempt, "I9"),
        more("an attempt ended twice", end_twice, "I4"),
        more("a trial is left RUNNING", leave_a_trial_running, "I2"),
        more("a run is deleted", delete_a_run, "I3"),
        more("a trial failed for nothing", fail_without_reason, "I4"),
        more("an event is gone", lose_an_event, "I4"),
        more("the last event is gone", lose_the_last_event, "I4"),
        more("an event is damaged", damage_an_event, "I4"),
        more("an attempt was asked for twice", ask_twice, "I4"),
        more("trials were asked for out of order", ask_out_of_order, "I4"),
        more("asked for with other parameters", ask_for_other_parameters, "I6"),
        more("a training was begun unasked", begin_unasked, "I4"),
        more("the end says nothing", end_silently, "I8"),
        more("the lock names a dead owner", name_a_dead_owner, "I9"),
    ],
)
def test_other_ways_to_break_it_are_noticed(store, break_it, expected):
    break_it(store)
    assert expected in store.found()


def test_an_orphan_is_found_whatever_session_it_is_in(tmp_path, migrated_database):
    lab = Lab(tmp_path / "lab", 1, migrated_database)
    with subprocess.Popen(
        ["cat"],
        env=lab.environment(),
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as orphan:
        orphan.stdin.write(b"up\n")
        orphan.stdin.flush()
        assert orphan.stdout.readline() == b"up\n"  # until it runs it may show no environment
        seen = processes_of(lab.marker)
        orphan.kill()
    assert list(seen) == [orphan.pid]
    assert processes_of(lab.marker) == {}
