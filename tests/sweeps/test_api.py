"""The framework from Python: what `import sweeps` offers beyond running a sweep."""

import dataclasses
import importlib
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import sweeps
from search_spaces.loading import load_space
from search_spaces.python_space import space
from sweeps.config.options import RunOptions, in_arguments
from sweeps.config.resolving import resolve
from sweeps.errors import UsageError
from tests.sweeps.conftest import table

ROOT = Path(__file__).parents[2]
SPACE = """
@space(
    experiment="{experiment}",
    objective={{"metric": "score", "direction": "maximize"}},
    defaults={{"trials": 3, "sampler": "random"}},
)
def line(trial):
    return {{"x": trial.suggest_float("x", -1, 1), "epochs": 1}}
"""
SCRIPT = f"""
import sweeps
from search_spaces.python_space import space
from tests.sweeps.toy_experiment import experiment

{SPACE}
def run(**options):
    return sweeps.run(line, home="home", progress="quiet", **options)
"""


@space(
    experiment="tests.sweeps.toy_experiment:experiment",
    objective={"metric": "score", "direction": "maximize"},
    defaults={"trials": 3, "sampler": "random"},
)
def line(trial):
    """One parameter."""
    return {"x": trial.suggest_float("x", -1, 1), "epochs": 1}


def spaces_of_a_loop(high):
    @space(
        experiment="tests.sweeps.toy_experiment:experiment",
        objective={"metric": "score", "direction": "maximize"},
        defaults={"trials": 3, "sampler": "random"},
    )
    def line(trial):
        return {"x": trial.suggest_float("x", -1, high), "epochs": 1}

    return line


def python(folder, text, *arguments):
    """Run a script in a folder as its user would; return its outcome."""
    (folder / "search.py").write_text(text)
    return subprocess.run(
        [sys.executable, *(arguments or ("search.py",))],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_space_may_be_a_function_its_path_a_file_or_an_object(make_home, toy_space, monkeypatch):
    quiet = {"progress": "quiet", "workers": 0}
    by_function = sweeps.run(line, home=make_home("function"), **quiet)
    by_path = sweeps.run(f"{__name__}:line", home=make_home("path"), **quiet)
    by_object = sweeps.run(load_space(f"{__name__}:line"), home=make_home("object"), **quiet)
    assert by_function.name == "line"
    assert table(by_function) == table(by_path) == table(by_object)
    assert by_function.info.fingerprint == by_path.info.fingerprint == by_object.info.fingerprint
    assert len(sweeps.run(toy_space, home=make_home("file"), trials=1, **quiet).rows()) == 1


def test_workers_train_what_a_function_defined_in_a_function_proposes(make_home):
    home = make_home()
    sweep = sweeps.run(spaces_of_a_loop(1), home=home, workers=1, progress="quiet")
    again = sweeps.run(spaces_of_a_loop(1), home=home, workers=0, progress="quiet", trials=4)
    assert [row.state for row in again.rows()] == ["COMPLETE"] * 4
    assert again.info.id == sweep.info.id
    with pytest.raises(UsageError, match="line: is defined inside another function, where nobody"):
        sweeps.enqueue(sweep, {"x": 0.5})
    with pytest.raises(UsageError, match=r"exists with other options \(space"):
        sweeps.run(spaces_of_a_loop(0.5), home=home, workers=0, progress="quiet")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda: {}, "takes nothing; an objective function takes a trial"),
        (dict, "dict: is a class; give an object of it, which is called with a trial"),
        (7, "space 7: received int; give a name of the catalogue, the path of a .yaml file"),
        (Path("nowhere.yaml"), "nowhere.yaml: no such file"),
    ],
    ids=["no trial", "class", "number", "missing file"],
)
def test_what_is_no_space_is_refused(make_home, given, expected):
    with pytest.raises(UsageError, match=expected):
        sweeps.run(given, home=make_home(), progress="quiet")


@pytest.mark.slow
def test_a_script_gives_its_function_to_workers_and_other_processes_find_it(tmp_path, make_home):
    make_home("home")
    text = SCRIPT.format(experiment="tests.sweeps.toy_experiment:experiment")
    ran = python(tmp_path, text + 'if __name__ == "__main__":\n    run(workers=2)\n')
    assert ran.returncode == 0, ran.stderr
    sweep = sweeps.load("line", tmp_path / "home")
    assert sweep.info.space["body"]["function"] == "search:line"
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 3
    more = python(tmp_path, text, "-c", "import search; print(len(search.run(trials=4).rows()))")
    assert (more.stdout, more.returncode) == ("4\n", 0), more.stderr


