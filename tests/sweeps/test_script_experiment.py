"""Scripts in any language as experiments: what they print, how they end, what is recorded."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.objectives import Objective
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.experiment import Stop, TrialSpec
from sweeps.script_experiment import ScriptExperiment
from tests.sweeps.conftest import table

SHELL = """
echo "a line of its own"
for epoch in 1 2 3; do echo "{\\"epoch\\": $epoch, \\"score\\": 0.$epoch, \\"loss\\": 1}"; done
echo "{\\"result\\": {\\"score\\": $1, \\"size\\": 7}}"
"""

SPACE = """
command: sh train.sh {x}
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: 0, high: 1}
defaults: {trials: 4, sampler: random, pruner: none, ask_ahead: 2}
"""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "train.sh").write_text(SHELL)
    file = tmp_path / "script.yaml"
    file.write_text(SPACE)
    return file


SCORE = Objective("score", "maximize")


def script(tmp_path, text, arguments="{x}"):
    (tmp_path / "train.py").write_text(text)
    return ScriptExperiment(f"{sys.executable} train.py {arguments}", [SCORE], tmp_path)


def run(experiment, config=None, on_epoch=lambda epoch, metrics: None, source=None):
    spec = TrialSpec("s", 0, 1, seed=5, config={"x": 0.5} if config is None else config)
    return experiment.train(spec, experiment.prepare(source, 0), on_epoch)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_shell_script_is_swept_as_any_experiment(space, make_home, workers):
    sweep = sweeps.run(str(space), home=make_home(), workers=workers, progress="quiet")
    rows = sweep.rows()
    assert [row.state for row in rows] == ["COMPLETE"] * 4
    assert all(row.objective == row.params["x"] for row in rows)
    record = sweep.best().record
    assert record.result.history == {"score": [0.1, 0.2, 0.3], "loss": [1.0, 1.0, 1.0]}
    assert record.result.metrics["size"] == 7
    assert record.result.summary == f"sh train.sh {record.params['x']}"
    other = sweeps.run(str(space), home=make_home("other"), workers=0, progress="quiet")
    assert table(other) == table(sweep)


def test_each_word_stays_one_argument_whatever_the_value(tmp_path):
    echo = 'import json, sys\nprint(json.dumps({"result": {"score": len(sys.argv), "n": 1}}))'
    experiment = script(tmp_path, echo, "{x} 'two words' {seed}")
    assert run(experiment, {"x": "a b; rm -rf $HOME"}).metrics["score"] == 4
    plan = experiment.plan({"x": True}, experiment.prepare(None, 0))
    assert plan.reason.endswith("train.py true 'two words' 0")


def test_a_failure_says_exit_code_and_the_end_of_stderr(tmp_path):
    experiment = script(tmp_path, "import sys\nsys.exit('no such layer')")
    with pytest.raises(RuntimeError, match=r"train.py 0.5: exit code 1: no such layer"):
        run(experiment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("print(3)", r"no line \{\"result\""),
        ("print('{\"result\": 3}')", "not a number for each name"),
        ('print(\'{"epoch": 1, "a": "b"}\')', "not a number for each name"),
        ('print(\'{"epoch": 1, "a": 1}\\n{"epoch": 2, "b": 1}\')', "epoch 2 has b, those before a"),
    ],
)
def test_what_it_prints_wrong_is_quoted(tmp_path, text, said):
    with pytest.raises(RuntimeError, match=said):
        run(script(tmp_path, text))


ENDLESS = """
import itertools, signal, sys, time
if {deaf}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
for epoch in itertools.count(1):
    print('{{"epoch": %d, "score": 0.5}}' % epoch, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("deaf", [False, True])
def test_it_ends_when_it_is_told_to_whether_it_listens_or_not(tmp_path, deaf, monkeypatch):
    monkeypatch.setattr("sweeps.script_experiment.PATIENCE_SECONDS", 0.3)
    experiment = script(tmp_path, ENDLESS.format(deaf=deaf))
    result = run(experiment, on_epoch=lambda epoch, _: Stop("pruned") if epoch == 2 else None)
    assert (result.outcome, result.stop_reason) == ("stopped", "pruned")
    assert result.history == {"score": [0.5] * 3}


def test_nan_is_a_trial_that_diverged(space, make_home):
    (space.parent / "train.sh").write_text('echo \'{"result": {"score": NaN}}\'')
    sweep = sweeps.run(str(space), home=make_home(), trials=1, workers=0, progress="quiet")
    (row,) = sweep.rows()
    assert (row.state, row.reason) == ("FAILED", "diverged")


def test_a_script_that_hangs_ends_with_its_trial(space, make_home):
    (space.parent / "train.sh").write_text("echo waiting >&2; sleep 600")
    words = ["run", str(space), "--trials", "1", "--workers", "1", "--trial-timeout", "1"]
    options = ["--retries", "0", "--home", str(make_home()), "--quiet"]
    assert CliRunner().invoke(app, [*words, *options]).exit_code == 1
    (row,) = sweeps.load("script", make_home()).rows()
    assert (row.state, row.reason) == ("FAILED", "timeout")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{x}", "{y}", "the experiment has no parameter 'x'; it has: y"),
        ("{x}", "{x} {x.real}", "is no placeholder"),
        ("sh train.sh {x}", "''", "command"),
        ("{x}", "'{x}", "No closing quotation"),
        ("command: sh train.sh {x}\n", "", "is missing; write an import path, or `command:`"),
        ("train.sh", "trian.sh", "there is no file 'trian.sh'"),
        ("sh train", "nosuchshell train", "there is no program 'nosuchshell'"),
        ("command:", "experiment: a.b:c\ncommand:", "write one of both"),
        ("{x}", "{x} {data}", "say which with --data"),
    ],
)
def test_a_mistake_in_the_space_is_said_before_anything_runs(space, make_home, before, after, said):
    space.write_text(SPACE.replace(before, after))
    result = CliRunner().invoke(app, ["run", str(space), "--home", str(make_home()), "--quiet"])
    assert result.exit_code == 2
    assert said in result.stderr, result.stderr


