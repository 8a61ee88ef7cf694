"""Scripts in any language as experiments: what they print, how they end, what is recorded."""

from __future__ import annotations

import json
import signal
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.objectives import Objective, Script
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.experiment import Stop, TrialSpec
from sweeps.experiments.script import ScriptExperiment
from sweeps.home import Home
from sweeps.manage.sharing import import_sweep, share_sweep
from sweeps.records import DamagedRecordWarning, RecordError
from sweeps.records.kept_files import HEAD_BYTES, TAIL_BYTES, collect_files
from tests.sweeps.conftest import table
from tests.sweeps.executors.conftest import eventually, is_alive
from tests.sweeps.launching import Launched

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


WRITING = """
import json, os, sys, time
from pathlib import Path

x, output, named = sys.argv[1:4]
assert Path(output).samefile(os.environ["SWEEPS_OUTPUT"])
(Path(output) / "model").mkdir()
(Path(output) / "model" / "weights.bin").write_bytes(bytes(1000) + named.encode())
(Path(output) / "link").symlink_to("/etc/passwd")
(Path(output) / "out").symlink_to("/etc")
print("learning at", x)
print("careful", file=sys.stderr)
if float(x) > 0.5:
    sys.exit("too much")
print(json.dumps({"epoch": 1, "score": float(x)}))
print(json.dumps({"result": {"score": float(x)}}))
"""

WRITING_SPACE = f"""
command: {sys.executable} train.py {{x}} {{output}} {{trial}}-{{attempt}}
objective: {{metric: score, direction: maximize}}
parameters:
  x: {{type: float, low: 0, high: 1}}
baselines:
  good: {{x: 0.25}}
  bad: {{x: 0.75}}
defaults: {{trials: 2, sampler: random, pruner: none, ask_ahead: 2}}
"""


@pytest.fixture
def writing(tmp_path):
    (tmp_path / "train.py").write_text(WRITING)
    file = tmp_path / "writing.yaml"
    file.write_text(WRITING_SPACE)
    return file


def records(sweep):
    return {r.key: r for r in sweep.home.store(sweep.info.id).read_all()}


def kept(sweep, key):
    return sweep.home.store(sweep.info.id).files(records(sweep)[key])


