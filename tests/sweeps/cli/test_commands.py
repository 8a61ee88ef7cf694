"""The commands as a user types them, in this process: fast, and counted by coverage."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.render.markdown import escape


@pytest.fixture
def call(make_home, toy_space, monkeypatch):
    home = make_home()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words):
        line = [str(toy_space) if word == "TOY" else str(word) for word in words]
        return CliRunner().invoke(app, [*line, "--home", str(home)])

    call.home = home
    return call


def test_a_run_ends_with_the_best_against_the_baseline_and_three_commands(call):
    result = call("run", "TOY", "--trials", 6)
    assert result.exit_code == 0, result.output
    assert "6 of 6 trials: 6 COMPLETE" in result.output
    assert "best observed, not confirmed: score" in result.output
    assert "baseline first" in result.output
    assert len(result.stdout.splitlines()) <= 7
    assert "Time of the workers" not in result.output
    for command in ("sweeps ui", "sweeps trials toy", "sweeps run"):
        assert f"  {command}" in result.stdout


def test_a_point_enqueued_after_the_end_counts_from_the_first_line_on(call):
    assert call("run", "TOY", "--trials", 3).exit_code == 0
    assert call("enqueue", "toy", "x=0.25", "layers=0", "kind=b").exit_code == 0
    result = call("run", "TOY", "--trials", 3, "--verbose")
    assert result.exit_code == 0, result.output
    assert "sweep toy: 3 of 4 trials done" in result.stderr
    assert "[4/4] trial 3 " in result.stderr
    assert "4 of 4 trials: 4 COMPLETE" in result.stderr


def test_a_run_names_its_log_which_has_every_trial_and_goes_with_the_sweep(call):
    result = call("run", "TOY", "--trials", 3)
    (line,) = [one for one in result.stderr.splitlines() if one.startswith("full output: ")]
    log = Path(line.removeprefix("full output: "))
    assert log.read_text().count(" COMPLETE score ") == 3
    before = log.read_text()
    assert call("run", "TOY", "--trials", 4, "--quiet").output == ""
    assert log.read_text().startswith(before)
    assert log.read_text().count(" COMPLETE score ") == 4
    assert call("doctor").exit_code == 0
    assert call("gc").exit_code == 0
    assert log.exists()
    assert call("delete", "toy", "--yes").exit_code == 0
    assert not log.parent.exists()


def test_json_lines_tell_the_whole_run(call):
    result = call("run", "TOY", "--trials", 3, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [e["event"] for e in events].count("trial_finished") == 3
    assert events[-1]["event"] == "finished"
    assert events[-1]["summary"]["counts"]["COMPLETE"] == 3


@pytest.mark.slow
def test_quiet_says_failures_only(call):
    assert call("run", "TOY", "--trials", 2, "--quiet").output == ""
    failing = ("run", "TOY", "--trials", 2, "--quiet", "--name", "failing", "--set", "mode=raise")
    result = call(*failing)
    assert result.stdout == ""
    assert "RuntimeError: told to raise" in result.stderr


@pytest.mark.parametrize(
    ("bound", "code"), [("0.9", 0), ("1.5", 1)], ids=["good enough", "too low"]
)
def test_ci_mode_writes_a_summary_and_fails_loudly(call, tmp_path, monkeypatch, bound, code):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = call("run", "TOY", "--trials", 2, "--strict", "--fail-under", bound)
    assert result.exit_code == code
    best = json.loads(call("best", "toy", "--json").output)["best"]
    score = f"{best['objective']:.4f}"
    assert best["origin"] == "baseline first"
    why = f"the bound {bound} (--fail-under; higher is better)"
    failed = f"failed: best score {score} is below {why}"
    passed = f"passed: no trial failed (--strict); best score {score} is not below {why}"
    assert (failed in result.stderr.splitlines()) == bool(code)
    assert (passed in " ".join(result.stdout.split())) == (not code)
    written = summary.read_text().splitlines()
    assert written[0] == "### Sweep toy"
    first, why = (failed if code else passed).split(": ", 1)
    assert written[2] == f"**{first}: {escape(why)}**"
    assert written[4].startswith("2 of 2 trials: 2 COMPLETE (last start: ")
    assert written[6].startswith(f"**best observed, not confirmed: score {score} (trial 0)")
    assert "| trial | origin | score | best leads by | epochs | seconds |" in written
    (row,) = [line for line in written if line.startswith("| 0 |")]
    assert row.startswith(f"| 0 | baseline first, best observed | {score} |  | 3 |")
    for name, value in best["params"].items():
        assert f"| {name} | {value} |" in written


def test_strict_fails_when_a_trial_failed(call, tmp_path):
    once = ("--set", "mode=sigsegv", "--set", f"signal_file={tmp_path / 'flag'}")
    line = ("run", "TOY", "--trials", 2, "--workers", 1, "--retries", "crash=0", *once)
    result = call(*line, "--strict")
    assert result.exit_code == 1
    assert "1 of 2 trials failed (--strict)" in result.stderr
    assert call(*line).exit_code == 0


def test_a_run_whose_trials_all_failed_fails_with_their_error(call):
    result = call("run", "TOY", "--trials", 2, "--set", "mode=raise")
    assert result.exit_code == 1
    assert "all 2 trials failed" in result.stderr
    assert "RuntimeError: told to raise" in result.output


def test_an_interrupted_run_exits_130_and_the_same_command_goes_on(call, tmp_path):
    line = ("run", "TOY", "--trials", 3, "--workers", 0, "--set", "mode=sigint")
    line += ("--set", f"signal_file={tmp_path / 'flag'}")
    assert call(*line).exit_code == 130
    second = call(*line)
    assert second.exit_code == 0
    assert "3 of 3 trials: 3 COMPLETE" in second.output


@pytest.mark.slow
def test_results_are_listed_shown_and_exported(call, tmp_path):
    call("run", "TOY", "--trials", 4)
    assert "4/4" in call("list").output
    assert json.loads(call("list", "--json").output)[0]["name"] == "toy"
    assert "best observed, not confirmed" in call("best", "toy").output
    best = json.loads(call("best", "toy", "--json").output)["best"]
    table = call("trials", "toy")
    assert table.exit_code == 0
    assert table.output.count("COMPLETE") == 4
    assert "* best observed, not confirmed" in table.output
    rows = json.loads(call("trials", "toy", "--json").output)
    assert best == max(rows, key=lambda row: row["objective"])
    file = tmp_path / "toy.csv"
    call("trials", "toy", "--csv", file)
    assert file.read_text() == call("trials", "toy", "--csv", "-").output
    assert len(file.read_text().splitlines()) == 5


def test_the_name_of_a_sweep_in_place_of_its_space_is_answered_with_what_to_type(call, toy_space):
    call("run", "TOY", "--trials", 1, "--name", "second")
    refused = call("run", "second")
    assert refused.exit_code == 2
    assert "unknown space 'second'" in refused.stderr
    said = f"'second' is a sweep here, and {toy_space} its space; to go on with it: "
    assert f"{said}sweeps run {toy_space} --name second" in refused.stderr
    assert "is a sweep here" not in call("run", "third").stderr


def test_an_empty_home_says_how_to_begin(call):
    assert "no sweeps in" in call("list").output
    assert "sweeps run smoke" in call("list").output


@pytest.mark.parametrize("command", ["best", "trials"])
def test_an_unknown_sweep_is_exit_2(call, command):
    call("run", "TOY", "--trials", 1)
    result = call(command, "tyo")
    assert result.exit_code == 2
    assert "no sweep 'tyo'" in result.stderr
    assert "did you mean 'toy'?" in result.stderr


def test_a_plan_shows_what_would_run_and_creates_nothing(call):
    before = sorted(call.home.iterdir())
    result = call("plan", "TOY")
    assert result.exit_code == 0, result.output
    assert "baseline first" in result.output
    assert result.output.count("sampled") == 5
    assert "Nothing was created" in result.output
    assert sorted(call.home.iterdir()) == before


PLANNING = """
import sys
from sweeps.cli import main
try:
    main()
