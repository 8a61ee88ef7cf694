"""What `sweeps sync` sends, into real stores; `tests/faults` takes real servers away."""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

import sweeps
from sweeps.home import Home
from sweeps.journal import Finished
from sweeps.runner.ownership import SweepLock
from tests.faults.mlflow_state import mlflow_state
from tests.homes import lose_runs
from tests.ports import free_port
from tests.sweeps.confusing_experiment import SPACE as CONFUSING


def state(home, name="toy"):
    return mlflow_state(f"sqlite:///{home / 'mlflow.db'}", sweeps.load(name, home).info.id)


@pytest.mark.slow
@pytest.mark.parametrize("ended", ["finished", "interrupted", "failed"])
def test_a_lost_store_is_written_again_field_by_field(
    run_toy, call, make_home, migrated_database, ended, tmp_path
):
    overrides = {
        "finished": (),
        "interrupted": ("mode=sigint", f"signal_file={tmp_path / 'flag'}"),
        "failed": ("mode=raise",),
    }[ended]
    if ended == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            run_toy(trials=3, workers=0, overrides=overrides)
    else:
        run_toy(trials=3, workers=0, overrides=overrides)
    before = state(make_home())
    # Three trials and the parent; one that fails is tried again.
    assert len(before["runs"]) == {"finished": 4, "interrupted": 2, "failed": 7}[ended]
    lose_runs(make_home(), migrated_database)

    result = call("sync")
    assert result.exit_code == 0, result.output
    count = len(before["runs"]) - 1
    assert result.stdout.endswith(f"{count} of {count} runs were missing and are sent\n")
    assert "toy: 0000-1" in result.stderr
    assert state(make_home()) == before

    result = call("sync", "toy")
    assert result.stdout.endswith(f"all {count} runs are there\n")
    assert state(make_home()) == before