def artifacts(home, info, key):
    """Return the files of an attempt's run, as an MLflow client downloads them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home.path}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    asked = f"tags.trial = '{key}' and tags.sweep_id = '{info.id}'"
    (run,) = client.search_runs(ids, asked)
    folder = Path(client.download_artifacts(run.info.run_id, ""))
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_script_prints_and_writes_is_kept_and_becomes_artifacts(writing, make_home, workers):
    sweep = sweeps.run(str(writing), home=make_home(), workers=workers, progress="quiet")
    good = kept(sweep, "0000-1")
    assert good.keys() == {
        *("stdout.txt", "stderr.txt", "output/model/weights.bin", "left_out.txt")
    }
    assert good["stdout.txt"].startswith(b"learning at 0.25\n")
    assert good["stderr.txt"] == b"careful\n"
    assert good["output/model/weights.bin"] == bytes(1000) + b"0-1"
    assert good["left_out.txt"] == b"Left out:\noutput/link: a link\noutput/out: a link\n"
    bad = kept(sweep, "0001-1")
    assert bad["stderr.txt"] == b"careful\ntoo much\n"
    assert bad["output/model/weights.bin"].endswith(b"1-1")
    for key, files in (("0000-1", good), ("0001-1", bad)):
        shown = artifacts(sweep.home, sweep.info, key)
        assert {name: shown[name] for name in files} == files
    assert sweep.trial(0).files == good
    error = records(sweep)["0001-1"].error
    assert error.startswith("exit code 1: too much\n\nCommand: ")
    assert "The last lines of its stdout:\nlearning at 0.75" in error
    assert "Traceback" not in error
    assert not sweep.home.store(sweep.info.id).running.exists()
    shown = CliRunner().invoke(app, ["trials", "writing", "1", "--home", str(make_home())]).stdout
    assert "exit code 1: too much" in shown
    assert "output/model/weights.bin   1,003 bytes" in shown
    assert "0001-2.files" in shown.replace("\n", "")


def test_the_same_failure_twice_is_not_tried_a_third_time_whatever_its_folder(writing, make_home):
    options = {"retries": {"error": 5}, "workers": 0, "progress": "quiet"}
    sweep = sweeps.run(str(writing), home=make_home(), **options)
    assert [key for key in records(sweep) if key.startswith("0001")] == ["0001-1", "0001-2"]


def test_a_later_sync_and_another_home_have_the_files_as_well(writing, make_home, tmp_path):
    sweep = sweeps.run(str(writing), home=make_home(), trials=1, workers=0, progress="quiet")
    files = kept(sweep, "0000-1")
    share_sweep(sweep.home, sweep.info, tmp_path / "writing.sweep")
    other = Home.resolve(make_home("other"))
    import_sweep(other, tmp_path / "writing.sweep", f"sqlite:///{other.path}/mlflow.db")
    brought = sweeps.load("writing", other.path)
    assert kept(brought, "0000-1") == files
    shown = artifacts(other, brought.info, "0000-1")  # its runs were made from the records
    assert {name: shown[name] for name in files} == files


def test_damaged_files_are_refused_on_their_way(writing, make_home, tmp_path):
    sweep = sweeps.run(str(writing), home=make_home(), trials=1, workers=0, progress="quiet")
    path = sweep.home.store(sweep.info.id).files_path("0000-1")
    path.write_bytes(path.read_bytes()[:-1])
    gone = {"left_out.txt": b"What it wrote is not kept any more (0000-1.files.zip).\n"}
    with pytest.raises(RecordError, match=r"0000-1\.files\.zip: damaged"):
        kept(sweep, "0000-1")
    with pytest.warns(DamagedRecordWarning, match=r"0000-1\.files\.zip: damaged.*left out"):
        share_sweep(sweep.home, sweep.info, tmp_path / "writing.sweep")
    other = Home.resolve(make_home("other"))
    import_sweep(other, tmp_path / "writing.sweep", f"sqlite:///{other.path}/mlflow.db")
    assert kept(sweeps.load("writing", other.path), "0000-1") == gone
    examined = CliRunner().invoke(app, ["doctor", "writing", "--home", str(make_home())])
    assert "0000-1.files.zip is damaged" in examined.stdout
    assert "puts the file aside" in examined.stdout
    mended = CliRunner().invoke(app, ["doctor", "writing", "--fix", "--home", str(make_home())])
    assert mended.exit_code == 0, mended.stdout
    assert kept(sweep, "0000-1") == gone


SCORE = Objective("score", "maximize")


def script(tmp_path, text, arguments="{x}"):
    (tmp_path / "train.py").write_text(text)
    return ScriptExperiment(Script(f"{sys.executable} train.py {arguments}", (SCORE,)), tmp_path)


def run(experiment, config=None, on_epoch=lambda epoch, metrics: None, source=None):
    spec = TrialSpec("s", 0, 1, seed=5, config={"x": 0.5} if config is None else config)
    return experiment.train(spec, experiment.prepare(source, 0), on_epoch)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.nightly), 2])
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
    said = r"^exit code 1: no such layer\n\nCommand: .*train.py 0.5"
    with pytest.raises(RuntimeError, match=said):
        run(experiment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "print(3)",
            r'^no line \{"result": \{...\}\}; print one at the end, such as '
            r'\{"result": \{"score": 0.93\}\}\n\nCommand: .*\n\n'
            r"The last lines of its stdout:\n3$",
        ),
        (
            'print(\'{"result": {"acc": 1}}\')',
            "its result has no 'score', only acc; print it such as",
        ),
        ("print({'result': {'score': 1}})", r"\(\{'result': \{'score': 1\}\} is no JSON\); print"),
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
    monkeypatch.setattr("sweeps.experiments.script.PATIENCE_SECONDS", 0.3)
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
    (space.parent / "train.sh").write_text("echo begun; echo waiting >&2; sleep 600")
    words = ["run", str(space), "--trials", "1", "--workers", "1", "--trial-timeout", "1"]
    options = ["--retries", "0", "--home", str(make_home()), "--quiet"]
    assert CliRunner().invoke(app, [*words, *options]).exit_code == 1
    sweep = sweeps.load("script", make_home())
    (row,) = sweep.rows()
    assert (row.state, row.reason) == ("FAILED", "timeout")
    assert kept(sweep, "0000-1") == {"stdout.txt": b"begun\n", "stderr.txt": b"waiting\n"}
    assert "The last lines of its stderr:\nwaiting" in row.error
    assert "The last lines of its stdout:\nbegun" in row.error


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
        ("{x}", "{x} | cat", "command: [bash, -c, 'set -o pipefail; sh train.sh {x} | cat']"),
        ("{x}", "{x} > log", "'>' is for a shell, and none is involved"),
        ("{x}", "{x} 2>&1", "'2>&1' is for a shell"),
        ("{x}", "{x} && echo 'ok'", "[bash, -c, 'sh train.sh {x} && echo ''ok''']"),
        ("{x}", "{x:.2f}", "{x:.2f} is no placeholder"),
        (
            "{x}",
            "{x}" + 25_000 * " a",
            "50015 characters; at most 50000 are allowed: write what is",
        ),
        ("{x}", "{x} {?y}", "is no optional part, or is not closed; write {?name"),
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
    space.write_text(space.read_text() + "metrics: {score: 'score (.*)'}\nfinal: 'best (.*)'\n")
    shown = CliRunner().invoke(app, ["plan", str(space)]).stdout
    assert "How long a trial takes shows" in shown
    assert "  command     sh train.sh {x}\n" in shown
    assert "  metrics     score 'score (.*)'\n  final       best (.*)\n" in shown
    assert "script:" not in shown


def test_a_model_is_where_the_script_put_it(space, make_home):
    sweep = sweeps.run(str(space), home=make_home(), trials=1, workers=0, progress="quiet")
    said = r"ended without weights; what it wrote is in .*0000-1\.files\.zip"
    with pytest.raises(UsageError, match=said):
        sweep.best().load_model()


def test_a_script_may_be_optimised_for_several_of_its_numbers(space, make_home):
    objectives = "[{metric: score, direction: maximize}, {metric: size, direction: minimize}]"
    text = space.read_text().replace("{metric: score, direction: maximize}", objectives, 1)
    space.write_text(text)
    sweep = sweeps.run(str(space), home=make_home(), workers=0, progress="quiet")
    assert [trial.values["size"] for trial in sweep.pareto_front()] == [7.0]
    assert sweep.trials()["size"].tolist() == [7.0] * 4


OPTIONAL = f"""
command: >-
  {sys.executable} train.py --lr {{lr}} {{?momentum --momentum {{momentum}}}}
  --json={{params_json}}
