"""`--learn-from`: points that were good on other data are tried first, and kept with the sweep."""

from __future__ import annotations

import json
import signal

import msgspec
import pytest

import sweeps
from search_spaces.loading import parse
from sweeps.errors import UsageError
from sweeps.journal.events import Learned, LearnedPoint
from sweeps.manage.doctor import examine_sweep
from sweeps.records import RecordError
from sweeps.workspace.failpoints import VARIABLE
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import problems

POINTS = """
learned_from: [{name: letters, trials: 100}]
points:
  - {source: letters, params: {x: 0.25, layers: 1, kind: b, y_1: 0.5}}
  - {source: far away, params: {x: 7, layers: 0, kind: a}}
  - {source: too large, params: {x: 0, layers: 0, kind: c}}
  - {params: {x: -0.75, layers: 0, kind: b}}
"""
"""The second point lies outside of the space, the third breaks a check of the experiment."""


@pytest.fixture
def portfolio(tmp_path):
    file = tmp_path / "portfolio.yaml"
    file.write_text(POINTS)
    return str(file)


def origins(sweep):
    return [row.origin for row in sweep.rows()]


def stored(sweep):
    return sweep.home.store(sweep.info.id).state().learned


def test_points_of_a_file_are_tried_after_the_baselines(run_toy, portfolio):
    sweep = run_toy(learn_from=portfolio, trials=5)
    assert origins(sweep) == [
        "baseline first", "learned from letters", "learned from elsewhere", "sampled", "sampled",
    ]  # fmt: skip
    assert [row.params["x"] for row in sweep.rows()][1:3] == [0.25, -0.75]
    assert [line.partition(":")[0] for line in stored(sweep).left_out] == [
        "point 2 (far away)", "point 3 (too large)",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["home", pytest.param("source", marks=pytest.mark.slow)])
def test_good_points_of_sweeps_on_other_data_are_tried_first(run_toy, asked):
    source = run_toy(name="source", data="other", trials=12, sampler="random")
    sweep = run_toy(name="next", learn_from=asked, trials=8)
    best = sorted(source.rows()[1:], key=lambda row: -row.objective)[:5]  # 0 is the baseline
    assert origins(sweep)[1:6] == [f"learned from source trial {row.trial}" for row in best]
    assert [row.params for row in sweep.rows()[1:6]] == [row.params for row in best]
    assert stored(sweep).asked == asked
    assert [(one.name, one.trials) for one in stored(sweep).learned_from] == [("source", 12)]


def test_sweeps_on_the_same_data_teach_nothing(run_toy):
    run_toy(name="twin", trials=8)
    sweep = run_toy(name="next", learn_from="home", trials=2)
    assert origins(sweep) == ["baseline first", "sampled"]
    assert stored(sweep).points == ()
    assert stored(sweep).left_out == ("twin is on the data of this sweep",)
    with pytest.raises(UsageError, match="twin is on the data of this sweep"):
        run_toy(name="third", learn_from="twin")


@pytest.mark.slow
def test_a_sweep_that_goes_on_depends_on_no_other(run_toy, call):
    run_toy(name="source", data="other", trials=8)
    begun = run_toy(name="next", learn_from="home", trials=3)
    before = stored(begun)
    assert call("delete", "source", "--yes").exit_code == 0
    run_toy(name="later", data="other", trials=12, seed=5)  # would teach something else
    for words in ({}, {"learn_from": "home"}):  # with the option, or without
        ended = run_toy(name="next", trials=8, **words)
        assert stored(ended) == before
    at_once = run_toy("undisturbed", name="source", data="other", trials=8)
    at_once = run_toy("undisturbed", name="next", learn_from="home", trials=8)
    assert table(ended) == table(at_once)


def test_extending_keeps_what_was_learned(run_toy, portfolio):
    run_toy(learn_from=portfolio, trials=2)
    sweep = run_toy(trials=4, sampler="random", extend=True)
    assert origins(sweep)[1:3] == ["learned from letters", "learned from elsewhere"]
    assert sweep.info.generation == 2
    assert sweep.info.learned_from == portfolio


def test_a_sweep_cannot_learn_something_else_later(run_toy, portfolio):
    run_toy(trials=2)
    with pytest.raises(UsageError, match=r"learn_from: nothing there, other points \(.*\) asked"):
        run_toy(trials=4, learn_from=portfolio)
    run_toy(name="taught", trials=2, learn_from=portfolio)
    run_toy(name="source", data="other", trials=8)
    with pytest.raises(UsageError, match=r"learn_from: points of .*portfolio.yaml there"):
        run_toy(name="taught", trials=4, learn_from="source")


