"""A confirmation beside an earlier one: what says less replaces nothing, and all can be undone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.confirm.confirm import lacks
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.records import ConfirmationRecord
from tests.homes import copy_home
from tests.sweeps.render.builders import standing_of, verdict_of
from tests.sweeps.voting_experiment import SPACE

WORDS = ("confirm", "one", "--workers", 0)


def caller(home):
    def call(*words):
        said = CliRunner().invoke(app, [*map(str, words), "--home", str(home)])
        return said.exit_code, said.stdout, said.stderr

    return call


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory, migrated_database):
    """A home with a sweep of four trials, confirmed beside random trials; it is copied only."""
    folder = tmp_path_factory.mktemp("confirmed")
    (folder / "one.yaml").write_text(SPACE)
    home = folder / "home"
    home.mkdir()
    shutil.copy(migrated_database, home / "mlflow.db")
    call = caller(home)
    assert call("run", folder / "one.yaml", "--trials", 4, "--workers", 0)[0] == 0
    assert call(*WORDS, "--top", 2, "--folds", 8, "--control", 2)[0] == 0
    return home


@pytest.fixture
def call(confirmed, tmp_path):
    """Return what calls commands on a copy of that home."""
    (tmp_path / "one.yaml").write_text(SPACE)
    home = tmp_path / "home"
    copy_home(confirmed, home)
    call = caller(home)
    call.records = lambda: [
        (info.name, key)
        for info in Home(home).sweeps()
        for key in Home(home).store(info.id).state().ended
    ]
    return call


def champion(call):
    return json.loads(call("best", "one", "--json")[1])["champion"]["finalist"]


@pytest.mark.slow
def test_the_options_that_are_not_given_are_those_of_before(call):
    records = call.records()
    code, said, _ = call(*WORDS)
    assert (code, call.records()) == (0, records), "nothing is trained"
    assert "Best of the four?" in said, "the best of random trials among them"
    assert "To go back" not in said


@pytest.mark.slow
def test_what_says_less_leaves_the_champion_and_what_replaces_it_can_be_undone(call, make_home):
    before = champion(call)
    code, said, _ = call(*WORDS, "--control", 0)
    said = " ".join(said.split())
    assert code == 0
    assert f"The champion stays {before} (one-confirmation, 8 folds)" in said
    assert "since this confirmation is without the best of random trials" in said
    assert champion(call) == before
    told = json.loads(call(*WORDS, "--control", 0, "--json")[1])
    assert (told["in_force"], told["confirmation"]) == (False, "one-confirmation-2")

    records = call.records()
    code, said, _ = call(*WORDS, "--control", 0, "--replace")
    now, said = champion(call), " ".join(said.split())
    assert f"The champion was {before} (one-confirmation, 8 folds), and is {now} now" in said
    assert f"`sweeps confirm one --restore --home {make_home()}`" in said
    for expected in (before, now):
        code, said, _ = call("confirm", "one", "--restore")
        assert (code, champion(call)) == (0, expected)
        assert f"is {expected} again" in said
    assert call.records() == records, "nothing is trained twice"
    assert call("doctor")[0] == 0


@pytest.mark.slow
def test_more_trials_bring_other_finalists_which_may_replace_the_champion(call, tmp_path):
    assert call("run", tmp_path / "one.yaml", "--trials", 8, "--workers", 0)[0] == 0
    told = json.loads(call(*WORDS, "--control", 0, "--json")[1])
    assert told["in_force"]


def concluded(folds=20, finalists=("trial-1", "trial-2"), trials=40):
    standings = [standing_of(label, 1, Interval(0.9, 0.8, 1.0)) for label in finalists]
    verdict = verdict_of(*standings, trials=trials, folds=folds)
    return ConfirmationRecord("a", "a", "0000-1", finalists[0], conclusions=[verdict])


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({}, ""),
        ({"folds": 40}, ""),
        ({"folds": 8}, "has 8 folds in place of 20"),
        ({"finalists": ("trial-1",)}, "is without trial-2"),
        (
            {"folds": 8, "finalists": ("trial-2",)},
            "has 8 folds in place of 20 and is without trial-1",
        ),
        ({"folds": 8, "finalists": ("trial-9",), "trials": 41}, ""),
    ],
    ids=["alike", "more folds", "fewer folds", "fewer finalists", "both", "more trials"],
)
def test_what_a_confirmation_lacks_beside_the_one_in_force(new, said):
    assert lacks(concluded(**new), concluded()) == said


def test_random_trials_are_compared_as_one_and_words_not_at_all():
    first, second = (concluded(finalists=("trial-1", f"control-{n}")) for n in (3, 4))
    assert lacks(first, second) == ""
    assert lacks(concluded(), replace(concluded(), conclusions=[])) == ""


def test_there_is_nothing_to_go_back_to(finished_toy, make_home):
    finished_toy(trials=1)

    def refused(*words):
        line = ["confirm", "toy", "--restore", *words, "--home", str(make_home())]
        said = CliRunner().invoke(app, line)
        assert (said.exit_code, said.stdout) == (2, "")
        return said.stderr

    assert "no earlier champion of 'toy' was replaced" in refused()
    assert "leave --folds, --refit out" in refused("--folds", "8", "--refit")
    assert len(Home(make_home()).sweeps()) == 1


@pytest.mark.slow
def test_other_folds_are_drawn_and_what_the_data_have_judged_goes_on(call, tmp_path, make_home):
    code, said, _ = call(*WORDS, "--fresh", 1, "--json")
    told = json.loads(said)
    assert (code, told["confirmation"], told["fresh"]) == (0, "one-confirmation-2", 1)
    assert told["judged"] == {"finalists": 4, "sweeps": 1, "on_machine": False}, "the same four"
    home = Home(make_home())
    configs = {
        name: [r.config for r in home.store(home.get(name).id).read_all()]
        for name in ("one-confirmation", "one-confirmation-2")
    }
    assert {c.get("fresh", 0) for c in configs["one-confirmation"]} == {0}
    assert {c["fresh"] for c in configs["one-confirmation-2"]} == {1}
    records = call.records()
    assert json.loads(call(*WORDS, "--json")[1])["fresh"] == 1, "as before"
    assert call.records() == records, "nothing is trained"
    assert call("run", tmp_path / "one.yaml", "--name", "two", "--workers", 0, "--seed", 7)[0] == 0
    words = ("confirm", "two", "--workers", 0, "--top", 2, "--folds", 8, "--details")
    said = " ".join(call(*words)[1].split())
    assert "The samples of these folds have judged 6 finalists of 2 sweeps in this home." in said
    assert "Only new data renew them" in said


@pytest.mark.slow
def test_a_drawing_that_the_experiment_does_not_have_is_refused(call):
    records = call.records()
    code, said, error = call(*WORDS, "--fresh", 10_000)
    assert (code, said) == (2, "")
    assert error == "error: --fresh 10000: there are drawings of folds up to 9999\n"
    assert call.records() == records


@pytest.mark.slow
def test_a_confirmation_that_came_with_an_archive_is_not_gone_on_with(call, tmp_path):
    assert call(*WORDS, "--top", 2, "--folds", 8, "--control", 0, "--replace")[0] == 0
    other, names = caller(tmp_path / "other"), ("one", "one-confirmation-2")
    for name in names:
        assert call("share", name, str(tmp_path / f"{name}.sweep"))[0] == 0
        assert other("import", str(tmp_path / f"{name}.sweep"))[0] == 0
    assert other("trust", "one", str(Path(__file__).parents[3]), "--yes")[0] == 0
    code, _, error = other(*WORDS, "--top", 2, "--folds", 8)
    assert code == 0, error
    home = Home(tmp_path / "other")
    own, came = home.get("one-confirmation"), home.get("one-confirmation-2")
    assert own.space["body"] == came.space["body"], "of the same finalists"
    assert len(home.store(own.id).state().ended) == 24, "three finalists on eight folds, here"


@pytest.mark.slow
def test_who_runs_a_confirmation_by_its_name_is_told_to_confirm(call):
    code, said, error = call("run", "one-confirmation", "--workers", 0)
    assert (code, said) == (2, "")
    assert (
        "'one-confirmation' is a confirmation here; to go on with it: sweeps confirm one" in error
    )