objective: {{metric: score, direction: maximize}}
parameters:
  lr: {{type: float, low: 0, high: 1}}
  optimizer: {{type: categorical, choices: [sgd, adam]}}
  momentum: {{type: float, low: 0, high: 1, when: optimizer == "sgd"}}
baselines:
  with: {{lr: 0.1, optimizer: sgd, momentum: 0.5}}
  without: {{lr: 0.1, optimizer: adam}}
defaults: {{trials: 2, sampler: random, pruner: none, ask_ahead: 2}}
"""

ECHOING = """
import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--momentum", type=float, default=-1)
parser.add_argument("--json", type=json.loads)
asked = parser.parse_args()
assert asked.json.get("momentum", -1) == asked.momentum
assert asked.json["lr"] == asked.lr
print(json.dumps({"result": {"score": asked.momentum, "names": len(asked.json)}}))
"""


def test_a_parameter_that_a_condition_left_out_is_left_out_of_the_command(tmp_path, make_home):
    (tmp_path / "train.py").write_text(ECHOING)
    (tmp_path / "optional.yaml").write_text(OPTIONAL)
    space = str(tmp_path / "optional.yaml")
    sweep = sweeps.run(space, home=make_home(), workers=0, progress="quiet")
    assert [row.objective for row in sweep.rows()] == [0.5, -1]
    assert [row.metrics["names"] for row in sweep.rows()] == [3, 2]


def test_a_list_of_words_may_have_a_shell_and_its_files_count(tmp_path, make_home):
    (tmp_path / "train.sh").write_text(SHELL)
    text = SPACE.replace("sh train.sh {x}", "[bash, -c, 'sh train.sh {x} | tee log.txt', 5]")
    (tmp_path / "piped.yaml").write_text(text)
    space = str(tmp_path / "piped.yaml")
    sweep = sweeps.run(space, home=make_home(), trials=1, workers=0, progress="quiet")
    (row,) = sweep.rows()
    assert row.objective == row.params["x"]
    assert (tmp_path / "log.txt").read_bytes() == kept(sweep, "0000-1")["stdout.txt"]
    sweeps.run(space, home=make_home(), trials=2, workers=0, progress="quiet")  # with a new log
    (tmp_path / "train.sh").write_text(SHELL + "# edited\n")
    with pytest.raises(UsageError, match=r"train\.sh"):
        sweeps.run(space, home=make_home(), trials=3, workers=0, progress="quiet")


def test_what_a_script_started_ends_when_its_trial_is_told_to(tmp_path):
    (tmp_path / "train.py").write_text(ENDLESS.format(deaf=False))
    command = f"bash -c 'sleep 600 & echo $! > pid; {sys.executable} train.py | cat'"
    experiment = ScriptExperiment(Script(command, (SCORE,)), tmp_path)
    assert run(experiment, {}, on_epoch=lambda epoch, _: Stop("pruned")).outcome == "stopped"
    assert eventually(lambda: not is_alive(int((tmp_path / "pid").read_text())))


ESTRANGED = """
import json, os, subprocess, time
from pathlib import Path