@pytest.fixture
def count(monkeypatch):
    """Count what a call asks a database for, and how often it opens each record."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    counted = {"statements": 0, "opened": Counter()}

    def ask(*_):
        counted["statements"] += 1

    def counting(opens):
        def counted_open(file, *args, **options):
            if str(file).endswith(".npz"):
                counted["opened"][Path(file).name] += 1
            return opens(file, *args, **options)

        return counted_open

    # No audit hook: it stays for the process, and coverage's tracing of threads fails beside one.
    for owner in (os, io, builtins):
        monkeypatch.setattr(owner, "open", counting(owner.open))
    event.listen(Engine, "before_cursor_execute", ask)
    yield counted
    event.remove(Engine, "before_cursor_execute", ask)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sync", "doctor"])
def test_what_is_asked_of_mlflow_does_not_grow_with_the_trials(
    finished_toy, call, make_home, count, command
):
    asked = []
    for trials in (2, 2, 12):  # the first time it looks at what there is
        finished_toy(trials=trials)
        counted = {"statements": 0, "opened": Counter()}
        count.update(counted)
        assert call(command, "toy").exit_code == 0
        asked.append(count["statements"])
        shutil.rmtree(make_home())
    assert asked[1] == asked[2]
    # Its contents, and to be compared; the ten best are looked at once more.
    assert min(count["opened"].values()) <= 2


@pytest.mark.slow
def test_a_report_is_made_again_only_if_what_it_is_made_of_has_changed(
    finished_toy, run_toy, call, make_home
):
    def made():
        (page,) = make_home().glob("artifacts/*/*/artifacts/report.html")
        return page.stat().st_ino

    finished_toy(trials=15)
    whole, first = state(make_home()), made()
    assert call("sync", "toy").exit_code == 0
    run_toy(trials=15)
    assert (made(), state(make_home())) == (first, whole)

    (lost,) = make_home().glob("artifacts/*/*/artifacts/report.html")
    page = lost.read_bytes()
    lost.unlink()
    assert call("sync", "toy").exit_code == 0
    assert (lost.read_bytes(), state(make_home())) == (page, whole)

    first = made()
    run_toy(trials=16)
    assert made() != first
    first = made()
    assert call("note", "toy", "a remark").exit_code == 0
    assert made() != first


@pytest.mark.slow
def test_what_a_former_report_had_beside_it_goes(finished_toy, call, make_home):
    finished_toy(trials=15)
    whole = state(make_home())
    (page,) = make_home().glob("artifacts/*/*/artifacts/report.html")
    chart = page.parent / "plots" / "history.png"
    chart.parent.mkdir()
    chart.write_bytes(b"of a former version")
    named = "UPDATE tags SET value = 'another: plots/history.png, report.html' WHERE key = ?"
    with closing(sqlite3.connect(make_home() / "mlflow.db")) as database, database:
        database.execute(named, ("report_of",))
    assert call("sync", "toy").exit_code == 0
    assert (chart.exists(), page.exists(), state(make_home()) == whole) == (False, True, True)
    sweep = sweeps.load("toy", make_home())
    sweep.home.store(sweep.info.id).append(Finished("KILLED", "SIGINT"))
    assert call("sync", "toy").exit_code == 0
    assert page.exists(), "a sweep that goes on has no other report yet"


@pytest.mark.parametrize("kind", ["sweep", "trial"])
def test_what_mlflow_was_killed_while_it_copied_goes_unless_somebody_copies_it_still(
    finished_toy, call, make_home, kind
):
    from mlflow.store.artifact.local_artifact_repo import _TEMP_ARTIFACT_PREFIX

    finished_toy(trials=2)
    with closing(sqlite3.connect(make_home() / "mlflow.db")) as store:
        (run_id,) = store.execute("SELECT run_uuid FROM tags WHERE value = ?", (kind,)).fetchone()
    (folder,) = make_home().glob(f"artifacts/*/{run_id}/artifacts")
    (folder / "plots").mkdir(exist_ok=True)
    left, open_still = (folder / "plots" / f"{_TEMP_ARTIFACT_PREFIX}{name}" for name in "ab")
    left.write_text("half")
    with open_still.open("w"):
        assert call("sync", "toy").exit_code == 0
        assert (left.exists(), open_still.exists()) == (False, True)


def test_a_sweep_that_was_killed_is_ended_as_killed(finished_toy, call, make_home):
    sweep = finished_toy(trials=2)
    store = Home(make_home()).store(sweep.info.id)
    store.ask(5)  # as the next start does; then it is killed
    assert call("sync", "toy").exit_code == 0
    parent = state(make_home())["runs"][0]
    assert (parent["status"], parent["tags"]["stopped_by"]) == ("KILLED", "killed")
    assert parent["tags"]["asked"] == "5"
    assert parent["tags"]["done"] == "2"


@pytest.mark.slow
def test_a_parent_run_is_ended_even_if_nothing_else_arrives(finished_toy, call, make_home):
    finished_toy(trials=2)
    with closing(sqlite3.connect(make_home() / "mlflow.db")) as store, store:
        store.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = 'toy'")
    artifacts = make_home() / "artifacts"
    shutil.rmtree(artifacts)
    artifacts.touch()  # no file of a run can be written
    result = call("sync", "toy")
    assert (result.exit_code, "the parent run" in result.stdout) == (3, True), result.output
    assert state(make_home())["runs"][0]["status"] == "FINISHED"


@pytest.mark.slow
def test_json_tells_what_was_sent_and_what_was_left_out(
    run_toy, finished_toy, call, make_home, tmp_path
):
    finished_toy(trials=2)
    busy = run_toy(trials=2, workers=0, name="busy")
    with SweepLock(Home(make_home()).store(busy.info.id).folder / "lock", "busy"):
        elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
        result = call("sync", "--tracking-uri", elsewhere, "--json")
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["sweeps"] == [
            {
                "sweep": "toy",
                "records": 2,
                "written": ["0000-1", "0001-1"],
                "pending": [],
                "error": None,
            }
        ]
        assert "is being run by process" in told["left_out"]["busy"]
        result = call("sync", "busy")
        assert result.exit_code == 2
        assert "is being run by process" in result.stderr


def test_a_server_that_is_away_leaves_it_incomplete(finished_toy, call):
    finished_toy(trials=2)
    port = free_port()
    result = call("sync", "--tracking-uri", f"http://127.0.0.1:{port}")
    assert result.exit_code == 3, result.output
    assert result.stderr.count("cannot be reached") == 1
    assert "0 runs sent, 3 of 2 are missing still" not in result.stdout
    assert "the parent run and 2 of 2 runs are missing or incomplete" in result.stdout


def test_pictures_that_cannot_be_drawn_any_more_do_not_cost_the_numbers(
    run_toy, call, make_home, migrated_database, tmp_path, monkeypatch
):
    (tmp_path / "moved_away.py").write_text("from tests.sweeps.toy_experiment import experiment\n")
    space = tmp_path / "toy.yaml"
    space.write_text(space.read_text().replace("tests.sweeps.toy_experiment:", "moved_away:"))
    run_toy(trials=2, workers=0)
    before = state(make_home())
    lose_runs(make_home(), migrated_database)
    (tmp_path / "moved_away.py").rename(tmp_path / "moved_away.txt")
    monkeypatch.delitem(__import__("sys").modules, "moved_away")

    result = call("sync")
    assert result.exit_code == 3, result.output
    assert "'moved_away:experiment' cannot be imported" in result.stdout
    run = state(make_home())["runs"][1]
    assert run["metrics"] == before["runs"][1]["metrics"]
    assert run["status"] == "FINISHED"

    (tmp_path / "moved_away.txt").rename(tmp_path / "moved_away.py")
    assert call("sync").exit_code == 0
    assert state(make_home()) == before


def test_mistakes_create_nothing(call, make_home):
    result = call("sync", "nosuch")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no sweep 'nosuch'" in result.stderr
    result = call("sync", "--tracking-uri", "ftp://host")
    assert result.exit_code == 2
    assert call("sync").exit_code == 0  # nothing to send
    assert {path.name for path in make_home().iterdir()} == {"mlflow.db"}


MOVED = """
from pathlib import Path
from tests.sweeps.confusing_experiment import ConfusingExperiment as Base


