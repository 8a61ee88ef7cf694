"""Results found elsewhere teach the sampler of a new sweep, and count for nothing else."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing

import optuna
import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.errors import SpaceError
from search_spaces.loading import load_space
from search_spaces.mapping import point_found
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.manage import importing
from sweeps.records import RecordStore
from tests.sweeps.conftest import TOY
from tests.sweeps.trading_experiment import TRADING


def command(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def text(*rows, header="x,layers,kind,score"):
    return "\n".join([header, *rows, ""])


def around(best, count=30):
    """Lines of a CSV file whose score is the better the nearer x is to `best`."""
    draw = random.Random(1)
    points = [draw.uniform(-1, 1) for _ in range(count)]
    return text(*(f"{x},0,b,{1 - (x - best) ** 2}" for x in points))


@pytest.fixture
def found(tmp_path):
    file = tmp_path / "found.csv"
    file.write_text(around(-0.8))
    return file


@pytest.fixture
def imports(toy_space, make_home):
    """Import into the home of a name; return what was printed."""

    def run(source, *words, home="home", code=0):
        ran = command("import", source, "--space", toy_space, *words, "--home", make_home(home))
        assert ran.exit_code == code, ran.output
        return ran.stdout if code == 0 else ran.stderr

    return run


def params(sweep):
    return [dict(trial.params) for trial in (sweep.trial(n) for n in range(len(sweep.trials())))]


@pytest.mark.slow
def test_the_sampler_knows_them_from_the_first_trial_on(imports, found, run_toy):
    assert "30 of 30 results of found.csv (30 complete); the best 3 are tried anew" in imports(
        found
    )
    taught, alone = run_toy(), run_toy(home="alone")
    assert taught.trial(0).params == alone.trial(0).params == {"x": 0.5, "layers": 0, "kind": "a"}
    near = [[abs(one["x"] + 0.8) < 0.4 for one in params(sweep)[1:]] for sweep in (taught, alone)]
    assert sum(near[0]) >= 4 > sum(near[1])


def test_the_sweep_has_the_pruner_that_was_asked_for(imports, found, run_toy):
    imports(found, "--pruner", "asha")
    assert run_toy(pruner="asha", trials=1).info.fingerprint["pruner"]["name"] == "asha"
    with pytest.raises(UsageError, match="with other options"):
        run_toy(pruner="none", trials=1)


@pytest.mark.slow
def test_the_same_import_gives_the_same_trials_however_often_it_is_interrupted(
    imports, found, run_toy
):
    imports(found)
    whole = run_toy(trials=8)
    imports(found, home="steps")
    run_toy(home="steps", trials=1)
    run_toy(home="steps", trials=5)
    assert params(run_toy(home="steps", trials=8)) == params(whole)


def test_they_are_no_trials(imports, tmp_path, run_toy, make_home):
    file = tmp_path / "perfect.csv"
    file.write_text(text("0.9,0,a,31337.0", "0.8,0,b,31336.0"))
    imports(file)
    sweep, home = run_toy(), Home(make_home())
    assert len(sweep.trials()) == 6
    assert sweep.best().values["score"] < 2
    assert len(home.store(sweep.info.id).state().asked) == 6
    assert len(sweep.home.store(sweep.info.id).read_all()) == 6
    with closing(sqlite3.connect(make_home() / "mlflow.db")) as runs:
        kinds = runs.execute("SELECT value FROM tags WHERE key = 'kind'").fetchall()
    assert sorted(kinds) == [("sweep",), *[("trial",)] * 6]
    page = tmp_path / "toy.html"
    command("report", "toy", "--output", page, "--home", make_home())
    assert re.search(r"line 2</td><td>COMPLETE</td>.*31337</td>.*tried anew", page.read_text())
    assert "knew 2 imported results of perfect.csv as well" in page.read_text()
    assert command("doctor", "--home", make_home()).exit_code == 0


def test_a_point_that_was_imported_may_be_tried_again(imports, tmp_path, run_toy):
    file = tmp_path / "all.csv"
    file.write_text(text(*(f"0.5,0,{kind},0.5" for kind in "abc")))
    imports(file)
    assert run_toy(trials=1).trial(0).params == {"x": 0.5, "layers": 0, "kind": "a"}


def test_pruned_and_failed_trials_are_taken_and_those_that_never_ended_are_not(
    imports, tmp_path, make_home
):
    file = tmp_path / "after.csv"
    rows = "0.5,0,a,0.1,COMPLETE", "0.4,0,b,0.2,PRUNED", "0.3,0,b,,FAIL", "0.2,0,b,1,RUNNING"
    file.write_text(text(*rows, header="x,layers,kind,score,state"))
    said = imports(file)
    assert "3 of 4 results of after.csv (1 complete, 1 failed, 1 pruned)" in said
    assert "left out, line 5: its state is RUNNING" in said
    listed = command("trials", "toy", "--home", make_home()).stdout
    assert re.search(r"line 3 +PRUNED +0.4 +0 +b", listed)
    assert re.search(r"line 4 +FAILED +0.3 +0 +b", listed)


def test_the_best_are_tried_anew_and_can_be_the_champion(imports, tmp_path, run_toy, make_home):
    file = tmp_path / "found.csv"
    rows = [f"{x},0,b,{score}" for x, score in [(0.1, 7), (-0.2, 9), (0.3, 1), (-0.2, 9), (0.4, 8)]]
    file.write_text(text(*rows))
    imports(file, "--again", 2)
    sweep = run_toy(trials=6)
    origins = [
        row["origin"]
        for row in json.loads(command("trials", "toy", "--json", "--home", make_home()).stdout)
    ]
    assert origins == ["baseline first", "imported line 3", "imported line 6", *["sampled"] * 3]
    assert params(sweep)[1:3] == [{"x": x, "layers": 0, "kind": "b"} for x in (-0.2, 0.4)]
    imports(file, "--again", 0, home="none")
    assert run_toy(trials=2, home="none").trial(1).params != {"x": -0.2, "layers": 0, "kind": "b"}


OBJECTIVE = """
import optuna