code = "trap : TERM; " if {deaf} else ""
code = f"sh -c '{{code}}while true; do sleep 0.1; done' & echo $! > pid"
subprocess.run(["sh", "-c", code], start_new_session=True, check=True)
if {ends}:
    print(json.dumps({{"result": {{"score": 1}}}}))
while not {ends}:
    print(json.dumps({{"epoch": 1, "score": 0.5}}))
    time.sleep(0.05)
"""


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("deaf", [True, False])
def test_a_process_in_a_session_of_its_own_ends_with_its_script(tmp_path, deaf, ends, monkeypatch):
    monkeypatch.setattr("sweeps.experiments.script.PATIENCE_SECONDS", 0.3)
    experiment = script(tmp_path, ESTRANGED.format(deaf=deaf, ends=ends))
    result = run(experiment, on_epoch=lambda epoch, _: Stop("pruned"))
    assert result.outcome == ("complete" if ends else "stopped")
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_what_a_script_leaves_behind_does_not_hold_up_its_trial(tmp_path):
    leaving = "import subprocess\nsubprocess.Popen(['sleep', '30'])\n"
    text = leaving + 'print(\'{"result": {"score": 1}}\')'
    assert run(script(tmp_path, text)).metrics == {"score": 1.0}


@pytest.mark.slow
def test_of_a_long_output_head_and_tail_are_kept(tmp_path):
    count = 1_000_000
    text = f"print(*map('line {{}}'.format, range({count})), sep='\\n')\n"
    text += 'print(\'{"result": {"score": 1}}\')'
    spec = TrialSpec("s", 0, 1, seed=5, config={"x": 0.5})
    experiment = script(tmp_path, text)
    folder = tmp_path / "attempt"
    folder.mkdir()
    experiment.train_in(folder, spec, experiment.prepare(None, 0), lambda epoch, metrics: None)
    printed = collect_files(folder)["stdout.txt"].decode()
    whole = "".join(f"line {n}\n" for n in range(count)) + '{"result": {"score": 1}}\n'
    assert (folder / "stdout.txt").stat().st_size == len(whole)
    left_out = len(whole) - HEAD_BYTES - TAIL_BYTES
    said = f"\n... {left_out} bytes are left out here ...\n"
    assert printed == whole[:HEAD_BYTES] + said + whole[-TAIL_BYTES:]
    # The middle of it takes no room on the disk while the script goes on.
    assert (folder / "stdout.txt").stat().st_blocks * 512 < len(whole)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["written", pytest.param("done", marks=pytest.mark.nightly)])
def test_a_kill_while_files_are_kept_costs_neither_them_nor_the_sweep(writing, make_home, step):
    words = ["run", str(writing), "--trials", "1", "--workers", "1", "--home", str(make_home())]
    assert Launched(words, {"SWEEPS_FAILPOINT": f"files.{step}"}).wait() == -signal.SIGKILL
    assert Launched(words).wait() == 0
    (archive,) = make_home().glob("sweeps/*/trials/0000-1.files.zip")
    with zipfile.ZipFile(archive) as held:
        assert held.read("stdout.txt").startswith(b"learning at 0.25\n")
    sweep = sweeps.load("writing", make_home())
    assert kept(sweep, "0000-2")["output/model/weights.bin"] == bytes(1000) + b"0-2"
    share_sweep(sweep.home, sweep.info, make_home() / "shared")
    assert "trials/0000-1.files.zip" not in zipfile.ZipFile(make_home() / "shared").namelist()


@pytest.mark.slow
def test_what_a_killed_coordinator_had_running_is_kept_by_the_next_start(space, make_home):
    (space.parent / "train.sh").write_text("echo as far as this; touch begun; sleep 600")
    words = ["run", str(space), "--trials", "1", "--workers", "1", "--home", str(make_home())]
    running = Launched(words)
    assert eventually((space.parent / "begun").exists)
    running.kill()
    (space.parent / "train.sh").write_text(SHELL)
    result = CliRunner().invoke(app, [*words, "--same-code"])
    assert result.exit_code == 0, result.stderr
    (archive,) = make_home().glob("sweeps/*/trials/0000-1.files.zip")
    assert f"what attempt 0000-1 wrote before it was cut off is in {archive}" in result.stderr
    with zipfile.ZipFile(archive) as held:
        assert held.read("stdout.txt") == b"as far as this\n"
    sweep = sweeps.load("script", make_home())
    assert list(records(sweep)) == ["0000-2"]


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("{?momentun --momentum {momentum}}", "no 'momentun'; did you mean 'momentum'?"),
        ("{?nosuch --flag} {?momentum {momentum}}", "the space has no 'nosuch'"),
        ("{?momentum --momentum {momentun}}", "no 'momentun'"),
    ],
)
def test_an_optional_part_for_what_the_space_lacks_is_refused(tmp_path, part, said):
    (tmp_path / "train.sh").write_text(SHELL)
    file = tmp_path / "script.yaml"
    momentum = "  momentum: {type: float, low: 0, high: 1, when: x > 0.5}\ndefaults"
    file.write_text(SPACE.replace("{x}\n", f"{{x}} {part}\n").replace("defaults", momentum))
    with pytest.raises(UsageError) as refused:
        sweeps.plan(file, home=tmp_path / "home")
    assert said in str(refused.value)


def test_optional_parts_are_for_conditional_and_repeated_parameters(tmp_path):
    (tmp_path / "train.sh").write_text(SHELL)
    file = tmp_path / "script.yaml"
    more = """
  momentum: {type: float, low: 0, high: 1, when: x > 0.5}
  n: {type: int, low: 1, high: 2}
  units: {type: int, low: 1, high: 9, repeat: n}
