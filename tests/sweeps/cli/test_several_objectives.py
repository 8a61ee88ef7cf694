"""Sweeps with several objectives as a user types them."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from tests.homes import copy_home
from tests.sweeps import journals
from tests.sweeps.forging import JOURNAL, forge, in_trial
from tests.sweeps.launching import Launched
from tests.sweeps.trading_experiment import TRADING, TWO

LIST = "objective:\n- {metric: score, direction: maximize}\n- {metric: cost, direction: minimize}\n"


@pytest.fixture
def call(make_home, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = tmp_path / "trading.yaml"
    file.write_text(TRADING)

    def call(*words):
        line = [str(file) if word == "TRADING" else str(word) for word in words]
        return CliRunner().invoke(app, [*line, "--home", str(call.home)], env={"COLUMNS": "120"})

    call.home, call.file = make_home(), file
    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory, migrated_database):
    """Return a home with a sweep that has ended, to be copied."""
    home = tmp_path_factory.mktemp("finished") / "home"
    home.mkdir()
    shutil.copy(migrated_database, home / "mlflow.db")
    (space := home.with_name("trading.yaml")).write_text(TRADING)
    sweeps.run(str(space), home=home, trials=14, workers=0, progress="quiet")
    return home


@pytest.fixture
def swept(call, finished):
    copy_home(finished, call.home)
    return sweeps.load("trading", call.home)


def test_a_plan_shows_all_objectives(call):
    result = call("plan", "TRADING")
    assert "objective   score, maximize; cost, minimize" in result.stdout
    assert json.loads(call("plan", "TRADING", "--json").stdout)["space"]["objective"][1] == {
        "metric": "cost",
        "direction": "minimize",
    }


@pytest.mark.slow
def test_a_run_ends_with_the_front_and_the_same_command_goes_on(call):
    result = call("run", "TRADING", "--trials", 12, "--workers", 0)
    assert result.exit_code == 0, result.output
    assert "on the Pareto front, observed, not confirmed: score" in result.stdout
    assert "best observed" not in result.output
    assert "on the front so far" in result.stderr
    assert call("run", "TRADING", "--trials", 14, "--workers", 0).exit_code == 0
    assert len(sweeps.load("trading", call.home).rows()) == 14


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_trials(call, make_home, tmp_path):
    words = ["run", str(call.file), "--trials", "14", "--set", "longest_seconds=0.3", "--verbose"]
    launched = Launched([*words, "--workers", "2", "--home", str(call.home)])
    launched.until_said("[5/14]")
    launched.kill()
    assert call(*words[:1], "TRADING", *words[2:], "--workers", 0).exit_code == 0
    other = make_home("other")
    assert Launched([*words, "--workers", "0", "--home", str(other)]).wait() == 0
    resumed, undisturbed = (sweeps.load("trading", home) for home in (call.home, other))
    assert [(row.params, row.values(resumed.info.objectives)) for row in resumed.rows()] == [
        (row.params, row.values(resumed.info.objectives)) for row in undisturbed.rows()
    ]
    assert call("doctor", "trading").exit_code == 0


@pytest.mark.slow
def test_best_and_trials_and_list_tell_the_front(call, swept):
    front = [trial.number for trial in swept.pareto_front()]
    text = call("best", "trading").stdout
    assert text.startswith(f"{len(front)} trials on the Pareto front")
    document = json.loads(call("best", "trading", "--json").stdout)
    assert document["best"] is None
    assert [row["trial"] for row in document["front"]] == front
    table = call("trials", "trading").stdout
    assert all(f"*{number} COMPLETE" in table for number in front)
    rows = json.loads(call("trials", "trading", "--json").stdout)
    assert {row["trial"] for row in rows if row["on_front"]} == set(front)
    assert f"front of {len(front)}" in call("list").stdout
    header = call("trials", "trading", "--csv", "-").stdout.splitlines()[0].split(",")
    assert header[-3:] == ["on_front", "seconds", "error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("confirm",),
        pytest.param(("export", "folder"), marks=pytest.mark.nightly),
        pytest.param(("enqueue", "--like", "best"), marks=pytest.mark.nightly),
    ],
)
def test_who_needs_a_best_trial_is_refused_and_told_where_to_look(call, swept, tmp_path, words):
    command, *more = (str(tmp_path / w) if w == "folder" else w for w in words)
    result = call(command, "trading", *more)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "several objectives (score, cost), so no trial of it is best" in line
    assert "sweeps best trading" in line


@pytest.mark.slow
def test_a_trial_of_the_front_is_tried_first_elsewhere(call, swept):
    line = ("run", "TRADING", "--name", "next", "--trials", 1, "--workers", 0, "--seed", 5)
    assert call(*line, "--quiet").exit_code == 0
    result = call("enqueue", "next", "--from", "trading", "--top", 2)
    assert result.stdout.count("queued: ") == 2
    first = swept.pareto_front()[0]
    assert f"x={first.params['x']}" in result.stdout


@pytest.mark.slow
def test_gc_keeps_the_weights_of_the_front(call, swept):
    assert call("gc", "trading", "--keep-top", 1).exit_code == 0
    kept = {int(key[:4]) for key in journals.weights(swept.home.store(swept.info.id))}
    assert {trial.number for trial in swept.pareto_front()} <= kept
    assert len(kept) < sum(row.objective is not None for row in swept.rows())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--pruner", "median"], "pruner 'median': Optuna has no pruning for several objectives"),
        (["--target", "0.9"], "--target 0.9: it bounds one number"),
        (["--fail-under", "0.9"], "--fail-under 0.9: it bounds one number"),
        (
            ["--sampler", "tests.sweeps.study.test_samplers.OneObjective"],
            "OneObjective' does not take 2 objectives",
        ),
    ],
)
def test_what_needs_one_number_is_refused_before_anything_is_created(call, options, expected):
    result = call("run", "TRADING", *options)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert not (call.home / "sweeps").exists()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "metric: cost, direction: minimize",
            "metric: score, direction: maximize",
            "each metric once",
        ),
        ("metric: cost", "metric: csot", "did you mean 'cost'?"),
        ("direction: minimize", "direction: maximize", "cost is better the other way: minimize"),
    ],
)
def test_a_mistake_in_the_list_is_one_line_with_its_place(call, old, new, expected):
    text = TRADING.replace(TWO + "\n", LIST)
    assert old in text
    call.file.write_text(text.replace(old, new))
    result = call("plan", "TRADING")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert "trading.yaml:6: objective.1." in line


def test_a_space_that_is_confirmed_by_itself_needs_one_objective(call):
    call.file.write_text(TRADING.replace("ask_ahead: 4", "ask_ahead: 4, confirm: {}"))
    result = call("plan", "TRADING")
    assert result.exit_code == 2
    assert "defaults.confirm: several objectives leave no best trial" in result.stderr


@pytest.mark.parametrize("lacking", ["score", "cost"])
def test_a_record_that_lacks_one_of_them_is_shown_and_not_on_the_front(
    call, swept, tmp_path, lacking
):
    trial = swept.pareto_front()[0].number
    (journal,) = call.home.glob(f"sweeps/*/{JOURNAL}")
    forge(journal, in_trial(trial, lambda event: event["trained"]["metrics"].pop(lacking)))
    for words in (
        ("list",),
        ("trials", "trading"),
        ("trials", "trading", trial),
        ("best", "trading"),
        ("compare", f"trading:{trial}", "trading:0"),
        ("report", "trading", "-o", tmp_path / "report.html"),
        ("run", "TRADING", "--trials", 15, "--workers", 0),
        ("sync", "trading"),
    ):
        result = call(*words)
        assert result.exit_code == 0, (words, result.output, result.exception)
    if lacking == "cost":
        front = sweeps.load("trading", call.home).pareto_front()
        assert trial not in [one.number for one in front]