class Filed(Base):
    def prepare(self, source, split_seed):
        path = Path(source or Path(__file__).with_name("data.txt"))
        return super().prepare(path.read_text(), split_seed)


experiment = Filed()
"""


@pytest.mark.slow
@pytest.mark.nightly
def test_a_report_without_its_samples_stays_incomplete_until_the_data_are_named(
    call, make_home, migrated_database, tmp_path
):
    (tmp_path / "filed_samples.py").write_text(MOVED)
    (tmp_path / "data.txt").write_text("confusing")
    text = CONFUSING.replace("tests.sweeps.confusing_experiment:", "filed_samples:")
    (tmp_path / "filed.yaml").write_text(text.replace("pruner: median", "pruner: none"))
    ran = call("run", tmp_path / "filed.yaml", "--trials", 24, "--workers", 0)
    assert ran.exit_code == 0, ran.output
    before = state(make_home(), "filed")
    (tmp_path / "data.txt").rename(tmp_path / "moved.txt")
    lose_runs(make_home(), migrated_database)
    for _ in range(2):
        lacking = call("sync")
        assert lacking.exit_code == 3, lacking.output
        assert "the parent run is missing or incomplete (samples in the report of filed: " in (
            lacking.stdout
        )
        assert "data.txt" in lacking.stdout
    parent = next(run for run in state(make_home(), "filed")["runs"] if "trial" not in run["tags"])
    assert parent["status"] == "FINISHED"
    assert "report.html" in parent["files"]
    refused = call("sync", "--data", tmp_path / "moved.txt")
    assert (refused.exit_code, "give its name" in refused.stderr) == (2, True)
    mended = call("sync", "filed", "--data", tmp_path / "moved.txt")
    assert mended.exit_code == 0, mended.output
    assert state(make_home(), "filed") == before


@pytest.mark.parametrize("in_environment", [False, True])
def test_a_hint_names_home_and_store_that_were_given(
    finished_toy, call, make_home, migrated_database, tmp_path, monkeypatch, in_environment
):
    finished_toy(trials=2)
    shutil.copy(migrated_database, tmp_path / "other.db")
    store = f"sqlite:///{tmp_path / 'other.db'}"
    options = f" --home {make_home()} --tracking-uri {store}"
    if in_environment:  # where the next command finds it as well
        monkeypatch.setenv("SWEEPS_HOME", str(make_home()))
        options = f" --tracking-uri {store}"
    told = call("doctor", "toy", "--tracking-uri", store)
    assert told.exit_code == 1
    said = (
        f"`sweeps doctor --fix{options}` sends it (`sweeps sync{options}` sends only runs that are"
    )
    assert said in told.stdout


@pytest.mark.slow
def test_the_same_command_again_writes_what_is_missing(finished_toy, run_toy, make_home):
    def change(column, value, of):
        with closing(sqlite3.connect(make_home() / "mlflow.db")) as store, store:
            which = "run_uuid IN (SELECT run_uuid FROM tags WHERE value = ?)"
            store.execute(f"UPDATE runs SET {column} = ? WHERE {which}", (value, of))

    finished_toy(trials=3)
    whole = state(make_home())
    run_toy(trials=3)
    assert state(make_home()) == whole

    next(make_home().glob("artifacts/**/trials.csv")).unlink()
    change("lifecycle_stage", "deleted", of="0001-1")
    change("status", "RUNNING", of="sweep")
    run_toy(trials=3)
    assert state(make_home()) == whole