defaults"""
    command = "{x} {n} {units_1} {?momentum --momentum {momentum}} {?units_2 {units_2}}\n"
    file.write_text(SPACE.replace("{x}\n", command).replace("\ndefaults", more))
    assert sweeps.plan(file, home=tmp_path / "home").left == 4


def test_a_file_that_the_script_writes_itself_is_said_to_belong_elsewhere(tmp_path):
    (tmp_path / "train.sh").write_text(f"touch model.txt\n{SHELL}")
    file = tmp_path / "script.yaml"
    file.write_text(SPACE.replace("{x}\n", "{x} model.txt\n"))
    options = {"home": tmp_path / "home", "workers": 0, "progress": "quiet"}
    sweeps.run(file, trials=1, **options)
    with pytest.raises(UsageError, match=r"model\.txt: new\n.*writes belongs in \{output\}"):
        sweeps.run(file, trials=2, **options)


@pytest.mark.parametrize(
    "command",
    [
        "{python} -m train {{x}}",
        *(
            pytest.param(c, marks=pytest.mark.slow)
            for c in ("{python} -m package.train {{x}}", "bash run.sh {{x}}")
        ),
    ],
)
def test_what_a_module_or_a_shell_script_runs_is_its_code(tmp_path, command):
    result = "import json, sys; print(json.dumps({'result': {'score': float(sys.argv[1])}}))\n"
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "train.py").write_text(result)
    (tmp_path / "train.py").write_text(result)
    (tmp_path / "run.sh").write_text(f'{sys.executable} train.py "$1"\n')
    file = tmp_path / "script.yaml"
    file.write_text(SPACE.replace("sh train.sh {x}", command.format(python=sys.executable)))
    options = {"home": tmp_path / "home", "workers": 0, "progress": "quiet"}
    sweeps.run(file, trials=1, **options)
    edited = tmp_path / ("package" if "package" in command else "") / "train.py"
    edited.write_text(result.replace("float(", "2 * float("))
    with pytest.raises(UsageError, match=r"(?s)other code.*train\.py"):
        sweeps.run(file, trials=2, **options)


def test_a_script_without_epochs_is_replayed_by_its_result(tmp_path):
    (tmp_path / "train.sh").write_text('echo "{\\"result\\": {\\"score\\": $1}}"')
    file = tmp_path / "script.yaml"
    file.write_text(SPACE)
    options = {"home": tmp_path / "home", "workers": 0, "progress": "quiet"}
    assert sweeps.replay(sweeps.run(file, trials=1, **options), 0).is_bit_equal


STRANGE = {
    "Latin-1": "printf 'caf\\351\\n'",
    "bytes": "head -c 20000 /dev/urandom",
    "nested": """printf '{"a":%.0s' $(seq 50000); echo""",
    "one long line": "head -c 3000000 /dev/zero | tr '\\0' x; echo",
    "a child that stays": "sleep 3 &",
}


@pytest.mark.slow
@pytest.mark.parametrize("strange", STRANGE)
def test_whatever_else_a_script_prints_or_leaves_its_result_counts(tmp_path, strange):
    (tmp_path / "train.sh").write_text(f"{STRANGE[strange]}\n{SHELL}")
    file = tmp_path / "script.yaml"
    file.write_text(SPACE)
    options = {"home": tmp_path / "home", "workers": 0, "progress": "quiet"}
    (row,) = sweeps.run(file, trials=1, **options).rows()
    assert (row.state, row.epochs) == ("COMPLETE", 3)


@pytest.mark.parametrize(
    "value",
    [
        "true",
        *(pytest.param(v, marks=pytest.mark.slow) for v in ("1" + 400 * "0", "null", '"high"')),
    ],
)
def test_a_result_that_is_no_number_is_said(tmp_path, value):
    (tmp_path / "train.sh").write_text(f'echo \'{{"result": {{"score": {value}}}}}\'')
    file = tmp_path / "script.yaml"
    file.write_text(SPACE)
    options = {"home": tmp_path / "home", "workers": 0, "progress": "quiet"}
    (row,) = sweeps.run(file, trials=1, max_failures_in_row=0, **options).rows()
    assert row.state == "FAILED"
    assert "not a number for each name" in row.error


LEAVING = """
import os, socket, sys
from pathlib import Path
kind, output = sys.argv[1], Path(os.environ["SWEEPS_OUTPUT"])
os.chdir(output)

