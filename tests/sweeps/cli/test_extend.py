"""`--extend` as a user types it."""

import json

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.records import RecordStore
from tests.sweeps import journals

FUNCTION = """
from search_spaces.python_space import space

HIGH = 1.0

@space(
    experiment="tests.sweeps.toy_experiment:experiment",
    objective={"metric": "score", "direction": "maximize"},
    fixed={"mode": "sigint", "signal_file": "FLAG"},
)
def sloped(trial):
    return {"x": trial.suggest_float("x", 0.0, HIGH)}
"""


@pytest.fixture
def call(make_home, toy_space, monkeypatch):
    home = make_home()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words):
        line = [str(toy_space) if word == "TOY" else str(word) for word in words]
        return CliRunner().invoke(app, [*line, "--home", str(home)])

    call.home = home
    return call


def widen(toy_space):
    toy_space.write_text(toy_space.read_text().replace("low: -1, high: 1", "low: -1, high: 2"))


@pytest.mark.slow
def test_a_widened_space_is_refused_planned_and_extended(call, toy_space):
    assert call("run", "TOY", "--trials", 4, "--workers", 0).exit_code == 0
    widen(toy_space)
    refused = call("run", "TOY", "--trials", 8, "--workers", 0)
    assert refused.exit_code == 2
    assert "x: -1..1 there, -1..2 asked" in refused.stderr
    assert "--extend" in refused.stderr
    planned = call("plan", "TOY", "--trials", 8, "--extend")
    assert planned.exit_code == 0, planned.output
    assert "generation 2 begins with trial 4; 4 of 4 earlier trials lie in the" in planned.output
    assert "the 4 trials that are left" in planned.output
    plan = json.loads(call("plan", "TOY", "--trials", 8, "--extend", "--json").stdout)
    listed = call("list", "--json").stdout
    assert json.loads(listed)[0]["generation"] == 1
    extended = call("run", "TOY", "--trials", 8, "--workers", 0, "--extend", "--json")
    notes = [e["text"] for e in map(json.loads, extended.stdout.splitlines()) if "text" in e]
    assert "generation 2 begins with trial 4; 4 of 4 earlier trials lie in the new space" in notes
    rows = json.loads(call("trials", "toy", "--json").stdout)
    # Within ask_ahead nothing new is seen: what was planned is what was run.
    assert [row["params"] for row in rows[4:]] == [p["params"] for p in plan["planned"]][:4]
    (row,) = json.loads(call("list", "--json").stdout)
    assert (row["done"], row["generation"]) == (8, 2)
    best = json.loads(call("best", "toy", "--json").stdout)["best"]
    assert best["objective"] == max(row["objective"] for row in rows)


def test_the_command_that_goes_on_does_not_extend_again(call, toy_space):
    call("run", "TOY", "--trials", 2, "--workers", 0)
    widen(toy_space)
    result = call("run", "TOY", "--trials", 4, "--workers", 0, "--extend")
    assert "sweeps run" in result.stdout
    assert "--extend" not in result.stdout
    again = call("run", "TOY", "--trials", 4, "--workers", 0, "--extend")
    assert "nothing to extend: generation 2 has these options already" in again.stderr


@pytest.mark.parametrize("command", ["run", "plan"])
def test_extending_nothing_creates_nothing(call, command):
    result = call(command, "TOY", "--extend")
    assert result.exit_code == 2
    assert "no sweep 'toy'" in result.stderr
    assert not (call.home / "sweeps").exists()


def test_planning_an_extension_creates_nothing(call, toy_space):
    call("run", "TOY", "--trials", 2, "--workers", 0)
    widen(toy_space)
    before = {path: path.stat().st_mtime_ns for path in (call.home / "sweeps").rglob("*")}
    assert call("plan", "TOY", "--extend").exit_code == 0
    after = {path: path.stat().st_mtime_ns for path in (call.home / "sweeps").rglob("*")}
    assert after == before


def test_a_function_that_changed_before_its_trials_were_finished_is_not_extended(
    call, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    text = FUNCTION.replace("FLAG", str(tmp_path / "flag"))
    (tmp_path / "extended_before.py").write_text(text)
    name = ("--name", "sloped", "--trials", 3, "--workers", 0)
    assert call("run", "extended_before:sloped", *name).exit_code == 130
    # As a kill leaves it: the trial is stored, nothing recorded.
    store = RecordStore(next((call.home / "sweeps").iterdir()))
    journals.forget(store, "0000-1")

    def moved(one):
        return json.loads(json.dumps(one).replace("extended_before:", "extended_after:"))

    journals.rewrite(store, moved)
    (tmp_path / "extended_after.py").write_text(text.replace("HIGH = 1.0", "HIGH = 2.0"))
    refused = call("run", "extended_after:sloped", *name, "--extend")
    assert refused.exit_code == 2
    assert "trial 0 is unfinished" in refused.stderr
    assert "extended_after:sloped has changed since" in refused.stderr
