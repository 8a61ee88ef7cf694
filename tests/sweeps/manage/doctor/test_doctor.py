"""What `sweeps doctor` finds in a sweep that somebody hurt, and whether it mends it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.runner.ownership import SweepLock
from tests.faults.mlflow_state import mlflow_state
from tests.sweeps.conftest import table
from tests.sweeps.factories import altered


class Patient:
    """A finished sweep of four trials, and what `doctor` says of it."""

    def __init__(self, path):
        self.path, self.home = path, Home(path)
        self.info = sweeps.load("toy", path).info
        self.store = self.home.store(self.info.id)
        self.healthy = self.state()

    def state(self):
        runs = mlflow_state(f"sqlite:///{self.path / 'mlflow.db'}", self.info.id)
        del runs["deleted"]  # a run that is replaced lies in MLflow's bin
        return runs, table(sweeps.load("toy", self.path))

    def sql(self, database, statement, *values):
        with closing(sqlite3.connect(self.path / database)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def run_of(self, key):
        """Return the id of the run of an attempt, or of the sweep."""
        tag = ("kind", "sweep") if key == "sweep" else ("trial", key)
        query = "SELECT run_uuid FROM tags WHERE key = ? AND value = ?"
        ((run_id,),) = self.sql("mlflow.db", query, *tag)
        return run_id

    def doctor(self, *words):
        return CliRunner().invoke(app, ["doctor", *words, "--home", str(self.path)])

    def problems(self):
        result = self.doctor("toy", "--json")
        told = json.loads(result.stdout)
        found = [p for diagnosis in told["diagnoses"] for p in diagnosis["problems"]]
        assert result.exit_code == (1 if found else 0)
        assert told["agrees"] == (not found)
        return [(p["part"], p["what"]) for p in found]


@pytest.fixture
def patient(finished_toy, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finished_toy(trials=4)
    return Patient(make_home())


def damaged_runs(p):
    (p.path / "mlflow.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 40_000)
    for file in p.path.glob("mlflow.db-*"):
        file.unlink()
    return "files", "mlflow.db: damaged"


def deleted_run(p):
    query = "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?"
    p.sql("mlflow.db", query, p.run_of("0001-1"))
    return "mlflow", "run of attempt 0001-1 is missing"


def run_without_an_end(p):
    query = "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?"
    p.sql("mlflow.db", query, p.run_of("0001-1"))
    return (
        "mlflow",
        "run of attempt 0001-1 differs from the journal: status (it is RUNNING, and nobody",
    )


def end_of_a_run(p):
    p.sql("mlflow.db", "UPDATE runs SET end_time = 7 WHERE run_uuid = ?", p.run_of("0001-1"))
    return "mlflow", "run of attempt 0001-1 differs from the journal: end"


def value_of_a_run(p):
    query = "UPDATE latest_metrics SET value = 7 WHERE run_uuid = ? AND key = 'score'"
    p.sql("mlflow.db", query, p.run_of("0001-1"))
    return "mlflow", "run of attempt 0001-1 differs from the journal: score"


def parameter_of_a_run(p):
    query = "UPDATE params SET value = '7' WHERE run_uuid = ? AND key = 'x'"
    p.sql("mlflow.db", query, p.run_of("0001-1"))
    return "mlflow", "run of attempt 0001-1 differs from the journal: x"


def tag_of_a_run(p):
    query = "UPDATE tags SET value = '7' WHERE run_uuid = ? AND key = 'state'"
    p.sql("mlflow.db", query, p.run_of("0001-1"))
    return "mlflow", "run of attempt 0001-1 differs from the journal: tag state"


def files_of_a_run(p):
    (file,) = p.path.glob(f"artifacts/*/{p.run_of('0001-1')}/artifacts/config.json")
    file.unlink()
    return "mlflow", "run of attempt 0001-1 differs from the journal: config.json"


def parent_without_an_end(p):
    query = "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = ?"
    p.sql("mlflow.db", query, p.run_of("sweep"))
    return (
        "mlflow",
        "the parent run differs from the journal: status (it is RUNNING, and nobody runs it)",
    )


def best_of_the_parent(p):
    query = "UPDATE tags SET value = '9-9' WHERE run_uuid = ? AND key = 'best_trial'"
    p.sql("mlflow.db", query, p.run_of("sweep"))
    return "mlflow", "the parent run differs from the journal: tag best_trial"


def half_written_file(p):
    (p.store.folder / "trials" / ".0003-1.npz.x.tmp").write_text("half")
    return "files", ".0003-1.npz.x.tmp belongs to nothing"


def files_without_an_event(p):
    (p.store.folder / "trials" / "0009-1.weights.npz").write_text("of an attempt that was killed")
    return "files", "0009-1.weights.npz belongs to nothing"


def run_without_an_event(p):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{p.path / 'mlflow.db'}")
    original = client.get_run(p.run_of("0001-1"))
    tags = {**original.data.tags, "trial": "0009-1"}
    client.create_run(original.info.experiment_id, tags=tags)
    return "mlflow", "run of attempt 0009-1 ("


def half_copied_file_of_a_run(p):
    (folder,) = p.path.glob(f"artifacts/*/{p.run_of('0001-1')}/artifacts")
    (folder / ".artifact.uploading.half").write_text("half")
    return "files", ".artifact.uploading.half belongs to nothing"


def half_made_database(p):
    (p.path / ".mlflow.db.new").write_text("half")
    return "files", ".mlflow.db.new belongs to nothing"


TROUBLES = [
    damaged_runs, deleted_run, run_without_an_end, end_of_a_run,
    value_of_a_run, parameter_of_a_run, tag_of_a_run, files_of_a_run, parent_without_an_end,
    best_of_the_parent, half_written_file, files_without_an_event, run_without_an_event,
    half_copied_file_of_a_run, half_made_database,
]  # fmt: skip
ALIKE = {
    parameter_of_a_run, tag_of_a_run, best_of_the_parent, half_made_database,
}  # fmt: skip
"""Those that are found and mended the way another one is."""


def test_all_is_well_with_a_sweep_that_was_left_alone(patient):
    assert patient.problems() == []
    result = patient.doctor()
    assert (result.exit_code, result.stdout) == (0, "all is well with 1 sweep\n")
    assert patient.state() == patient.healthy


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble",
    [pytest.param(one, marks=pytest.mark.nightly) if one in ALIKE else one for one in TROUBLES],
    ids=lambda trouble: trouble.__name__,
)
def test_trouble_is_found_and_mended(patient, trouble):
    part, what = trouble(patient)
    found = patient.problems()
    assert any(p == part and what in text for p, text in found), found
    assert found == patient.problems(), "it must not have changed anything"

    result = patient.doctor("toy", "--fix")
    assert result.exit_code == 0, result.output
    assert patient.problems() == []
    assert patient.state() == patient.healthy
    assert patient.doctor("--fix").stderr == "", "nothing is left to do"


def garble(journal, event):
    """Flip a digit in an event of a journal; return its number."""
    lines = journal.read_bytes().split(b"\n")
    (place,) = (place for place, line in enumerate(lines) if event in line)
    number = json.loads(lines[place].rpartition(b" ")[0])["number"]
    lines[place] = lines[place].replace(b'"at":1', b'"at":2')
    journal.write_bytes(b"\n".join(lines))
    return number


def ended(trial):
    return b'"trial":%d,"attempt":1,"seed":' % trial


@pytest.mark.slow
def test_a_damaged_end_costs_its_attempt_and_the_trial_runs_again(patient, run_toy):
    number = garble(patient.store.journal.path, ended(2))
    found = patient.problems()
    run = f"run of attempt 0002-1 ({patient.run_of('0002-1')}): the journal has no such attempt"
    assert ("mlflow", run) in found
    for name in ("0002-1.npz", "0002-1.weights.npz"):
        assert ("files", f"{patient.store.folder / 'trials' / name} belongs to nothing") in found

    result = patient.doctor("--fix")
    assert result.exit_code == 0, result.output
    said = (
        f"event {number} is damaged (its checksum does not fit; it was 'ended' of attempt 0002-1)"
    )
    assert f"journal.jsonl: {said}; left out\n" in result.stdout
    assert "'toy': 1 trial without an outcome yet (2); `sweeps run` goes on" in result.stdout
    again = table(run_toy(trials=4, workers=0))
    assert again == patient.healthy[1]
    assert patient.problems() == []
    assert said in patient.doctor().stdout, "it is said each time"


@pytest.mark.slow
def test_a_damaged_end_that_the_next_run_made_up_for_is_a_note(patient, run_toy):
    number = garble(patient.store.journal.path, ended(2))
    run_toy(trials=4, workers=0)
    result = patient.doctor()
    assert result.exit_code == 0, result.output
    assert f"event {number} is damaged (" in result.stdout


def test_a_damaged_line_that_costs_nothing_is_a_note_with_what_it_was(patient):
    asked = patient.store.state().asked[1].number
    number = garble(patient.store.journal.path, b'"kind":"asked 1","number":%d' % asked)
    result = patient.doctor("toy")
    assert result.exit_code == 0, result.output
    said = (
        f"event {number} is damaged (its checksum does not fit; it was 'asked' of attempt 0001-1)"
    )
    assert said in result.stdout
    assert "all is well" in result.stdout
    assert patient.doctor("--fix").stderr == "", "there is nothing to repair"


def test_events_that_are_gone_are_a_note(patient):
    journal = patient.store.journal.path
    lines = [
        line for line in journal.read_bytes().split(b"\n\n") if b'"kind":"started 1"' not in line
    ]
    journal.write_bytes(b"\n\n".join(lines))
    result = patient.doctor("toy")
    assert (result.exit_code, "1 event missing before event" in result.stdout) == (0, True)


FILES = {
    "0001-1.npz": "details are lost",
    "0001-1.weights.npz": None,
    "0001-2.files.zip": None,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_an_attempt_is_put_aside_and_its_result_stays(patient, name):
    file = patient.store.folder / "trials" / name
    if not file.exists():
        record = patient.store.read("0001-1")
        again = altered(record, attempt=2, ends_trial=False)
        patient.store.write(again, {"log.txt": b"it wrote this"})
        assert patient.doctor("--fix").exit_code == 0
    file.write_bytes(file.read_bytes()[:-1])
    assert (
        "files",
        f"{file} is damaged, its checksum does not fit its event",
    ) in patient.problems()
    fixed = patient.doctor("--fix")
    assert fixed.exit_code == 0, fixed.output
    assert file.with_name(f"{name}.torn").exists()
    if FILES[name]:
        assert f"{file} is gone: {FILES[name]}" in fixed.stdout
    assert patient.state()[1] == patient.healthy[1]
    assert patient.problems() == []


@pytest.mark.slow
def test_a_doubled_run_is_told_and_reduced_to_one(patient):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{patient.path / 'mlflow.db'}")
    original = client.get_run(patient.run_of("0001-1"))
    client.create_run(original.info.experiment_id, tags=original.data.tags)
    assert ("mlflow", "run of attempt 0001-1: there are 2") in patient.problems()
    assert patient.doctor("--fix").exit_code == 0
    assert patient.state() == patient.healthy


def test_a_sweep_that_is_running_is_left_alone(patient):
    value_of_a_run(patient)
    with SweepLock(patient.store.folder / "lock", "toy"):
        result = patient.doctor("toy")
        assert result.exit_code == 0
        assert result.stdout.startswith("sweep 'toy' is running now")
        assert patient.doctor("toy", "--fix").exit_code == 0
    assert len(patient.problems()) == 1


@pytest.mark.slow
def test_an_extended_sweep_agrees(patient, run_toy):
    run_toy(trials=6, workers=0, extend=True, overrides=("x=-1..0.9",))
    assert patient.problems() == []


def test_a_sweep_that_cannot_be_read_is_one_problem_of_the_home(patient, run_toy):
    run_toy(trials=1, workers=0, name="other")
    journal = patient.store.journal.path
    journal.write_bytes(journal.read_bytes().replace(b'"kind":"begun 1"', b'"kind":"bogus 1"'))
    result = patient.doctor()
    assert result.exit_code == 1
    assert "the home, records: " in result.stdout, result.output
    assert f"{journal}: event 1 is damaged" in result.stdout
    assert "bring it back from a backup" in result.stdout


def test_a_store_that_is_away_is_told_and_nothing_is_created(patient, tmp_path):
    result = patient.doctor("toy", "--tracking-uri", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "MLflow could not be read" in result.stdout
    assert "try again when the store answers" in result.stdout
    elsewhere = tmp_path / "elsewhere.db"
    result = patient.doctor("toy", "--tracking-uri", f"sqlite:///{elsewhere}")
    assert (result.exit_code, elsewhere.exists()) == (1, False)
    assert "run of attempt 0001-1 is missing" in result.stdout


def test_a_misspelt_name_is_a_mistake(patient):
    result = patient.doctor("toi")
    assert (result.exit_code, "did you mean" in result.stderr) == (2, True)


def test_a_home_without_sweeps_is_well_and_stays_empty(tmp_path):
    result = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "all is well with 0 sweeps\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a#b", "café & more"])
def test_a_home_with_an_odd_name_is_examined_as_any_other(run_toy, tmp_path, name):
    patient = Patient(run_toy(home=name, trials=2, workers=0).home.path)
    assert patient.problems() == []
    assert not list(tmp_path.glob("**/a")), "the address was cut at the sign"


def test_what_a_killed_process_left_in_the_lock_is_told_and_cleared(patient):
    lock = patient.store.folder / "lock"
    lock.write_text("process 1 on host since 2026-01-01T00:00:00+00:00")
    assert patient.problems() == [("files", "the lock names a process that does not hold it")]
    assert (patient.doctor("--fix").stderr, lock.read_text()) == ("", "")
    assert patient.problems() == []


def test_a_deletion_that_was_not_finished_is_told_and_finished(patient):
    deleted = patient.store.folder.rename(patient.store.folder.with_name(".deleted-20260101-00"))
    told = patient.doctor()
    assert (told.exit_code, f"{deleted} belongs to nothing" in told.stdout) == (1, True)
    assert patient.doctor("--fix").exit_code == 0
    assert not deleted.exists()


def test_what_nobody_of_ours_has_made_is_let_be(patient):
    (patient.path / ".a.newsletter").mkdir()
    (patient.path / ".a.new").touch()
    assert patient.doctor("--fix").exit_code == 0
    assert [path.name for path in patient.path.glob(".a.*")] == [".a.newsletter"]
