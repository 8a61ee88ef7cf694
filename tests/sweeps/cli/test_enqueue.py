"""Enqueued points.

Queued before, while and after a sweep runs; the table depends on their trials only.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.analysis.data import SweepData
from sweeps.cli import app
from sweeps.home import Home
from sweeps.render.sections.reproduce import rerun_commands
from tests.sweeps import journals
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

POINT = ("x=0.25", "layers=0", "kind=b")


@pytest.fixture
def attempt(make_home):
    def attempt(*words, home="home"):
        return CliRunner().invoke(app, ["enqueue", *words, "--home", str(make_home(home))])

    return attempt


def origins(sweep):
    return [row.origin for row in sweep.rows()]


@pytest.mark.slow
def test_the_commands_that_reproduce_a_sweep_enqueue_its_points(
    run_toy, attempt, make_home, tmp_path, monkeypatch
):
    run_toy(trials=2, workers=0)
    assert attempt("toy", *POINT).exit_code == 0
    assert attempt("toy", "x=-1.0e-05", "layers=1", "kind=c", "y_1=0.5").exit_code == 0
    run_toy(trials=5, workers=0)
    assert attempt("toy", "x=0.75", "layers=0", "kind=a").exit_code == 0
    sweep = run_toy(trials=7, workers=0)
    data = SweepData.read(sweep.info, sweep.home.store(sweep.info.id))
    commands = rerun_commands(data)
    assert [command.split()[1] for command in commands] == [
        *("run", "enqueue", "enqueue", "run", "enqueue", "run")
    ]
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    Path("space.json").write_text(json.dumps(dict(sweep.info.space)))
    for command in commands:
        words = [*shlex.split(command)[1:], "--home", str(make_home("other"))]
        done = CliRunner().invoke(app, [*words, *(["--workers", "0"] if "run" in words else [])])
        assert done.exit_code == 0, done.output
    assert table(sweeps.load("toy", make_home("other"))) == table(sweep)


@pytest.mark.slow
def test_a_enqueued_point_takes_the_next_trial_and_adds_one_where_none_is_left(
    run_toy, finished_toy, attempt, make_home
):
    before = table(finished_toy(trials=4))
    result = attempt("toy", *POINT)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "queued: x=0.25 layers=0 kind=b\n"
        "sweep 'toy' is not running: the next `sweeps run` tries what is queued\n"
    )
    sweep = run_toy(trials=4, workers=0)
    rows = sweep.rows()
    assert table(sweep)[:4] == before
    assert (len(rows), rows[4].origin) == (5, "enqueued")
    assert dict(rows[4].params) == {"x": 0.25, "layers": 0, "kind": "b"}
    assert len(run_toy(trials=4, workers=0).rows()) == 5
    assert_sound(make_home(), table(sweep))

    assert len(run_toy(trials=6, workers=0).rows()) == 6, "an enqueued point counts as one of them"
    assert attempt("toy", *POINT).stdout.startswith("is trial 4 already: x=0.25")


def test_queued_twice_it_is_tried_once_and_the_baseline_still_is(run_toy, finished_toy, attempt):
    finished_toy(trials=1)
    attempt("toy", *POINT)
    assert attempt("toy", *POINT).stdout.startswith("queued already, as point 1: x=0.25")
    sweep = run_toy(trials=3, workers=0)
    assert origins(sweep) == ["baseline first", "enqueued", "sampled"]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("qmc", marks=pytest.mark.nightly)])
def test_with_the_same_enqueued_points_in_the_same_trials_the_table_is_the_same(
    run_toy, finished_toy, attempt, make_home, sampler
):
    finished_toy(trials=3, sampler=sampler)
    attempt("toy", *POINT)
    expected = table(run_toy(trials=8, workers=2, sampler=sampler))
    assert expected[3][3] == "enqueued"

    info = sweeps.load("toy", make_home()).info
    again = run_toy("again", trials=3, workers=0, sampler=sampler).info
    there = Home(make_home("again")).store(again.id)
    there.append(*Home(make_home()).store(info.id).state().points.values())
    assert table(run_toy("again", trials=8, workers=0, sampler=sampler)) == expected


@pytest.mark.slow
def test_a_journal_that_lost_its_end_gives_the_enqueued_point_its_trial_again(
    run_toy, finished_toy, attempt, make_home
):
    finished_toy(trials=2)
    attempt("toy", *POINT)
    expected = table(run_toy(trials=4, workers=0))
    store = sweeps.load("toy", make_home()).home.store(sweeps.load("toy", make_home()).info.id)
    journals.forget(store, "0002-1", "0003-1", asked=True)
    again = table(run_toy(trials=4, workers=0))
    assert [row[:5] for row in again] == [row[:5] for row in expected]


@pytest.mark.slow
def test_it_is_tried_while_the_sweep_runs(make_home, migrated_database, tmp_path, attempt):
    space = tmp_path / "toy.yaml"
    space.write_text(TOY)
    shutil.copy(migrated_database, make_home() / "mlflow.db")
    # The first trial takes no time, the others wait for an enqueued point: some are left when it
    # comes.
    words = ["run", str(space), "--trials", "12", "--workers", "2", "--set", "mode=quick_first"]
    running = Launched([*words, "--set", "longest_seconds=2", "--home", str(make_home()), "-v"])
    running.until_said("trial 0")
    result = attempt("toy", *POINT)
    assert (result.exit_code, result.stdout) == (0, "queued: x=0.25 layers=0 kind=b\n")
    assert running.wait() == 0, running.stderr()
    rows = sweeps.load("toy", make_home()).rows()
    assert len(rows) == 12, "it counts as one of them"
    (tried,) = [row for row in rows if row.origin == "enqueued"]
    assert dict(tried.params) == {"x": 0.25, "layers": 0, "kind": "b"}
    assert (tried.state, tried.trial > 0) == ("COMPLETE", True)
    assert_sound(make_home(), table(sweeps.load("toy", make_home())))


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        "journal.done:5",
        *(
            pytest.param(f"journal.{step}:{number}", marks=pytest.mark.nightly)
            for number in (4, 5, 6)
            for step in ("begun", "written")
        ),
    ],
)
def test_killed_while_it_takes_its_trial_it_is_tried_once(
    make_home, migrated_database, tmp_path, finished_toy, attempt, point
):
    space = tmp_path / "toy.yaml"
    space.write_text(TOY)
    finished_toy(trials=1)
    attempt("toy", *POINT)
    words = ["run", str(space), "--trials", "3", "--workers", "0", "--home", str(make_home())]
    killed = Launched(words, {"SWEEPS_FAILPOINT": point})
    assert killed.wait() == -signal.SIGKILL
    assert Launched(words).wait() == 0
    assert origins(sweeps.load("toy", make_home())) == ["baseline first", "enqueued", "sampled"]


@pytest.mark.slow
def test_the_best_of_another_sweep_come_first(run_toy, attempt):
    best = sorted(run_toy(trials=6, workers=0, name="source").rows(), key=lambda r: -r.objective)
    here = [row for row in best[:4] if 0.6 <= row.params["x"] <= 0.9]
    assert len(here) == 2
    options = {"name": "other", "overrides": ("x=0.6..0.9",), "seed": 3, "workers": 0}
    run_toy(trials=1, **options)
    result = attempt("other", "--from", "source", "--top", "4")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("trial")] == [
        f"trial {row.trial} of 'source' does not lie in the space: "
        f"x: received {row.params['x']}, outside 0.6..0.9"
        for row in best[:4]
        if row not in here
    ]
    assert [line for line in lines if line.startswith("queued")] == [
        "queued: " + " ".join(f"{name}={value}" for name, value in row.params.items())
        for row in here
    ]
    rows = run_toy(trials=4, **options).rows()
    tried = [f"enqueued, source trial {row.trial}" for row in here]
    assert [row.origin for row in rows] == ["sampled", *tried, "sampled"]
    assert [row.params for row in rows[1:3]] == [row.params for row in here]


def test_what_is_not_given_can_be_taken_from_a_trial(finished_toy, attempt, make_home):
    best = finished_toy(trials=4).best()
    result = attempt("toy", "x=0.125", "--like", "best")
    assert result.exit_code == 0, result.output
    (point,) = Home(make_home()).store(best.sweep.info.id).state().points.values()
    assert point.params == {**best.params, "x": 0.125}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give a point (name=value ...), --from SWEEP or --more-epochs N, one of them"),
        ((*POINT, "--from", "toy"), "one of them"),
        (("x=0.25",), "layers: is missing"),
        (("x=7", "layers=0", "kind=b"), "x: "),
        ((*POINT, "y_1=0.5"), "y_1 is no parameter here; active are x, layers, kind"),
        (("x=0.25", "layers=0", "kind=c"), "kind 'c' needs at least one layer"),
        (("x=0.25", "layers=0", "kind=d"), "kind"),
        (("x=0.1", "--like", "worst"), "write the number of a trial, or best"),
        (("x", "layers=0", "kind=b"), "write it as name=value"),
    ],
)
def test_a_point_that_does_not_lie_in_the_space_is_refused(
    finished_toy, attempt, make_home, words, said
):
    sweep = finished_toy(trials=2)
    result = attempt("toy", *words)
    assert result.exit_code == 2
    assert said in result.stderr, result.stderr
    assert not Home(make_home()).store(sweep.info.id).state().points


def test_a_enqueued_point_that_an_extension_leaves_outside_waits_and_holds_nothing_up(
    run_toy, finished_toy, attempt, make_home
):
    finished_toy(trials=2)
    attempt("toy", *POINT)
    sweep = run_toy(trials=4, workers=0, extend=True, overrides=("x=-1..0.2",))
    assert "enqueued" not in origins(sweep)
    state = Home(make_home()).store(sweep.info.id).state()
    assert (len(state.points), state.tried) == (1, {})
    wider = run_toy(trials=5, workers=0, extend=True, overrides=("x=-1..0.9",))
    assert origins(wider)[4:] == ["enqueued"]