@pytest.mark.slow
def test_a_script_whose_experiment_is_in_itself_needs_a_guard_or_hands_it_over(tmp_path, make_home):
    make_home("home")
    text = SCRIPT.format(experiment="search:experiment")
    unguarded = python(tmp_path, text + "run(workers=1)\n")
    assert "search runs a sweep while it is imported" in unguarded.stderr
    assert not list((tmp_path / "home").rglob("journal.jsonl"))
    guarded = python(tmp_path, text + 'if __name__ == "__main__":\n    run(workers=1)\n')
    assert guarded.returncode == 0, guarded.stderr
    here = python(
        tmp_path, SCRIPT.format(experiment="__main__:experiment") + "run(workers=2, name='here')\n"
    )
    assert here.returncode == 0, here.stderr
    assert len(sweeps.load("here", tmp_path / "home").rows()) == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"trials": 0}, "trials=0: give a whole number from 1 on"),
        ({"seed": -1}, "seed=-1: give a whole number from 0 on"),
        ({"order": "odd"}, "order='odd': allowed are"),
        ({"timeout": "3 parsecs"}, "timeout: '3 parsecs' is no duration: write seconds"),
        ({"timeout": "0s"}, "timeout 0s: give seconds above 0"),
        ({"timeout": -1}, "timeout=-1: give seconds above 0"),
        ({"timeout": True}, "timeout: True is no duration"),
        ({"trial_timeout": "1m", "workers": 0}, "trial_timeout=60 with workers=0: a trial in"),
        ({"target": "0.9"}, "target='0.9': give a number"),
        ({"target": float("nan")}, "target=nan: give a number"),
        ({"fail_under": "x"}, "fail_under='x': give a number"),
        ({"name": 7}, "name=7: give a text"),
        ({"data": 7}, "data=7: give a text"),
        ({"home": 7}, "home=7: give the path of a folder"),
        ({"extend": "yes"}, "extend='yes': give True or False"),
        ({"sampler_options": [1]}, r"sampler_options=\[1\]: give a dict"),
        ({"overrides": "x=1"}, "overrides='x=1': give a list of name=value texts"),
        ({"overrides": {"x": 1}}, r"overrides={'x': 1}: give a list of name=value texts"),
        ({"overrides": ["x=7..8"]}, "overrides x=7..8: "),
        ({"retries": {"crash": -1}}, "retries crash=-1: give a whole number from 0 on"),
        ({"max_failures_in_row": -1}, "max_failures_in_row=-1: give a whole number"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, dict) else "",
)
@pytest.mark.parametrize("function", [sweeps.run, sweeps.plan], ids=["run", "plan"])
def test_what_cannot_be_is_refused_by_the_name_of_its_argument(
    make_home, function, given, expected
):
    home = make_home()
    quiet = {"progress": "quiet"} if function is sweeps.run else {}
    with pytest.raises(UsageError, match=expected):
        function(line, **{"home": home, **given}, **quiet)
    assert {path.name for path in home.iterdir()} == {"mlflow.db"}


@pytest.mark.parametrize("function", [sweeps.run, sweeps.plan])
def test_an_argument_that_there_is_not_is_named_with_the_nearest(function):
    with pytest.raises(TypeError, match=r"no argument 'ask_ahaed'; did you mean 'ask_ahead'\?"):
        function(line, ask_ahaed=1)


def test_a_retry_has_the_arguments_that_act_on_it_and_names_those_that_are_wrong(run_toy):
    failing = {"trials": 2, "workers": 0, "overrides": ["mode=raise"], "retries": {"error": 0}}
    sweep = run_toy(**failing)
    with pytest.raises(TypeError, match=r"no argument 'seed'; known: workers, executor"):
        sweep.retry(seed=3)
    with pytest.raises(UsageError, match="trial_timeout=90 with workers=0"):
        sweep.retry(workers=0, trial_timeout="1m30s")
    with pytest.raises(UsageError, match="folds=3: give a multiple of four"):
        sweep.confirm(folds=3)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda home: sweeps.load(7, home), "sweep 7: received int; give its name or id"),
        (lambda home: sweeps.compare("toy", 7, home=home), "sweep 7: received int"),
        (
            lambda home: sweeps.compare("toy", "toy:" + "9" * 5000, home=home),
            "write NAME, or NAME:7",
        ),
        (lambda home: sweeps.replay("toy", "1", home=home), "trial '1': give a whole number"),
        (lambda home: sweeps.export("toy", "x", trial="1", home=home), "trial '1': give a whole"),
        (lambda home: sweeps.enqueue("toy", [1], home=home), r"params \[1\]: give a dict"),
    ],
    ids=["load", "compare", "long", "replay", "export", "enqueue"],
)
def test_a_sweep_or_a_trial_of_the_wrong_kind_is_refused(finished_toy, call, expected):
    home = finished_toy(trials=2).home.path
    with pytest.raises(UsageError, match=expected):
        call(home)


