"""What has been found, read as an analyst reads it: one trial, tables, pandas, comparison."""

from __future__ import annotations

import json
import math
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app, results
from sweeps.errors import UsageError


def test_one_trial_is_shown_whole_with_its_error(finished_toy, call):
    finished_toy(trials=2, overrides=("mode=raise",))
    result = call("trials", "toy", 1)
    assert result.exit_code == 0
    assert "FAILED, error" in result.stdout
    assert "RuntimeError: told to raise" in result.stdout
    assert "toy_experiment.py" in result.stdout, "the end of the traceback"
    assert "RuntimeError: told to raise" in call("trials", "toy").stdout.replace("\n", " ")
    refused = call("trials", "toy", 7)
    assert (refused.exit_code, "has no trial 7" in refused.stderr) == (2, True)


def test_the_end_of_a_run_says_how_to_see_the_whole_error(call):
    result = call("run", "TOY", "--trials", 1, "--set", "mode=raise", "--workers", 0)
    assert result.exit_code == 1
    assert "failed: the only trial failed (error 1), the first with: RuntimeError" in result.stderr
    advice = result.stdout[result.stdout.index("\n  sweeps ") :].splitlines()[1:]
    assert advice[0].startswith("  sweeps trials toy 0 --home ")  # its hint where there is room
    assert advice[1].startswith("  sweeps retry toy --home ")


def test_tables_agree_whatever_their_format(finished_toy, call, tmp_path):
    sweep = finished_toy(trials=6)
    call("trials", "toy", "--csv", tmp_path / "toy.csv")
    call("trials", "toy", "--parquet", tmp_path / "toy.parquet")
    frame = sweep.trials()
    assert pd.read_parquet(tmp_path / "toy.parquet").equals(frame)
    csv = pd.read_csv(tmp_path / "toy.csv")
    assert list(csv) == list(frame)
    assert csv["score"].tolist() == frame["score"].tolist()
    rows = json.loads(call("trials", "toy", "--json").stdout)
    assert [row["objective"] for row in rows] == frame["score"].tolist()
    refused = call("trials", "toy", "--parquet", tmp_path / "no" / "x.parquet")
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True)


def test_of_a_long_sweep_the_newest_trials_are_shown_and_how_to_have_all(
    finished_toy, call, tmp_path, monkeypatch
):
    finished_toy(trials=6)
    row = re.compile(r"^\W*(\d) +[A-Z]+", re.MULTILINE)
    whole = call("trials", "toy").stdout
    assert (row.findall(whole), "not shown" in whole) == (list("012345"), False)
    monkeypatch.setattr(results, "MOST_SHOWN", 2)
    shown = call("trials", "toy").stdout
    assert row.findall(shown) == ["4", "5"]
    assert "4 earlier trials are not shown; all of them: sweeps trials toy --csv FILE" in shown
    call("trials", "toy", "--csv", tmp_path / "toy.csv")
    assert len(pd.read_csv(tmp_path / "toy.csv")) == 6
    assert len(json.loads(call("trials", "toy", "--json").stdout)) == 6


@pytest.mark.slow
def test_history_is_one_row_an_epoch_and_metric(finished_toy, make_home):
    sweep = finished_toy(trials=3)
    history = sweeps.history("toy", make_home())
    assert list(history) == ["trial", "epoch", "metric", "value"]
    assert set(history["trial"]) == {0, 1, 2}
    assert history["epoch"].min() == 1
    record = sweep.trial(1).record
    for metric, values in record.result.history.items():
        chosen = history[(history["trial"] == 1) & (history["metric"] == metric)]
        assert chosen["value"].tolist() == values


def test_confusion_of_what_does_not_classify_is_refused(finished_toy, make_home):
    finished_toy(trials=1)
    with pytest.raises(UsageError, match="does not classify"):
        sweeps.confusion("toy", 0, make_home())


def test_a_plan_knows_the_trials_measured_so_far_and_what_fits_into_a_timeout(finished_toy, call):
    pause = "longest_seconds=0.02"  # else a trial may end within the millisecond in which it began
    finished_toy(trials=4, overrides=[pause])
    words = "plan", "TOY", "--set", pause, "--trials", 1000, "--workers", 2
    plan = json.loads(call(*words, "--timeout", "0.01s", "--json").stdout)
    one = plan["measured_seconds"]
    assert plan["estimated_seconds"] == pytest.approx(996 * one / 2)
    assert plan["in_time"] == min(2 * math.ceil(0.01 / one), 996)
    assert "as its trials took so far." in call(*words).stdout
    in_time = call(*words, "--timeout", 0.0001).stdout
    assert in_time.endswith("of --timeout about 2 of them begin.\nNothing was created.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((8, "--ask-ahead", 8), "ends nothing: trial n is judged by trials 0 to n - 8 "),
        ((10, "--ask-ahead", 8), "the first 8 of 10 by none, the last by 2; a smaller"),
        ((10, "--ask-ahead", 1), "the first 1 of 10 by none, the last by 9\n"),
    ],
)
def test_a_plan_says_what_a_pruner_sees(call, words, said):
    planned = call("plan", "TOY", "--pruner", "asha", "--trials", *words).stdout
    assert said in planned
    assert "judge" not in call("plan", "TOY", "--trials", *words).stdout


