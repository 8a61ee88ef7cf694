"""Scripts that print no JSON: patterns in their output, files they write, runs they log."""

from __future__ import annotations

import math
import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.objectives import Objective, Script
from sweeps.cli import app
from sweeps.errors import ScriptError
from sweeps.experiment import Stop, TrialSpec
from sweeps.experiments.script import ScriptExperiment
from sweeps.experiments.script_results import score_of
from tests.faults.mlflow_state import mlflow_state

ACCURACY = Objective("val_acc", "maximize")


def run(
    tmp_path,
    text,
    on_epoch=lambda epoch, metrics: None,
    *,
    arguments="{x}",
    objective=None,
    **sources,
):
    (tmp_path / "train.py").write_text(text)
    command = f"{sys.executable} train.py {arguments}"
    experiment = ScriptExperiment(Script(command, (objective or ACCURACY,), **sources), tmp_path)
    spec = TrialSpec("s", 0, 1, seed=5, config={"x": 0.5})
    return experiment.train(spec, experiment.prepare(None, 0), on_epoch)


ACC = {"val_acc": r"val_acc[=: ]+(\S+)"}
BOTH = {**ACC, "loss": r"\bloss[=: ]+(\S+)"}


@pytest.mark.parametrize(
    ("text", "history"),
    [
        ("print('loss=0.9, val_acc=0.5,')\nprint('loss: 1e-05 val_acc: .75')",
         {"loss": [0.9, 1e-05], "val_acc": [0.5, 0.75]}),
        # A metric that is printed less often keeps its number, one that comes later has no curve.
        ("print('loss 3\\nval_acc 0.25\\nval_acc 0.5\\nloss 2')",
         {"loss": [3, 3], "val_acc": [0.25, 0.5]}),
        ("print('val_acc 0.25\\nloss 2\\nval_acc 0.5\\nloss 1')", {"val_acc": [0.25, 0.5]}),
        # Loggers print to stderr, progress bars end lines by a carriage return.
        ("import sys\nfor a in '.2', '.4': print('val_acc', a, end='\\r', file=sys.stderr)",
         {"val_acc": [0.2, 0.4]}),
        ("import logging; logging.basicConfig(level=20); logging.info('val_acc=-3')",
         {"val_acc": [-3]}),
    ],
)  # fmt: skip
def test_each_match_of_the_objective_is_an_epoch(tmp_path, text, history):
    seen = []
    result = run(tmp_path, text, lambda epoch, values: seen.append(dict(values)), patterns=BOTH)
    assert result.outcome == "complete"
    assert result.history == history
    assert seen == [dict(zip(history, values, strict=True)) for values in zip(*history.values())]  # noqa: B905
    assert result.metrics["val_acc"] == history["val_acc"][-1]


@pytest.mark.parametrize(
    ("last", "epochs"),
    [
        ("final: loss=1, val_acc=0.5", 2),
        ("val_acc: 0.5", 2),
        ("final: loss=7, val_acc=0.75", 2),
        ("best val_acc: 0.9000", 2),
        ("best val_acc: 0.9000 in epoch 2", 2),
        ("epoch 3/3: loss=1, val_acc=0.5 (no better)", 3),
        ("[Epoch: 3] val_acc=0.5", 3),
        ("new best in epoch 3! loss=1, val_acc=0.5", 3),
    ],
)
def test_a_line_that_names_no_epoch_after_lines_that_do_is_none(tmp_path, last, epochs):
    lines = ["epoch 1/3: loss=2, val_acc=0.25", "epoch 2/3: loss=1, val_acc=0.5", last]
    result = run(tmp_path, f"print({chr(10).join(lines)!r})", patterns=BOTH)
    assert len(result.history["val_acc"]) == epochs
    assert result.metrics == {"val_acc": 0.5, "loss": 1}
    score = score_of(result.info)
    assert score.line == (lines[1] if epochs == 2 else last)
    assert score.left_out == (last if epochs == 2 and "0.5" not in last else "")


def test_of_lines_that_never_name_an_epoch_the_last_one_counts(tmp_path):
    unnamed = "print('val_acc 0.25\\nval_acc 0.5\\nfinal val_acc 0.5')"
    again = run(tmp_path, unnamed, patterns=ACC)
    assert len(again.history["val_acc"]) == 3, "one cannot know"
    assert str(score_of(again.info)) == "the last line that matches, 'final val_acc 0.5'"