finally:
    print("imported:", *[name for name in {heavy!r} if name in sys.modules])
"""
HEAVY = ("sqlalchemy", "mlflow", "pandas", "scipy", "sklearn", "tensorflow", "keras", "matplotlib")


def test_a_plan_imports_neither_a_database_nor_what_trains(toy_space, make_home):
    # They would take most of its time.
    words = ["plan", str(toy_space), "--home", str(make_home())]
    code = PLANNING.format(heavy=HEAVY)
    ran = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert ran.stdout.count("sampled") == 5
    assert ran.stdout.splitlines()[-1] == "imported:"


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (0, "none: one trial at once, in the calling process"),
        (3, "3, 3 at once"),
        (6, "6, 4 at once (2 idle: more than 4 need --ask-ahead 6)"),
    ],
)
def test_a_plan_says_how_many_trials_are_trained_at_once(call, workers, expected):
    result = call("plan", "TOY", "--workers", workers)
    assert f"workers     {expected}\n" in result.output


def test_a_plan_says_which_gpus_each_worker_sees(call, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    dealt = call("plan", "TOY", "--workers", 3)
    assert "gpus        of each worker: 5; 7; 5\n" in dealt.output
    assert "gpus" not in call("plan", "TOY", "--workers", 1).output


@pytest.mark.slow
def test_a_run_says_which_workers_will_never_have_work(call):
    result = call("run", "TOY", "--trials", 1, "--workers", 2, "--ask-ahead", 1)
    assert "workers: 2, 1 at once (1 idle: more than 1 need --ask-ahead 2)" in result.stderr


def test_plan_and_run_say_which_sampler_auto_chose(call):
    chosen = "gp (auto: 2 trials of 5 parameters)"
    options = ("--sampler", "auto", "--trials", 2)
    assert f"sampler     {chosen}, pruner none" in call("plan", "TOY", *options).output
    plan = json.loads(call("plan", "TOY", *options, "--json").output)
    assert plan["sampler"] == {"name": "gp", "options": {}}
    assert f"sampler: {chosen}" in call("run", "TOY", *options, "--workers", 0).stderr


def test_the_plan_is_what_the_sweep_does(call):
    plan = json.loads(call("plan", "TOY", "--trials", 4, "--json").output)
    call("run", "TOY", "--trials", 4)
    rows = json.loads(call("trials", "toy", "--json").output)
    assert [p["params"] for p in plan["planned"]] == [row["params"] for row in rows]


def test_a_baseline_that_set_shuts_out_is_left_out_and_named(call):
    result = call("plan", "TOY", "--set", "x=-1..0")
    assert "left out" in result.output
    run = call("run", "TOY", "--trials", 1, "--set", "x=-1..0")
    assert "baseline 'first' lies outside what --set allows" in run.stderr


def test_the_version_is_that_of_the_distribution():
    project = Path(__file__).parents[3] / "pyproject.toml"
    result = CliRunner().invoke(app, ["--version"])
    version = tomllib.loads(project.read_text("utf-8"))["project"]["version"]
    assert (result.exit_code, result.output) == (0, f"{version}\n")


@pytest.mark.parametrize(
    ("words", "expected"), [("sweeps run smo", "smoke"), ("sweeps best to", "toy")]
)
def test_tab_completes_spaces_and_sweeps(call, monkeypatch, words, expected):
    call("run", "TOY", "--trials", 1)
    monkeypatch.setenv("SWEEPS_HOME", str(call.home))
    environment = {
        "_SWEEPS_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": "2",
    }
    result = CliRunner().invoke(app, [], prog_name="sweeps", env=environment)
    assert result.stdout.strip() == expected


@pytest.mark.parametrize("text", ["", "soon", "3x", "m", "1m1h", "1.2.3", "-3"])
def test_what_is_no_duration_is_refused_with_an_example(call, text):
    refused = call("run", "TOY", f"--timeout={text}")
    assert refused.exit_code == 2
    assert "1h30m" in refused.output
    assert "Traceback" not in refused.output