def test_a_plan_says_how_many_samples_there_are_and_how_many_epochs_a_trial_trains(call):
    planned = call("plan", "TOY")
    assert "  samples     4 to train on\n" in planned.stdout
    assert "  epochs      at most 3 a trial\n" in planned.stdout, "the default"
    fixed = call("plan", "TOY", "--set", "epochs=7", "--json")
    assert {one["epochs"] for one in json.loads(fixed.stdout)["planned"]} == {7}


@pytest.mark.slow
def test_what_exists_is_planned_as_it_would_go_on(run_toy, finished_toy, call, make_home):
    finished_toy(trials=4)
    planned = call("plan", "TOY", "--trials", 9)
    assert "4 of 9 trials are done" in planned.stdout
    assert "Next trials" in planned.stdout
    assert "the 5 trials that are left" in planned.stdout
    assert "Nothing is left to run" in call("plan", "TOY", "--trials", 4).stdout
    proposed = json.loads(call("plan", "TOY", "--trials", 9, "--json").stdout)["planned"]
    run_toy(trials=9, workers=0)
    rows = sweeps.load("toy", make_home()).rows()
    for row, trial in zip(rows[4:], proposed, strict=False):
        assert dict(row.params) == trial["params"]
    refused = call("plan", "TOY", "--set", "x=0.1..0.2")
    assert (refused.exit_code, "exists with other options" in refused.stderr) == (2, True)


def test_an_archived_sweep_is_marked_as_one(finished_toy, call):
    finished_toy(trials=1)
    call("archive", "toy")
    (row,) = json.loads(call("list", "--all", "--json").stdout)
    assert row["state"] == "ARCHIVED"


@pytest.mark.parametrize("command", ["doctor", "sync"])
def test_a_home_that_is_not_there_is_no_home_in_order(tmp_path, command):
    result = CliRunner().invoke(app, [command, "--home", str(tmp_path / "nowhere")])
    assert (result.exit_code, "there is no such folder" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [("seven", "x"), ("1", "two", "words")])
def test_a_note_that_might_overwrite_another_one_is_refused(finished_toy, call, words):
    finished_toy(trials=2)
    call("note", "toy", "of the sweep")
    result = call("note", "toy", *words)
    assert (result.exit_code, "nothing was noted" in result.stderr) == (2, True)
    assert call("note", "toy").stdout == "of the sweep\n"


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_a_refused_import_creates_nothing(tmp_path, content):
    file, home = tmp_path / "x.sweep", tmp_path / "home"
    file.write_bytes(content)
    result = CliRunner().invoke(app, ["import", str(file), "--home", str(home)])
    assert result.exit_code == 2
    assert not home.exists()


def test_trials_are_compared_by_what_differs(finished_toy, call, tmp_path):
    sweep = finished_toy(trials=6)
    result = call("compare", "toy:0", "toy")
    assert result.exit_code == 0, result.stderr
    assert "Parameters that differ" in result.stdout
    best = sweep.best()
    assert f"toy:{best.number}" in result.stdout
    labels = [
        row["label"] for row in json.loads(call("compare", "toy:0", "toy:1", "--json").stdout)
    ]
    assert labels == ["toy:0", "toy:1"]
    page = tmp_path / "compared.html"
    assert call("compare", "toy:0", "toy:1", "-o", page).stdout == f"{page}\n"
    assert "toy:0 against toy:1" in page.read_text()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["toy"], "give 2 to 5"),
        (["toy"] * 6, "give 2 to 5"),
        (["toy", "toy:x"], "write NAME, or NAME:7"),
        (["toy", "toy:99"], "has no trial 99"),
        (["toy", "tyo"], "did you mean 'toy'"),
    ],
)
def test_what_cannot_be_compared_is_said(finished_toy, call, names, said):
    finished_toy(trials=2)
    result = call("compare", *names)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_trials_of_two_objectives_have_a_column_for_each(finished_toy, call, run_toy, toy_space):
    """A cross-entropy stood over an accuracy in one column without a name."""
    (score,) = {row.objective for row in finished_toy(trials=2).rows() if row.trial == 0}
    text = toy_space.read_text().replace("metric: score", "metric: loss")
    toy_space.write_text(text.replace("direction: maximize", "direction: minimize"))
    run_toy(name="other", trials=2)
    result = call("compare", "toy:0", "other:0")
    assert result.exit_code == 0, result.stderr
    header, _, *rows = result.stdout.splitlines()[1:5]
    assert header.split()[:3] == ["score", "loss", "ended"]
    values = [f"{score:.4f}", f"{-score:.4f}"]
    assert [row.split()[1:3] for row in rows] == [values, values]