def test_data_may_be_a_path(finished_toy, run_toy):
    sweep = run_toy(trials=1, workers=0, data=Path("other"))
    assert sweep.info.data["name"] == "other"
    assert sweeps.replay(sweep, 0, data=Path("other")).is_bit_equal


def test_a_sweep_writes_its_report(finished_toy, tmp_path):
    page = finished_toy(trials=6).report(tmp_path / "page.html")
    assert page.read_text().startswith("<!doctype html>")


def test_every_argument_of_a_run_is_documented():
    documented = re.findall(r"^ {8}(\w+): ", RunOptions.__doc__, re.MULTILINE)
    assert documented == [field.name for field in dataclasses.fields(RunOptions)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("begin another: --name toy-2; or go", "begin another: name='toy-2'; or go"),
        ("--name toy-2. --extend cannot", "name='toy-2'. extend=True cannot"),
        ("begin another with --name", "begin another with name"),
        ("give --pruner none, or leave", "give pruner='none', or leave"),
        ("leave --trial-timeout out", "leave trial_timeout out"),
        ("`sweeps doctor --fix --home x` mends it", "`sweeps doctor --fix --home x` mends it"),
        ("dask worker --nthreads 2", "dask worker --nthreads 2"),
    ],
)
def test_a_message_names_arguments_and_leaves_commands_alone(message, expected):
    assert in_arguments(message) == expected


def test_a_duration_is_written_as_for_the_command(run_toy):
    sweep = run_toy(trials=2, workers=1, timeout="1h30m", trial_timeout="3m")
    assert len(sweep.rows()) == 2
    assert resolve(RunOptions(line, timeout="1h30m")).limits.timeout_seconds == 5400
    assert resolve(RunOptions(line, trial_timeout="3m")).failures.trial_timeout_seconds == 180
    assert len(run_toy(trials=4, timeout=".000000001s").rows()) == 2


def test_a_sweep_says_what_it_is(finished_toy, run_toy):
    sweep = finished_toy(trials=6)
    best = sweep.best()
    said = f"6 COMPLETE; best observed trial {best.number}, score {best.value:.4f}"
    assert repr(sweep) == f"<Sweep 'toy': {said}; {sweep.home.path}>"
    assert (
        f"<td>best observed trial {best.number}, score {best.value:.4f}</td>" in sweep._repr_html_()
    )
    text = b'{"kind":"tagged 1","number":99,"at":1,"host":"h","by":"9.9"}'
    with sweep.home.store(sweep.info.id).journal.path.open("ab") as file:
        file.write(b"\n%b %08x\n" % (text, zlib.crc32(text)))
    assert "cannot be read" in repr(sweep)


def test_a_sweep_without_a_best_says_so(run_toy, finished_toy):
    failed = run_toy(trials=2, workers=0, overrides=["mode=raise"], retries={"error": 0})
    assert repr(failed) == f"<Sweep 'toy': 2 FAILED; {failed.home.path}>"


def test_a_sweep_of_several_objectives_says_how_long_its_front_is(toy_space, run_toy):
    both = "objective: [{metric: score, direction: maximize}, {metric: loss, direction: minimize}]"
    one = "objective: {metric: score, direction: maximize}"
    toy_space.write_text(toy_space.read_text().replace(one, both))
    sweep = run_toy(trials=2, workers=0)
    assert f"; {len(sweep.pareto_front())} trial" in repr(sweep)
    assert " on the Pareto front; " in repr(sweep)


def test_a_plan_is_what_the_sweep_does(toy_space, make_home):
    home = make_home()
    planned = sweeps.plan(toy_space, trials=4, home=home, workers=0)
    assert {path.name for path in home.iterdir()} == {"mlflow.db"}
    assert (planned.left, len(planned.trials)) == (4, 4)
    sweep = sweeps.run(toy_space, trials=4, home=home, workers=0, progress="quiet")
    assert [dict(one.params) for one in planned.trials] == [
        dict(row.params) for row in sweep.rows()
    ]
    assert sweeps.plan(toy_space, trials=4, home=home, workers=0).left == 0
    assert "PlannedTrial(origin='baseline first'" in repr(planned)