@pytest.mark.parametrize(
    ("lines", "history"),
    [
        # Keras: the epoch is named by a line above.
        (["Epoch 1/2", "1/1 - 1s - val_acc: 0.25", "Epoch 2/2", "val_acc: 0.5", "best val_acc 1"],
         [0.25, 0.5]),
        # A progress bar: which of its lines ends the epoch is not known.
        (["Epoch 1/2", "val_acc 0.1", "val_acc 0.2", "Epoch 2/2", "val_acc 0.3", "val_acc 0.4"],
         [0.1, 0.2, 0.3, 0.4]),
        # The objective is printed at the end only.
        (["epoch 1: loss 2", "epoch 2: loss 1", "final val_acc 0.75"], [0.75]),
    ],
)  # fmt: skip
def test_a_line_above_may_name_the_epoch(tmp_path, lines, history):
    result = run(tmp_path, f"print({chr(10).join(lines)!r})", patterns=BOTH)
    assert result.history["val_acc"] == history
    assert result.metrics["val_acc"] == history[-1]


EPOCHS = ["epoch 1/2: loss=2, acc=0.25", "epoch 2/2: loss=1, acc=0.5"]


@pytest.mark.parametrize(
    "last",
    [
        "Test: loss=9, acc=0.63",
        "epoch 2: test acc=0.63",
        "acc=0.63 on the test set",
    ],
)
def test_a_number_of_the_test_set_is_no_objective_unasked(tmp_path, last):
    patterns = {"val_acc": r"acc=(\d\S*?)(?:,|\s|$)", "loss": r"loss=([^,]+)"}
    lines = [*EPOCHS, last]
    result = run(tmp_path, f"print({chr(10).join(lines)!r})", patterns=patterns)
    assert result.metrics == {"val_acc": 0.5, "loss": 1}
    assert result.history == {"val_acc": [0.25, 0.5], "loss": [2, 1]}
    score = score_of(result.info)
    assert (score.line, score.left_out, score.why) == (lines[1], last, "says test")


def test_a_pattern_that_says_test_is_asked(tmp_path):
    lines = [*EPOCHS, "Test: loss=9, acc=0.63"]
    patterns = {"val_acc": r"\bacc=(\S+)", "at_end": r"Test:.* acc=(\S+)"}
    text = f"print({chr(10).join(lines)!r})"
    assert run(tmp_path, text, patterns=patterns).metrics == {"val_acc": 0.5, "at_end": 0.63}
    asked = run(tmp_path, text, patterns={"val_acc": r"Test:.* acc=(\S+)"})
    assert asked.history == {"val_acc": [0.63]}
    with pytest.raises(ScriptError, match=r"says test, as 'Test: loss=9, acc=0.63' does, and the"):
        run(tmp_path, text, patterns={"val_acc": r"9, acc=(\S+)"})


def test_words_that_only_hold_test_or_val_name_no_part(tmp_path):
    lines = ["epoch 1: fastest value acc=0.25", "epoch 2: test of validation acc=0.5"]
    result = run(tmp_path, f"print({chr(10).join(lines)!r})", patterns={"val_acc": r"acc=(\S+)"})
    assert result.history == {"val_acc": [0.25, 0.5]}


def test_final_is_the_line_of_the_score(tmp_path):
    lines = ["val_acc=0.25, loss=2", "val_acc=0.5, loss=1", "best val_acc=0.9", "best val_acc=0.75"]
    text = f"print({chr(10).join(lines)!r})"
    final = r"best val_acc=(\S+)"
    result = run(tmp_path, text, patterns=BOTH, final=final)
    assert result.history == {"val_acc": [0.25, 0.5], "loss": [2, 1]}
    assert result.metrics == {"val_acc": 0.75, "loss": 1}
    assert str(score_of(result.info)) == "the line of `final`, 'best val_acc=0.75'"
    with pytest.raises(ScriptError, match=r"^final: no line that it printed matches 'last: "):
        run(tmp_path, text, patterns=BOTH, final=r"last: (\S+)")


def test_a_metric_that_came_after_the_last_epoch_is_in_the_result(tmp_path):
    result = run(tmp_path, "print('val_acc 0.25\\nloss 2')", patterns=BOTH)
    assert result.metrics == {"val_acc": 0.25, "loss": 2}


def test_json_of_its_own_is_a_line_as_any_other(tmp_path):
    own = """print('{"epoch": 1, "phase": "end", "val_acc": 0.25}\\n{"result": "good"}')"""
    result = run(tmp_path, own, patterns={"val_acc": '"val_acc": ([^,}]+)'})
    assert result.history == {"val_acc": [0.25]}
    assert result.metrics == {"val_acc": 0.25}
    text = WRITING.format(name="m.json", content='{"val_acc": 0.5}')
    assert run(tmp_path, f"{text}\n{own}", result="m.json").metrics == {"val_acc": 0.5}


def test_a_value_that_is_not_finite_reaches_the_result(tmp_path):
    assert math.isnan(run(tmp_path, "print('val_acc nan')", patterns=ACC).metrics["val_acc"])


