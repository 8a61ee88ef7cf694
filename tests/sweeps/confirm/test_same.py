"""`sweeps check --same`: one configuration under five names, where the answer is known."""

import json

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.home import Home
from sweeps.render.answer import same_in_words
from tests.sweeps.voting_experiment import SPACE

pytestmark = pytest.mark.slow
OWN = """
from dataclasses import replace
from sweeps.experiment import ParameterInfo
from tests.sweeps.voting_experiment import VotingExperiment as Base

class Own(Base):
    cross_validation = "{module}:experiment"
    {changed}

experiment = Own()
"""
SEED_OF_FOLD = """
    def train(self, spec, data, on_epoch):
        block = spec.config.get("block")
        seed = spec.seed if block is None else int(block)
        return super().train(replace(spec, seed=seed), data, on_epoch)
"""


@pytest.fixture
def checked(tmp_path, make_home, monkeypatch):
    """Return what runs a sweep of an experiment, checks it, and returns code and output."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*words):
        return CliRunner().invoke(app, [*map(str, words), "--home", str(make_home())])

    def check(module="", changed="pass", *words):
        text = SPACE
        if module:
            (tmp_path / f"{module}.py").write_text(OWN.format(module=module, changed=changed))
            text = SPACE.replace("tests.sweeps.voting_experiment:", f"{module}:")
        (tmp_path / "one.yaml").write_text(text)
        ran = call("run", tmp_path / "one.yaml", "--trials", 2, "--workers", 0)
        assert ran.exit_code == 0, ran.output
        return call("check", "one", "--same", *words)

    check.call = call
    return check


def test_one_configuration_under_five_names_is_quiet_and_made_twice_the_same(checked, make_home):
    found = checked("", "", "--workers", 1, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["called_worse"], told["names_differ"], told["folds"]) == ([], True, 20)
    assert told["is_deterministic"] is True
    home = Home(make_home())
    trained = home.store(home.get("one-same").id).read_all()
    assert len(trained) == 100
    assert len({json.dumps(r.spec.config.get("skill")) for r in trained}) == 1
    said = checked.call("check", "one", "--same")
    assert len(home.store(home.get("one-same").id).read_all()) == 100, "nothing is trained twice"
    assert said.stdout.splitlines()[0].startswith("Quiet: of one configuration (trial ")
    assert "came out the same to the bit" in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 80
    confirmed = checked.call("confirm", "one", "--top", 2, "--folds", 8, "--workers", 0, "--json")
    assert json.loads(confirmed.stdout)["others"] == [], "it is no confirmation of the sweep"


def test_an_experiment_whose_seed_is_the_fold_tries_nothing_without_other_seeds(checked):
    found = checked("seeded_by_fold", SEED_OF_FOLD, "--workers", 0)
    assert found.exit_code == 1
    said = " ".join(found.stdout.split())
    assert "Nothing was tried" in said
    assert "a parameter `again`" in said
    assert "was not checked (workers are needed)" in said


@pytest.mark.nightly
def test_a_name_that_is_worse_than_others_is_not_quiet(checked):
    changed = """
    parameters = Base.parameters | {"again": ParameterInfo("int", 0, 9, default=0)}
    def load_model(self, config, weights, info):
        skill, seed = super().load_model(config, weights, info)
        return skill - 0.5 * int(config.get("again") or 0), seed
"""
    found = checked("worse_by_name", changed, "--workers", 0, "--json")
    assert found.exit_code == 1, found.output
    told = json.loads(found.stdout)
    assert told["called_worse"][-1] == "same-5"
    assert "Not quiet" in same_in_words(told)[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "say what is to be checked: --same"), (("--same", "--folds", 22), "a multiple of four")],
)
def test_what_cannot_be_checked_is_refused(checked, make_home, words, said):
    checked("", "", "--folds", 22)
    refused = checked.call("check", "one", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert [info.name for info in Home(make_home()).sweeps()] == ["one"]
