"""A confirmation beside an earlier one: what says less replaces nothing, and all can be undone."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.home import Home
from tests.sweeps.voting_experiment import SPACE

WORDS = ("confirm", "one", "--workers", 0)


@pytest.fixture
def call(tmp_path, make_home):
    """Return what calls commands on a sweep of four trials, confirmed beside random trials."""
    space = tmp_path / "one.yaml"
    space.write_text(SPACE)

    def call(*words):
        said = CliRunner().invoke(app, [*map(str, words), "--home", str(make_home())])
        return said.exit_code, said.stdout, said.stderr

    assert call("run", space, "--trials", 4, "--workers", 0)[0] == 0
    assert call(*WORDS, "--top", 2, "--folds", 8, "--control", 2)[0] == 0
    call.records = lambda: sorted((make_home() / "records").glob("*/*.record"))
    return call


def champion(call):
    return json.loads(call("best", "one", "--json")[1])["champion"]["finalist"]


@pytest.mark.slow
def test_the_options_that_are_not_given_are_those_of_before(call):
    records = call.records()
    code, said, _ = call(*WORDS)
    assert (code, call.records()) == (0, records), "nothing is trained"
    assert "control-" in said
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