@pytest.mark.parametrize(
    ("text", "pattern", "said"),
    [
        ("print('accuracy 0.3')", ACC["val_acc"],
         r"metrics: no line that it printed matches the pattern of 'val_acc', "
         r".*\n\nThe last lines of its stdout:\naccuracy 0.3"),
        ("print('val_acc high')", ACC["val_acc"],
         r"metrics: the pattern of 'val_acc' found 'high' in 'val_acc high', which is no n"),
        ("print('val_acc 1.2e-05')", "val_acc ([0-9.]+)", ".*found '1.2' in 'val_acc 1.2e-05'"),
        ("print('val_acc 12')", r"val_acc (\d)", ".*found '1' in 'val_acc 12'"),
        ("print('val_acc ' + 'a' * 40 + '!')", "val_acc (?:a+)+(b)",
         r"metrics: a pattern takes more than 1 s for a line; write it without repetitions"),
        # A space refuses this one, a forged record may have it.
        ("print('val_acc 1')", "val_acc (", "metrics: no regular expression: missing \\),"),
    ],
)  # fmt: skip
def test_a_pattern_that_finds_no_number_is_said(tmp_path, text, pattern, said):
    with pytest.raises(ScriptError, match=f"(?s)^{said}") as caught:
        run(tmp_path, text, patterns={"val_acc": pattern})
    assert caught.value.reason == "invalid"


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("Epoch 1/1: loss 0.5 val_acc 0.25",
         r"; or add metrics: {val_acc: '\bval_acc[=: ]+(\S+)'}, which finds "
         "'Epoch 1/1: loss 0.5 val_acc 0.25'"),
        ("acc=.75", r"; or add metrics: {val_acc: '\bacc[=: ]+(\S+)'}, which finds 'acc=.75'"),
        ("Val_Acc: 1e-3", r"; or add metrics: {val_acc: '\bVal_Acc[=: ]+(\S+)'}, which"),
        ("loss 0.5", None),
        ("val_acc is good, 0.5", None),
        ("a-" * 5000, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sources", [{}, {"patterns": {"val_acc": "best: (.*)"}}])
def test_where_lines_look_like_the_metric_a_pattern_is_advised(tmp_path, printed, hint, sources):
    with pytest.raises(ScriptError) as caught:
        run(tmp_path, f"print({printed!r})", **sources)
    said, _, _ = str(caught.value).partition("\n")
    assert (hint or "print one at the end" if not sources else hint or "compare it") in said
    assert hint is not None or "or add metrics" not in said
    if hint and "Epoch" in hint:
        pattern = re.search(r"val_acc: '(.*)'}", said)[1]
        found = run(tmp_path, f"print({printed!r})", patterns={"val_acc": pattern})
        assert found.metrics == {"val_acc": 0.25}


def test_a_long_line_is_searched_at_its_begin_only(tmp_path):
    result = run(tmp_path, "print('val_acc 1'); print('-' * 5000, 'val_acc 2')", patterns=ACC)
    assert result.history == {"val_acc": [1.0]}


ENDLESS = """
import itertools, time
for epoch in itertools.count(1):
    print('epoch', epoch, 'val_acc 0.5', flush=True)
    time.sleep(0.05)
"""


def test_a_script_whose_output_is_searched_can_be_pruned(tmp_path):
    stop = lambda epoch, _: Stop("pruned") if epoch == 2 else None  # noqa: E731
    result = run(tmp_path, ENDLESS, stop, patterns=ACC)
    assert (result.outcome, result.stop_reason) == ("stopped", "pruned")
    assert result.history == {"val_acc": [0.5] * 3}


WRITING = """
import os, sys, time
from pathlib import Path
path = Path(os.environ["SWEEPS_OUTPUT"], {name!r})
path.parent.mkdir(exist_ok=True)
path.write_text({content!r})
"""


@pytest.mark.parametrize(
    ("name", "content", "history", "metrics"),
    [
        ("metrics.json", '{"val_acc": 0.5, "host": "here", "best": true, "eval": {"acc": 1}}',
         {}, {"val_acc": 0.5, "eval.acc": 1}),
        ("metrics.json", '{"loss": [3, 2], "val_acc": [0.25, 0.5], "seconds": 4}',
         {"loss": [3, 2], "val_acc": [0.25, 0.5]}, {"loss": 2, "val_acc": 0.5, "seconds": 4}),
        ("metrics.json", '[{"loss": 3}, {"val_acc": 0.5}]',
         {"loss": [3], "val_acc": [0.5]}, {"loss": 3, "val_acc": 0.5}),
        ("m.csv", "epoch,loss,val_acc\n1,3,0.25\n2,2,0.5", {"loss": [3, 2], "val_acc": [0.25, 0.5]},
         {"loss": 2, "val_acc": 0.5}),
        ("m.csv", '\ufeff"epoch";"val_acc"\r\n1;0.5\r\n', {"val_acc": [0.5]}, {"val_acc": 0.5}),
        # Lightning's logger writes training and validation by turns.
        ("version_0/metrics.csv",
         "epoch,step,train_loss,val_acc\n0,9,3.0,\n0,9,,0.25\n1,19,2.0,\n1,19,,0.5\n",
         {"train_loss": [3, 2], "val_acc": [0.25, 0.5]}, {"train_loss": 2, "val_acc": 0.5}),
    ],
)  # fmt: skip
def test_numbers_come_from_a_file(tmp_path, name, content, history, metrics):
    text = WRITING.format(name=name, content=content)
    result = run(tmp_path, text, result=name)
    assert result.history == history
    assert result.metrics == metrics


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("other.json", "{}", "result: it wrote no metrics.json into the folder that {output}"),
        ("metrics.json", '{"acc": 1}', "result: metrics.json has no number for 'val_acc', only"),
        ("metrics.json", "{'acc': 1}", "result: metrics.json is no JSON file: Expecting"),
        ("metrics.json", "3", "result: metrics.json holds '3'; write an object of numbers"),
        ("metrics.json", "[" * 100000, "result: metrics.json is no JSON file: maximum recursion"),
        ("metrics.json", " " * (17 << 20), "result: metrics.json has 17825792 bytes; at most 16"),
        ("m.csv", 'val_acc\n"' + "1" * 200_000, "result: m.csv is no CSV file: field larger"),
        ("m.csv", "val_acc\nhigh\n", "result: m.csv has no number for 'val_acc', nothing"),
    ],
)  # fmt: skip
def test_a_file_without_the_number_is_said(tmp_path, name, content, said):
    if len(content) < 1000:
        text = WRITING.format(name=name, content=content)
    else:
        begin, more, count = content[:9], content[-1], len(content) - 9
        text = WRITING.format(name=name, content=begin).replace(
            f"({begin!r})", f"({begin!r} + {more!r} * {count})"
        )
    with pytest.raises(ScriptError) as caught:
        run(tmp_path, text, result=name if name.endswith(".csv") else "metrics.json")
    assert str(caught.value).startswith(said)
    assert caught.value.reason == "invalid"