def test_trials_are_compared_by_name_or_as_objects(finished_toy, tmp_path):
    sweep = finished_toy(trials=6)
    compared = sweeps.compare("toy:0", "toy:1", home=sweep.home.path)
    assert compared.labels == ("toy:0", "toy:1")
    rows = sweep.rows()
    assert compared.parameters().loc["x"].to_list() == [rows[0].params["x"], rows[1].params["x"]]
    assert compared.metrics().loc["score", "toy:1"] == rows[1].objective
    assert compared.differences == {"toy:1": None}  # it does not classify
    assert compared.report(tmp_path / "page.html").read_text().count("toy:0 against toy:1")
    objects = sweeps.compare(sweep.trial(0), sweep)
    assert objects.labels == ("toy:0", f"toy:{sweep.best().number}")
    assert repr(compared) == "TrialsCompared(labels=('toy:0', 'toy:1'))"
    with pytest.raises(UsageError, match="give 2 to 5 sweeps or trials, received 1"):
        sweeps.compare(sweep)
    with pytest.raises(UsageError, match="has no trial 9 with an outcome"):
        sweeps.compare(sweep, "toy:9", home=sweep.home.path)


def test_points_are_queued_and_become_trials(finished_toy, run_toy):
    sweep = finished_toy(trials=2)
    point = {"x": 0.25, "layers": 0, "kind": "b"}
    queued = sweeps.enqueue(sweep, point)
    assert [(one.state, one.number) for one in queued.trials] == [("queued", 1)]
    assert not queued.is_running
    again = sweeps.enqueue("toy", like=0, params={"x": 0.25, "kind": "b"}, home=sweep.home.path)
    assert [(one.state, one.number) for one in again.trials] == [("waiting", 1)]
    row = run_toy(trials=3, workers=0).rows()[2]
    assert (dict(row.params), row.origin) == (point, "enqueued")
    tried = sweeps.enqueue(sweep, point)
    assert [(one.state, one.number) for one in tried.trials] == [("a trial", 2)]
    best = sweeps.enqueue(sweep, from_sweep=sweep, top=2)
    assert {one.state for one in best.trials} == {"a trial"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "from_sweep SWEEP or more_epochs N, one of them"),
        ({"params": {"x": 0}, "from_sweep": "toy"}, "one of them"),
        ({"params": {"x": 7, "layers": 0, "kind": "a"}}, "point: x: received 7"),
        ({"like": 0, "params": {"z": 1}}, "point: z"),
        ({"like": "worst"}, "like='worst': write the number of a trial, or best"),
        ({"like": 9}, "has no trial 9"),
        ({"from_sweep": "toy", "top": 0}, "top=0: give a whole number from 1 on"),
        ({"from_sweep": "tyo"}, "did you mean 'toy'"),
    ],
)
def test_what_cannot_be_queued_is_refused(finished_toy, given, expected):
    home = finished_toy(trials=2).home.path
    with pytest.raises(UsageError, match=expected):
        sweeps.enqueue("toy", home=home, **given)


def test_a_trial_is_trained_again(finished_toy):
    sweep = finished_toy(trials=2)
    replayed = sweeps.replay(sweep, 1)
    assert (replayed.is_bit_equal, replayed.succeeded, replayed.is_restored) == (True, True, False)
    weights = next(sweep.home.store(sweep.info.id).folder.glob("trials/0001-*.weights.npz"))
    kept = weights.read_bytes()
    weights.unlink()
    assert sweeps.replay("toy", 1, restore=True, home=sweep.home.path).is_restored
    assert weights.read_bytes() == kept
    with pytest.raises(UsageError, match="which trial"):
        sweeps.replay(sweep)


OWN = """
import json
from search_spaces.python_space import space
from tests.sweeps.toy_experiment import ToyExperiment


class Own(ToyExperiment):
    def export(self, config, weights, info, folder):
        (folder / "model.json").write_text(json.dumps(weights["w"].tolist()))
        return "import json"


experiment = Own()
"""


def test_a_function_beside_its_experiment_is_found_from_elsewhere(tmp_path, make_home, monkeypatch):
    name = f"net_{tmp_path.name}".replace("-", "_")
    module = tmp_path / f"{name}.py"
    module.write_text(OWN + SPACE.format(experiment=f"{name}:experiment"))
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module(name)
    sweep = sweeps.run(own.line, home=make_home(), workers=0, progress="quiet")
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(tmp_path)])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    written = sweeps.export("line", "model", home=sweep.home.path)
    assert [path.name for path in written] == ["README.md", "config.json", "model.json"]
    assert sweeps.replay("line", 0, home=sweep.home.path).is_bit_equal
    queued = sweeps.enqueue("line", {"x": 0.5}, home=sweep.home.path)
    assert queued.trials[0].state == "queued"
    with pytest.raises(UsageError, match="is not empty"):
        sweeps.export(sweep, "model", trial=0)


def test_looking_at_a_sweep_imports_nothing_heavy():
    code = (
        "import sys, sweeps\n"
        "before = {'optuna', 'mlflow', 'tensorflow', 'pandas', 'pydantic', 'numpy'}\n"
        "assert not before & set(sys.modules), before & set(sys.modules)\n"
        "sweeps.run, sweeps.compare\n"
        "print(sorted((before - {'numpy'}) & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