@pytest.mark.filterwarnings("ignore::sweeps.records.DamagedRecordWarning")  # said first
@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_a_sweep_that_lost_its_points_does_not_go_on(run_toy, portfolio, damage):
    sweep = run_toy(learn_from=portfolio, trials=2)
    store = sweep.home.store(sweep.info.id)
    if damage == "lost":
        path = store.journal.path
        path.write_bytes(path.read_bytes().replace(b"learned 1", b"learner 1"))
    else:
        store.append(Learned(points=(LearnedPoint({"x": 0.5, "layers": 0, "kind": "b"}),)))
    why = "lost" if damage == "lost" else "not its own"
    with pytest.raises(RecordError, match=rf"journal.jsonl\) are {why}; bring"):
        run_toy(trials=4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("absent", "no sweep 'absent'"),
        ("absent.yaml", "absent.yaml: no such file"),
        ("shipped", "no portfolio ships with the space 'toy'"),
        ("{", "no sweep"),
    ],
)
def test_what_is_not_there_is_refused(call, make_home, asked, said):
    result = call("run", "TOY", "--learn-from", asked)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (make_home("home") / "sweeps").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("points: 3", "Expected `array`, got `int` - at `$.points`"),
        ("points: [{params: {x: 1}, trial: 7}]", "unknown field `trial` - at `$.points[0]`"),
        ("- x", "holds a list"),
        ("points: []", "nothing to learn"),
        (POINTS.replace("trials: 100", f"data: {'ab' * 32}"), "the data of this sweep"),
    ],
)
def test_a_file_that_is_no_portfolio_is_refused(call, make_home, tmp_path, content, said):
    file = tmp_path / "other.yaml"
    file.write_text(content)
    result = call("run", "TOY", "--learn-from", file)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not (make_home("home") / "sweeps").exists()


def test_a_sweep_of_another_space_or_with_few_trials_is_refused(run_toy, tmp_path, call):
    run_toy(name="short", data="other", trials=3)
    file = tmp_path / "narrow.yaml"
    file.write_text(TOY.replace("  y: {type: float, low: 0, high: 1, repeat: layers}\n", ""))
    result = call("run", file, "--learn-from", "short")
    assert result.exit_code == 2
    assert "has another experiment, other parameters" in " ".join(result.stderr.split())
    result = call("run", "TOY", "--name", "next", "--learn-from", "short")
    assert result.exit_code == 2
    assert "short: 3 trials, too few (5)" in " ".join(result.stderr.split())


def test_plan_list_and_report_say_what_was_learned(run_toy, call, portfolio, tmp_path):
    planned = call("plan", "TOY", "--learn-from", portfolio)
    said = " ".join(planned.stdout.split())
    assert f"2 points of {portfolio} are tried first, learned from letters (100 trials)" in said
    assert "left out: point 2 (far away): x: received 7" in said
    assert "learned from letters" in said
    run_toy(learn_from=portfolio, trials=4)
    assert json.loads(call("plan", "TOY", "--json").stdout)["learned"]["asked"] == portfolio
    (row,) = json.loads(call("list", "--json").stdout)
    assert row["learned_from"] == portfolio
    assert "learned from" in call("list").stdout
    page = tmp_path / "page.html"
    assert call("report", "toy", "-o", page).exit_code == 0
    assert "2 points of" in page.read_text()
    assert "--learn-from learned.json" in page.read_text()


@pytest.mark.slow
def test_the_file_of_a_report_gives_the_same_trials(run_toy, tmp_path):
    run_toy(name="source", data="other", trials=8)
    sweep = run_toy(name="next", learn_from="home", trials=6)
    file = tmp_path / "learned.json"
    learned = stored(sweep)
    file.write_text(
        json.dumps({"points": [{"source": p.source, "params": p.params} for p in learned.points]})
    )
    again = run_toy("elsewhere", name="next", learn_from=str(file), trials=6)
    assert table(again) == table(sweep)
    assert len(run_toy(name="next", learn_from=str(file), trials=7).rows()) == 7  # it goes on


@pytest.mark.slow
def test_a_shared_sweep_takes_along_what_it_learned(run_toy, call, portfolio, tmp_path):
    expected = table(run_toy("alone", learn_from=portfolio, trials=6))
    run_toy(learn_from=portfolio, trials=2)
    file = tmp_path / "toy.sweep"
    assert call("share", "toy", file).exit_code == 0
    assert call("import", file, home="other").exit_code == 0
    assert call("trust", "toy", "--yes", home="other").exit_code == 0
    assert table(run_toy("other", trials=6)) == expected


def test_every_portfolio_that_ships_lies_in_its_space():
    from search_spaces.loading import load_space
    from search_spaces.mapping import point_of
    from sweeps.config.learning import SHIPPED

    for path in SHIPPED.glob("*.json"):
        space = load_space(path.stem)
        found = parse(path.read_text(), path.name).values
        learned = msgspec.convert({**found, "kind": "learned 1"}, Learned)
        for point in learned.points:
            assert point_of(space, point.params)[0] == point.params
        assert all(source.data for source in learned.learned_from)


@pytest.mark.slow
def test_killed_while_and_after_it_learns_it_ends_as_if_left_alone(
    run_toy, call, toy_space, make_home
):
    source = {"name": "source", "data": "other", "trials": 8}
    run_toy("alone", **source)
    alone = run_toy("alone", name="toy", learn_from="home", trials=14, workers=0)
    run_toy(**source)
    words = ["run", str(toy_space), "--learn-from", "home", "--trials", "14", "--workers", "2"]
    words += ["--home", str(make_home())]
    # What is learned is written with what the sweep is.
    for point in ("journal.begun", "journal.written", "journal.done", "journal.done:9"):
        assert Launched(words, {VARIABLE: point}).wait() == -signal.SIGKILL
    assert call("delete", "source", "--yes").exit_code == 0
    again = Launched(words)
    assert again.wait() == 0, again.stderr()
    ended = sweeps.load("toy", make_home())
    assert origins(ended).count("sampled") == 8
    assert table(ended) == table(alone)
    found = examine_sweep(ended.home, ended.info, f"sqlite:///{make_home()}/mlflow.db")
    assert problems(found) == []