ROWS = """
import itertools, os, time
with open(os.environ["SWEEPS_OUTPUT"] + "/m.csv", "w") as file:
    print("epoch,val_acc", file=file)
    for epoch in itertools.count(1):
        print(f"{epoch},0.5", file=file, flush=True)
        time.sleep(0.05)
"""


def test_a_script_whose_file_grows_can_be_pruned(tmp_path):
    stop = lambda epoch, _: Stop("pruned") if epoch == 2 else None  # noqa: E731
    result = run(tmp_path, ROWS, stop, result="m.csv")
    assert (result.outcome, result.history) == ("stopped", {"val_acc": [0.5] * 3})


LOGGING = """
import os, pathlib, sys, time
assert os.environ["MLFLOW_TRACKING_URI"].startswith("file://")
assert "MLFLOW_RUN_ID" not in os.environ
store = pathlib.Path(os.environ["MLFLOW_TRACKING_URI"].removeprefix("file://"))
def log(name, value, step, run="abc"):
    path = store / "0" / run / "metrics" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (store / "0" / run / "meta.yaml").touch()
    with path.open("a") as file:
        print(1000, value, step, file=file)
"""
"""Writes as MLflow's file store does; importing MLflow takes seconds."""


def test_numbers_come_from_the_run_that_it_logs(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "of another store")
    text = LOGGING + (
        "for step in 0, 1:\n    log('val_acc', step / 2, step); log('train/loss', 3 - step, step)\n"
        "log('test_acc', 0.4, 0)"
    )
    seen = []
    result = run(tmp_path, text, lambda epoch, _: seen.append(epoch), result="mlflow")
    assert seen == [0, 1]
    assert result.history == {"val_acc": [0, 0.5], "train/loss": [3, 2]}
    assert result.metrics == {"val_acc": 0.5, "train/loss": 2, "test_acc": 0.4}


def test_a_metric_logged_without_steps_has_its_epochs_in_order(tmp_path):
    text = LOGGING + "for value in 1, 3, 2: log('val_acc', value, 0)"
    result = run(tmp_path, text, result="mlflow")
    assert result.history == {"val_acc": [1, 3, 2]}
    assert result.metrics == {"val_acc": 2}