def nest(name, levels):
    for _ in range(levels):
        os.mkdir(name)
        os.chdir(name)
    Path("file").touch()

if kind == "a long path": nest("d" * 200, 25)
if kind == "many levels": nest("d", 1500)
if kind == "a long name": Path("n" * 255).touch()
if kind == "loops": os.symlink("loop", "loop"); os.symlink("..", "up"); os.symlink("/", "root")
if kind == "no files": os.mkfifo("pipe"); socket.socket(socket.AF_UNIX).bind("socket")
if kind == "predictions": os.mkfifo("predictions.npz"); os.mkdir("predictions.csv")
if kind == "names": Path(os.fsdecode(b"caf\\xe9\\nx")).touch(); Path("%2e%2e#?:&;'").write_text("x")
if kind == "many": [Path(f"{n}").touch() for n in range(1500)]
if kind == "unreadable": Path("x").touch(); os.chmod("x", 0); os.mkdir("y"); os.chmod("y", 0)
if kind == "a link for its folder":
    output.parent.rename(output.parent.with_name("moved")); output.parent.symlink_to("/etc")
if kind == "a file for its folder":
    output.parent.rename(output.parent.with_name("away")); output.parent.touch()
if kind == "a pipe for its output":
    for name in "stdout.txt", "stderr.txt":
        (output.parent / name).unlink(); os.mkfifo(output.parent / name)
    sys.exit(1)