def test_data_reach_the_script_and_decide_the_fingerprint(tmp_path):
    text = (
        "import json, sys\n"
        "print(json.dumps({'result': {'score': float(open(sys.argv[2]).read())}}))"
    )
    (tmp_path / "numbers.txt").write_text("3")
    experiment = script(tmp_path, text, "{x} {data}")
    assert run(experiment, source="numbers.txt").metrics == {"score": 3.0}
    before = experiment.prepare("numbers.txt", 0).digest
    (tmp_path / "numbers.txt").write_text("4")
    assert experiment.prepare("numbers.txt", 0).digest != before


def test_it_is_planned_without_running(space):
    result = CliRunner().invoke(app, ["plan", str(space), "--json"])
    planned = json.loads(result.stdout)["planned"]
    assert planned[0]["engine"] == "script"
    assert planned[0]["seconds"] is None
    assert "How long a trial takes shows" in CliRunner().invoke(app, ["plan", str(space)]).stdout


def test_a_model_is_where_the_script_put_it(space, make_home):
    sweep = sweeps.run(str(space), home=make_home(), trials=1, workers=0, progress="quiet")
    with pytest.raises(UsageError, match="ended without weights"):
        sweep.best().load_model()


def test_a_script_may_be_optimised_for_several_of_its_numbers(space, make_home):
    objectives = "[{metric: score, direction: maximize}, {metric: size, direction: minimize}]"
    text = space.read_text().replace("{metric: score, direction: maximize}", objectives, 1)
    space.write_text(text)
    sweep = sweeps.run(str(space), home=make_home(), workers=0, progress="quiet")
    assert [trial.values["size"] for trial in sweep.pareto_front()] == [7.0]
    assert sweep.trials()["size"].tolist() == [7.0] * 4