def test_a_run_that_mlflow_is_about_to_call_a_child_is_no_second_run(tmp_path):
    text = LOGGING + (
        "for step in range(4):\n    log('val_acc', step / 4, step)\n"
        "child = store / '0' / 'child'\n(child / 'metrics').mkdir(parents=True)\n"
        "(child / 'meta.yaml').touch(); time.sleep(1)\n"  # long enough to be read in between
        "(child / 'tags').mkdir(); (child / 'tags' / 'mlflow.parentRunId').touch()\n"
        "log('val_acc', 1, 0, 'child')"
    )
    assert run(tmp_path, text, result="mlflow").history == {"val_acc": [0, 0.25, 0.5, 0.75]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pass", "result: it logged nothing to MLflow where MLFLOW_TRACKING_URI says; leave out"),
        ("log('loss', 1, 0)", "result: the run that it logged to MLflow has no metric 'val_acc'"),
        ("log('val_acc', 1, 0); log('val_acc', 1, 0, 'other')", "result: it logged 2 runs to MLf"),
    ],
)  # fmt: skip
def test_a_run_without_the_number_is_said(tmp_path, text, said):
    with pytest.raises(ScriptError) as caught:
        run(tmp_path, LOGGING + text, result="mlflow")
    assert str(caught.value).startswith(said)


def test_a_script_that_logs_to_mlflow_can_be_pruned(tmp_path):
    text = LOGGING + (
        "for step in range(10**6):\n"
        "    log('val_acc', 0.5, step); log('loss', 3, step); time.sleep(0.05)"
    )
    stop = lambda epoch, _: Stop("pruned") if epoch == 2 else None  # noqa: E731
    result = run(tmp_path, text, stop, result="mlflow")
    assert (result.outcome, result.history) == (
        "stopped", {"val_acc": [0.5] * 3, "loss": [3] * 3},
    )  # fmt: skip


REAL = """
import mlflow, sys
mlflow.set_experiment("digits")
with mlflow.start_run():
    mlflow.log_param("x", sys.argv[1])
    for epoch in range(2):
        mlflow.log_metrics({"loss": 3 - epoch, "val_acc": epoch / 2}, step=epoch)
    mlflow.log_text("hello", "note.txt")
    with mlflow.start_run(nested=True):
        mlflow.log_metric("val_acc", 0.9)
"""


@pytest.mark.slow
def test_the_real_mlflow_writes_where_it_is_read(tmp_path):
    result = run(tmp_path, REAL, result="mlflow")
    assert result.history == {"val_acc": [0, 0.5], "loss": [3, 2]}


SPACE = """
command: [sh, -c, 'LR={lr}; echo "val_acc 0$LR"; echo "val_acc $LR"']
objective: {metric: val_acc, direction: maximize}
metrics: {val_acc: 'val_acc ([0-9.]+)'}
parameters:
  lr: {type: categorical, choices: [0.25, 0.5]}
defaults: {trials: 2, sampler: grid, pruner: none}
"""


def test_what_the_score_was_read_from_is_said_before_the_second_trial(tmp_path, make_home):
    text = SPACE.replace('"val_acc 0$LR"', '"epoch 1: val_acc 0$LR"').replace(
        "metrics: {", "final: 'val_acc: ([0-9.]+) at last'\nmetrics: {"
    )
    text = text.replace('echo "val_acc $LR"', 'echo "val_acc: 0.75 at last"')
    (tmp_path / "plain.yaml").write_text(text)
    words = ["run", str(tmp_path / "plain.yaml"), "--home", str(make_home()), "--workers", "0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    before, said, after = result.stderr.partition(
        "score: val_acc is read from the line of `final`, 'val_acc: 0.75 at last'\n"
    )
    assert said, result.stderr
    assert "[1/2]" not in before
    assert "[1/2]" in after
    assert "score:" not in after
    shown = CliRunner().invoke(app, ["trials", "plain", "1", "--home", str(make_home())])
    assert "score      the line of `final`, 'val_acc: 0.75 at last'" in shown.stdout
    assert "epochs     1" in shown.stdout