print('{"result": {"loss": 0.5}}')
"""
KINDS = [
    "a long path", "many levels", "a long name", "loops", "no files", "predictions", "names",
    "many", "unreadable", "a link for its folder", "a file for its folder",
    "a pipe for its output", "nothing",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_whatever_an_attempt_leaves_ends_no_sweep(tmp_path, make_home, workers):
    (tmp_path / "leaving.py").write_text(LEAVING)
    (tmp_path / "leaving.yaml").write_text(
        f"command: {sys.executable} leaving.py {{kind}}\n"
        "objective: {metric: loss, direction: minimize}\n"
        f"parameters: {{kind: {{type: categorical, choices: {json.dumps(KINDS)}}}}}\n"
        f"defaults: {{trials: {len(KINDS) - 1}, sampler: grid}}\n"
    )
    space, home = str(tmp_path / "leaving.yaml"), make_home()
    for trials in (len(KINDS) - 1, len(KINDS)):  # a second start finds what the first could not
        sweep = sweeps.run(space, home=home, trials=trials, workers=workers, progress="quiet")
    states = {row.params["kind"]: row.state for row in sweep.rows()}
    assert states.pop("a pipe for its output") == "FAILED"
    assert set(states.values()) == {"COMPLETE"}
    numbers = {row.params["kind"]: row.trial for row in sweep.rows()}
    left = {k: sweep.trial(n).files.get("left_out.txt", b"").decode() for k, n in numbers.items()}
    assert "...: a path of more than 1000 characters, or 50 folders" in left["a long path"]
    assert ": a path of more than 1000 characters, or 50 folders" in left["many levels"]
    assert "output/pipe: no file" in left["no files"]
    assert "more than 64 MB or 1000 files together" in left["many"]
    assert not any("passwd" in name for name in sweep.trial(numbers["a link for its folder"]).files)
    assert not list(sweep.home.store(sweep.info.id).running.glob("*"))