def objective(trial):
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    loss = 10.0 + (trial.suggest_int("more", 1, 5) if rate < 0.1 else 0)
    for step in range(6):
        loss *= 1 - rate / 2
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    if 0.4 < rate < 0.5:
        raise ValueError("unlucky")
    return loss
"""


def test_a_study_of_an_objective_goes_on_with_it(tmp_path, make_home, monkeypatch):
    file = tmp_path / "tune.py"
    file.write_text(OBJECTIVE)
    names = {}
    exec(OBJECTIVE, names)
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path}/study.db", sampler=optuna.samplers.TPESampler(seed=2)
    )
    study.optimize(names["objective"], n_trials=25, catch=(ValueError,))
    states = Counter(trial.state.name for trial in study.trials)
    assert min(states.values()) > 0
    assert set(states) == {"COMPLETE", "PRUNED", "FAIL"}
    at = ["--space", f"{file}:objective", "--home", make_home()]
    said = command("import", tmp_path / "study.db", *at)
    assert said.exit_code == 0, said.output
    each = [("complete", "COMPLETE"), ("failed", "FAIL"), ("pruned", "PRUNED")]
    each = ", ".join(f"{states[theirs]} {ours}" for ours, theirs in each)
    assert f"25 of 25 results of study '{study.study_name}' of study.db ({each})" in said.stdout
    assert "not used" not in said.stdout
    (info,) = Home(make_home()).sweeps()
    imported = Home(make_home()).store(info.id).state().imported.trials
    for one, trial in zip(imported, study.trials, strict=True):
        assert one.params == trial.params
        if trial.state.name == "PRUNED":
            step = max(trial.intermediate_values)
            assert one.reached == (step, trial.intermediate_values[step])
    swept = sweeps.run(f"{file}:objective", trials=10, home=make_home(), workers=0)
    best = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: t.value)
    anew = {trial.params["rate"]: trial.value for trial in map(swept.trial, range(3))}
    assert anew == {trial.params["rate"]: trial.value for trial in best[:3]}
    origins = swept.trials()["origin"]
    assert list(origins.str.startswith("imported trial")) == [True] * 3 + [False] * 7
    study.trials_dataframe().to_csv(tmp_path / "found.csv")
    refused(tmp_path, [tmp_path / "found.csv", "--space", f"{file}:objective"], "in a study only")


def test_what_lies_outside_is_listed_with_the_reason(imports, tmp_path, make_home):
    file = tmp_path / "mixed.csv"
    rows = [
        "0.5,0,a,0.1,,3,good", "7,0,a,0.1,,3,", "0.5,1,a,0.1,,3,", "0.5,1,b,0.1,0.25,3.0,good",
        "0.5,0,d,0.1,,3,", "0.5,0,a,,,3,", "0.5,0,a,nan,,3,", "0.5,0,a,0.1,,4,", "0.5,0,a",
        "0.5,2,a,0.1,0.5,3,", "0.5,,a,0.1,,3,",
    ]  # fmt: skip
    file.write_text(text(*rows, header="x,layers,kind,score,y_1,epochs,note"))
    said = imports(file)
    assert [line.partition("left out, ")[2] for line in said.splitlines()[1:-2]] == [
        "line 3: x: received 7, outside -1..1",
        "line 4: y_1: is missing",
        "line 6: kind: received 'd'; allowed: a, b, c",
        "line 7: has no score",
        "line 8: score: received 'nan'; a finite number is needed",
        "line 9: epochs: was 4, would be 3",
        "line 10: it has 3 cells, the first line 7",
        "line 11: y_2: is missing",
        "line 12: layers: is missing",
    ]
    assert "not used: note" in said
    (info,) = Home(make_home()).sweeps()
    imported = Home(make_home()).store(info.id).state().imported
    assert [(one.source, one.params, one.values) for one in imported.trials] == [
        ("line 2", {"x": 0.5, "layers": 0, "kind": "a"}, (0.1,)),
        ("line 5", {"x": 0.5, "layers": 1, "kind": "b", "y_1": 0.25}, (0.1,)),
    ]


def test_a_metric_that_has_the_name_of_a_fixed_parameter_is_no_parameter(toy_space):
    space = load_space(str(toy_space))
    cells = {"x": "0.5", "layers": 0, "kind": "a", "epochs": "7"}
    with pytest.raises(SpaceError, match="epochs: was 7, would be 3"):
        point_found(space, cells)
    assert point_found(space, cells, {"epochs"}) == {"x": 0.5, "layers": 0, "kind": "a"}


def test_a_spreadsheets_file_is_read(imports, tmp_path):
    file = tmp_path / "found.csv"
    header, line = "x;layers;kind;score;note", '0.5;0;"b";0.25;"two\u2028lines;\n"\r\n'
    file.write_bytes(f"\ufeff{header}\r\n{line}\r\n{line}".encode())
    assert "2 of 2 results of found.csv" in imports(file)


def test_a_result_that_breaks_a_constraint_is_left_out(imports, tmp_path, toy_space):
    toy_space.write_text(TOY.replace("size <= 20", "x <= 0.7"))
    file = tmp_path / "found.csv"
    file.write_text(text("0.5,0,a,0.1", "0.9,0,a,0.1"))
    assert "left out, line 3: breaks a constraint: x <= 0.7" in imports(file)


def test_a_study_of_optuna_is_read_and_left_as_it_was(imports, tmp_path, run_toy, make_home):
    file = tmp_path / "study.db"
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="mine", direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=1),
    )  # fmt: skip

    def objective(trial):
        layers = trial.suggest_int("depth", 0, 3)
        x = trial.suggest_float("x", -1, 1)
        trial.suggest_categorical("kind", ["a", "b", "c"])
        for number in range(layers):
            trial.suggest_float(f"y_{number + 1}", 0, 1)
        if trial.number == 3:
            raise optuna.TrialPruned
        return 1 - (x + 0.8) ** 2

    study.optimize(objective, n_trials=15)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    too_deep = sum(trial.params["depth"] == 3 for trial in study.trials)
    assert study.trials[3].params["depth"] < 3
    before = {path: path.read_bytes() for path in tmp_path.glob("study.db*")}
    said = imports(f"sqlite:///{file}", "--study", "mine", "--map", "depth=layers")
    assert f"{15 - too_deep} of 15 results of study 'mine' of study.db ({14 - too_deep} com" in said
    assert ", 1 pruned); the best 3 are tried anew" in said
    assert {path: path.read_bytes() for path in tmp_path.glob("study.db*")} == before
    assert len(run_toy().trials()) == 6


def test_a_table_of_optuna_needs_no_renaming(imports, tmp_path):
    study = optuna.create_study(direction="maximize")
    given = {"x": 0.5, "layers": 0, "kind": "a"}
    kinds = optuna.distributions
    drawn = {
        "x": kinds.FloatDistribution(-1, 1), "layers": kinds.IntDistribution(0, 2),
        "kind": kinds.CategoricalDistribution(["a", "b"]),
    }  # fmt: skip
    study.add_trial(optuna.create_trial(params=given, distributions=drawn, value=0.25))
    file = tmp_path / "trials.csv"
    study.trials_dataframe().to_csv(file, index=False)
    assert "1 of 1 result of trials.csv" in imports(file)


def test_several_objectives_are_taken_by_their_names(imports, tmp_path, toy_space):
    toy_space.write_text(TRADING)
    file = tmp_path / "found.csv"
    file.write_text("x,layers,kind,score,cost\n0.5,0,a,0.1,2\n0.5,0,a,0.1,\n")
    assert "line 3: has no cost" in imports(file)


def test_a_shared_sweep_takes_them_along(imports, found, run_toy, make_home, tmp_path):
    imports(found)
    run_toy(trials=2)
    ran = command("share", "toy", tmp_path / "toy.sweep", "--home", make_home())
    assert ran.exit_code == 0, ran.output
    ran = command("import", tmp_path / "toy.sweep", "--home", make_home("other"))
    assert ran.exit_code == 0, ran.output
    sent, came = (
        RecordStore(next((make_home(home) / "sweeps").iterdir())).state().imported
        for home in ("home", "other")
    )
    assert (sent.source, sent.trials) == (came.source, came.trials)
    assert len(sent.trials) == 30


def test_after_an_extension_those_that_lie_in_the_new_space_still_teach(
    imports, found, run_toy, toy_space
):
    imports(found)
    run_toy(trials=2)
    toy_space.write_text(TOY.replace("low: -1", "low: -0.9"))
    assert len(run_toy(trials=8, extend=True).trials()) == 8


def test_an_import_that_was_killed_before_its_sweep_was_there_leaves_nothing(
    imports, found, make_home, run_toy
):
    imports(found)
    half = Home(make_home("half")).sweeps_folder / ".import-0"  # where it is made
    half.mkdir(parents=True)
    run_toy(home="half", trials=1)
    assert not half.exists()


GOOD = text("0.5,0,a,0.1")
BAD = {
    "no such file": (None, [], "there is no such file"),
    "no CSV": ("nothing\n", [], "is no CSV file of results"),
    "no text": (b"\xff\xfe\x00", [], "not written in UTF-8"),
    "only names": (text(), [], "holds no results"),
    "torn": (text('0.5,0,"a'), [], "unexpected end of data"),
    "a name twice": (text("1,2,3", header="x,x,score"), [], "two columns are called 'x'"),
    "all outside": (text("7,0,a,0.1"), [], "none of 1 result of found.csv is complete and lies in"),
    "other names": (text("0.5,1", header="lr,acc"), [], "needed are score, x"),
    "map of nothing": (GOOD, ["--map", "lr=x"], "has no 'lr'"),
    "map without a name": (GOOD, ["--map", "x"], "write it as THEIRS=OURS"),
    "map onto another": (GOOD, ["--map", "kind=x"], "x and kind are both 'x'"),
    "study of a file": (GOOD, ["--study", "a"], "no database, so no study 'a' can be in it"),
    "unknown option of a sweep": (GOOD, ["--sampler", "tpee"], "did you mean 'tpe'"),
    "sampler that learns nothing": (GOOD, ["--sampler", "random"], "learns nothing from results"),
    "wrong override": (GOOD, ["--set", "x=7"], "--set x=7"),
    "bad name": (GOOD, ["--name", "../up"], "../up"),
}


@pytest.mark.parametrize(("content", "words", "fragment"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_message_and_creates_nothing(
    tmp_path, toy_space, content, words, fragment
):
    file = tmp_path / "found.csv"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(tmp_path, [file, "--space", toy_space, *words], fragment)


def refused(tmp_path, words, fragment):
    before = set(tmp_path.rglob("*"))
    ran = command("import", *words, "--home", tmp_path / "new")
    assert ran.exit_code == 2, ran.output
    assert fragment in ran.stderr
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.output
    assert set(tmp_path.rglob("*")) == before


def test_a_source_that_names_nothing_is_refused(tmp_path, toy_space, migrated_database):
    space = ["--space", toy_space]
    refused(tmp_path, ["sqlite:///no.db", *space], "there is no such file")
    refused(tmp_path, ["postgresql://h/no", *space], "a study is read from a file, sqlite:///PATH")
    refused(tmp_path, ["sqlite:///no.db", *space, "--study", "a"], "there is no such file")
    file = tmp_path / "study.db"
    shutil.copy(migrated_database, file)
    refused(tmp_path, [f"sqlite:///{file}", *space, "--study", "a"], "no study of Optuna")
    file.write_bytes(b"no database" * 100)
    refused(tmp_path, [f"sqlite:///{file}", *space, "--study", "a"], "study.db")


def test_a_study_whose_trials_never_end_is_refused(tmp_path, toy_space):
    optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="mine")
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("ALTER TABLE trials RENAME TO kept")
        database.execute(ENDLESS.format("trials"))
    asked = [f"sqlite:///{tmp_path}/study.db", "--space", toy_space, "--study", "mine"]
    refused(tmp_path, asked, "it holds the view 'trials', as neither Optuna nor MLflow makes one")


ENDLESS = """CREATE VIEW {} AS WITH RECURSIVE n(trial_id) AS
(SELECT 1 UNION ALL SELECT trial_id + 1 FROM n)
SELECT trial_id, trial_id AS number, 1 AS study_id, 'COMPLETE' AS state, NULL AS datetime_start,
NULL AS datetime_complete FROM n"""


def test_a_study_that_cannot_be_compared_is_refused(tmp_path, toy_space):
    address = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=address, study_name="mine", direction="minimize")
    study.add_trial(optuna.create_trial(value=1.0))
    asked = [address, "--space", toy_space, "--study"]
    refused(tmp_path, [*asked, "mime"], "there is no study 'mime'; did you mean 'mine'")
    refused(tmp_path, [*asked, "mine"], "has the directions minimize; the space has maximize")


def test_a_sweep_that_exists_is_left_alone(imports, found):
    imports(found)
    assert "begin another sweep with it (--name toy-2)" in imports(found, code=2)
    assert "sweep 'toy-2' was begun" in imports(found, "--name", "toy-2")


@pytest.mark.parametrize("words", [["results.csv"], ["sqlite:///a.db"], ["a", "--study", "b"]])
def test_results_without_a_space_are_told_apart_from_shared_sweeps(tmp_path, words):
    refused(tmp_path, words, "name its space (--space)")


def test_more_than_can_be_taken_in_is_refused(tmp_path, toy_space, monkeypatch):
    monkeypatch.setattr(importing, "MOST_RESULTS", 2)
    (tmp_path / "found.csv").write_text(text(*["0.5,0,a,0.1"] * 3))
    asked = [tmp_path / "found.csv", "--space", toy_space]
    refused(tmp_path, asked, "holds more than 2 results")
    monkeypatch.setattr(importing, "_MOST_BYTES", 20)
    refused(tmp_path, asked, "no CSV file can be read")