def test_a_sweep_reads_patterns_and_its_records_keep_them(tmp_path, make_home):
    (tmp_path / "plain.yaml").write_text(SPACE)
    sweep = sweeps.run(str(tmp_path / "plain.yaml"), home=make_home(), workers=0, progress="quiet")
    assert sorted(row.objective for row in sweep.rows()) == [0.25, 0.5]
    assert sweep.best().record.result.history == {"val_acc": [0.5, 0.5]}
    best = str(sweep.best().number)
    replayed = CliRunner().invoke(app, ["replay", "plain", best, "--home", str(make_home())])
    assert replayed.exit_code == 0, replayed.output


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("'val_acc ([0-9.]+)'", "'val_acc ([0-9.]+'",
         ":4: metrics.val_acc: 'val_acc ([0-9.]+' is no regular expression: missing ), unterm"),
        ("([0-9.]+)", "[0-9.]+", ":4: metrics.val_acc: 'val_acc [0-9.]+' has 0 groups; put"),
        ("([0-9.]+)", "([0-9.]+)(%)", "has 2 groups; put exactly one, ( ), around the number"),
        ("([0-9.]+)", "(" + "a" * 1000 + ")", "has 1010 characters; at most 1000 are allowed"),
        ("{val_acc:", "{val_ac:", "metrics: has no pattern of the objective 'val_acc'; did"),
        ("metrics: {val_acc: 'val_acc ([0-9.]+)'}", "metrics: 3", "metrics: received 3; a m"),
        ("metrics:", "result: ../m.json\nmetrics:",
         "result: received '../m.json'; write mlflow, or the path of a .json or .csv file"),
        ("metrics:", "result: m.txt\nmetrics:", "result: received 'm.txt'; write mlflow, or"),
        ("metrics:", "final: best\nmetrics:", "final: 'best' has 0 groups; put exactly one"),
        ("metrics: {", "final: '(x)'\n#", "final: needs `metrics` with a pattern of 'val_acc'"),
        ("command: ", "experiment: a.b:c\nfinal: '(x)'\n#", "final: is for a script; leave"),
        ("command: ", "experiment: a.b:c\n#", "metrics: is for a script; leave it out, or w"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_before_anything_runs(tmp_path, make_home, before, after, said):
    assert before in SPACE
    (tmp_path / "plain.yaml").write_text(SPACE.replace(before, after))
    words = ["run", str(tmp_path / "plain.yaml"), "--home", str(make_home()), "--quiet"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split()), result.stderr


def test_a_result_may_name_output_and_needs_no_pattern_of_the_objective(tmp_path, make_home):
    text = SPACE.replace("{val_acc: 'val", "{other: 'val") + "result: '{output}/m.json'\n"
    (tmp_path / "plain.yaml").write_text(text.replace(
        'echo "val_acc 0$LR"', 'echo "{{\\"val_acc\\": $LR}}" > $SWEEPS_OUTPUT/m.json'
    ))  # fmt: skip
    sweep = sweeps.run(str(tmp_path / "plain.yaml"), home=make_home(), workers=0, progress="quiet")
    assert {row.objective: row.metrics["other"] for row in sweep.rows()} == {0.25: 0.25, 0.5: 0.5}


PREDICTING = """
import json, os, numpy as np
from pathlib import Path
output = Path(os.environ["SWEEPS_OUTPUT"])
print(json.dumps({"result": {"val_acc": 0.5}}))
"""


@pytest.mark.parametrize(
    ("write", "counts", "names"),
    [
        ("np.savez(output / 'predictions', labels=[0, 1, 2, 2], predictions=[0, 2, 2, 2])",
         [[1, 0, 0], [0, 0, 1], [0, 0, 2]], ["0", "1", "2"]),
        ("np.savez(output / 'predictions', y_true=np.array([1., 0.]), y_pred=np.eye(2))",
         [[0, 1], [1, 0]], ["0", "1"]),
        ("(output / 'predictions.csv').write_text('id,label,prediction\\n7,cat,dog\\n8,dog,dog')",
         [[0, 1], [0, 1]], ["cat", "dog"]),
        ("(output / 'predictions.csv').write_text('labels,predictions\\n10,9\\n9,9\\n')",
         [[1, 0], [1, 0]], ["9", "10"]),
    ],
)  # fmt: skip
def test_a_confusion_matrix_is_counted_from_predictions(tmp_path, write, counts, names):
    result = run(tmp_path, PREDICTING + write)
    assert result.arrays["confusion"].tolist() == [counts]
    assert result.info["class_names"] == names


@pytest.mark.parametrize(
    ("write", "said"),
    [
        ("np.savez(output / 'predictions', labels=[0, 1], predictions=[0])", "labels are (2,), p"),
        ("np.savez(output / 'predictions', labels=[0.5], predictions=[1])", "its values are no"),
        ("np.savez(output / 'predictions', scores=[1])", "it has scores; name them labels and pre"),
        ("np.savez(output / 'predictions', labels=[None], predictions=[1])", "Object arrays"),
        ("np.savez(output / 'predictions', labels=np.arange(300), predictions=np.arange(300))",
         "it has 300 classes; at most 200"),
        ("(output / 'predictions.npz').write_bytes(b'PK nothing')", "File is not a zip file"),
        ("(output / 'predictions.csv').write_text('label,prediction\\n1')", "a row has too"),
        ("(output / 'predictions.csv').write_text('')", "it has nothing; name them labels"),
        ("(output / 'predictions.csv').symlink_to('/etc/passwd')", ""),
        ("pass", ""),
    ],
)  # fmt: skip
def test_predictions_that_cannot_be_counted_cost_the_matrix_only(tmp_path, write, said):
    result = run(tmp_path, PREDICTING + write)
    assert (result.outcome, dict(result.arrays)) == ("complete", {})
    assert said in result.engine_reason
    assert bool(said) == bool(result.engine_reason)


@pytest.mark.parametrize(
    ("write", "by_sample"),
    [
        ("np.savez(output / 'predictions', samples=[7, 2], labels=[0, 1], predictions=[0, 0])",
         [1, 0]),
        ("np.savez(output / 'predictions', sample=[7, 2], y_true=[0, 1], y_pred=np.eye(2)[[1, 1]])",
         [0, 1]),
        ("(output / 'predictions.csv').write_text('sample,true,pred\\n7,1.5,2.25\\n2,3,2.75')",
         [0.75, 0.25]),
        ("(output / 'predictions.csv').write_text('sample,true,pred\\n7,3,2\\n2,1,1')", [0, 1]),
        ("(output / 'predictions.csv').write_text('sample,true,pred\\n7,a,b\\n2,b,b')", [0, 1]),
        ("np.savez(output / 'predictions', samples=[7, 2], labels=[0, 1], predictions=[0, 1])",
         None),
    ],
)  # fmt: skip
def test_the_metric_of_each_sample_is_what_it_is_the_mean_of(tmp_path, write, by_sample):
    result = run(tmp_path, PREDICTING + write)
    assert result.arrays["fold_samples"].tolist() == [7, 2]
    found = result.arrays.get("val_acc_by_sample")
    assert (found if found is None else found.tolist()) == by_sample
    assert result.engine_reason == ""


RANKED = """
labels, scores, groups = np.arange(60) % 2, np.arange(60) % 7 / 7, np.arange(60) // 10
above = scores[labels == 1][:, None] - scores[labels == 0]
auc = ((above > 0) + (above == 0) / 2).mean()
print(json.dumps({"result": {"val_auc": auc}}))
"""


def test_an_auc_is_known_of_each_sample_by_its_scores_and_groups_have_numbers(tmp_path):
    save = "np.savez(output / 'predictions', samples=np.arange(60), labels=labels, group={}, {})"
    auc = Objective("val_auc", "maximize")
    for groups, answers in (
        ("groups", "predictions=scores > 0.5, y_score=scores"),
        ("[f'patient {one}' for one in groups]", "predictions=np.stack([1 - scores, scores], 1)"),
    ):
        written = PREDICTING + RANKED + save.format(groups, answers)
        result = run(tmp_path, written, objective=auc)
        values = result.arrays["val_auc_by_sample"]
        assert values.mean() == pytest.approx(result.metrics["val_auc"], rel=1e-6)
        assert len(set(values)) > 5, "an AUC, not a share of right answers"
        numbers = result.arrays["fold_groups"]
        assert [len(set(numbers[n : n + 10])) for n in range(0, 60, 10)] == [1] * 6
        assert len(set(numbers)) == 6
    lost = PREDICTING + "np.savez(output / 'predictions', samples=[0, 1], labels=[0, 1], "
    short = run(tmp_path, lost + "predictions=[0, 0], groups=[1])")
    assert "has groups (1,) for labels (2,)" in short.engine_reason


@pytest.mark.parametrize("scores", ["0.5", "[0.5]", "np.zeros((2, 1, 1))", "np.zeros((2, 0))"])
def test_scores_of_another_shape_cost_the_comparison_only(tmp_path, scores):
    save = "np.savez(output / 'predictions', samples=[0, 1], labels=[0, 1], predictions=[0, 1], "
    result = run(tmp_path, PREDICTING + save + f"scores={scores})")
    assert result.outcome == "complete"
    assert "val_acc_by_sample" not in result.arrays
    assert "has scores" in result.engine_reason or scores == "np.zeros((2, 0))"


def test_samples_without_a_number_each_are_not_compared_one_by_one(tmp_path):
    write = "np.savez(output / 'predictions', samples=[7], labels=[0, 1], predictions=[0, 0])"
    result = run(tmp_path, PREDICTING + write)
    assert set(result.arrays) == {"confusion"}
    assert "has samples (1,) for labels (2,)" in result.engine_reason


def test_report_and_mlflow_have_the_confusion_matrix_of_a_script(tmp_path, make_home):
    (tmp_path / "train.py").write_text(
        PREDICTING + "np.savez(output / 'predictions', labels=['a', 'b'], predictions=['b', 'b'])"
    )
    space = SPACE.partition("objective")[2].replace("metrics: {val_acc: 'val_acc ([0-9.]+)'}", "")
    command = f"command: {sys.executable} train.py {{lr}}"
    (tmp_path / "seen.yaml").write_text(f"{command}\nobjective{space}")
    sweep = sweeps.run(
        str(tmp_path / "seen.yaml"), home=make_home(), trials=1, workers=0, progress="quiet"
    )
    assert np.array_equal(sweep.confusion(0).to_numpy(), [[0, 1], [0, 1]])
    assert list(sweep.confusion(0).columns) == ["a", "b"]
    runs = mlflow_state(f"sqlite:///{make_home() / 'mlflow.db'}", sweep.info.id)["runs"]
    (files,) = (run["files"] for run in runs if run["tags"].get("trial") == "0000-1")
    assert {"confusion_matrix.png", "output/predictions.npz"} <= set(files)


TELLING = """
import itertools, os, signal, sys, time
from pathlib import Path

def end(*_):
    Path(os.environ["SWEEPS_OUTPUT"], "told").write_text("SIGTERM")
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
x = float(sys.argv[1])
for epoch in itertools.count(1) if x < 0.5 else range(3):
    print(f"val_acc {x}", flush=True)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_pruner_ends_a_script_that_prints_no_json(tmp_path, make_home, workers):
    (tmp_path / "train.py").write_text(TELLING)
    (tmp_path / "told.yaml").write_text(
        f"command: {sys.executable} train.py {{x}}\n"
        "objective: {metric: val_acc, direction: maximize}\n"
        r"metrics: {val_acc: 'val_acc (\S+)'}" "\n"
        "parameters: {x: {type: float, low: 0, high: 1}}\n"
        "baselines: {good: {x: 0.75}, bad: {x: 0.25}}\n"
        "defaults: {trials: 2, sampler: random, ask_ahead: 1,\n"
        "  pruner: {name: median, options: {n_startup_trials: 1, n_warmup_steps: 1}}}\n"
    )  # fmt: skip
    sweep = sweeps.run(
        str(tmp_path / "told.yaml"), home=make_home(), workers=workers, progress="quiet"
    )
    good, bad = sweep.rows()
    assert (good.state, bad.state) == ("COMPLETE", "PRUNED")
    assert sweep.trial(1).files["output/told"] == b"SIGTERM"
    assert set(sweep.trial(1).record.result.history["val_acc"]) == {0.25}


FAILING_ONCE = """
import os, sys
seed, attempt, x = sys.argv[1:]
print("seed", seed, os.environ["RATE"], sys.argv[3])
sys.exit("not yet") if attempt == "1" else print("val_acc", x)
"""


def test_an_attempt_that_is_tried_again_has_the_same_seed(tmp_path, make_home):
    (tmp_path / "train.py").write_text(FAILING_ONCE)
    (tmp_path / "again.yaml").write_text(
        f"command: env RATE={{x}} {sys.executable} train.py {{seed}} {{attempt}} {{x}}\n"
        "objective: {metric: val_acc, direction: maximize}\n"
        r"metrics: {val_acc: 'val_acc (\S+)'}" "\n"
        "parameters: {x: {type: float, low: 0, high: 1}}\n"
        "defaults: {trials: 2, sampler: random, pruner: none}\n"
    )  # fmt: skip
    sweep = sweeps.run(str(tmp_path / "again.yaml"), home=make_home(), workers=0, progress="quiet")
    store = sweep.home.store(sweep.info.id)
    printed = {
        record.key: store.files(record)["stdout.txt"].split()[1:4] for record in store.read_all()
    }
    assert list(printed) == ["0000-1", "0000-2", "0001-1", "0001-2"]
    assert printed["0000-1"] == printed["0000-2"] != printed["0001-1"]
    assert all(rate == x for _, rate, x in printed.values())  # by an environment variable, too


@pytest.mark.parametrize(
    ("sent", "state", "reason", "attempts"),
    [("TERM", "COMPLETE", "finished", 4), ("SEGV", "FAILED", "error", 2)],
)
def test_a_kill_of_a_script_from_outside_uses_up_no_retry(
    tmp_path, make_home, sent, state, reason, attempts
):
    (tmp_path / "train.sh").write_text(f'[ $1 -gt 3 ] || kill -{sent} $$; echo "val_acc $2"')
    (tmp_path / "hit.yaml").write_text(
        "command: sh train.sh {attempt} {x}\n"
        "objective: {metric: val_acc, direction: maximize}\n"
        r"metrics: {val_acc: 'val_acc (\S+)'}" "\n"
        "parameters: {x: {type: float, low: 0, high: 1}}\n"
        "defaults: {trials: 1, sampler: random, pruner: none}\n"
    )  # fmt: skip
    sweep = sweeps.run(str(tmp_path / "hit.yaml"), home=make_home(), workers=0, progress="quiet")
    (row,) = sweep.rows()
    assert (row.state, row.reason, row.attempts) == (state, reason, attempts)
