"""Experiments of one's own: what cannot be confirmed is refused, what was trained is judged."""

from __future__ import annotations

import itertools
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.checks import OnFolds, try_folds
from sweeps.confirm.finalists import ACCURACY
from sweeps.experiments.folds import FoldExperiment
from sweeps.home import Home
from tests.sweeps.voting_experiment import SPACE, VotingExperiment

OWN = """
from dataclasses import replace
from tests.sweeps.voting_experiment import VotingExperiment as Base

class Searched(Base):
    {changed}

experiment = Searched()
"""
numbers = itertools.count()


@pytest.fixture
def own(tmp_path):
    """Return what writes an experiment of one's own, and the space that names it."""

    def write(changed="pass", space=SPACE):
        module = f"own_folds_{next(numbers)}"
        text = OWN.format(changed=changed)
        (tmp_path / f"{module}.py").write_text(text)
        file = tmp_path / "own.yaml"
        file.write_text(
            space.replace("tests.sweeps.voting_experiment:", f"{module}:").replace(
                "trials: 5", "trials: 15, confirm: {folds: 8}"
            )
        )
        return file

    return write


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("experiment: tests.sweeps.toy_experiment:experiment\n"
         "objective: {metric: score, direction: maximize}\n"
         "parameters:\n  x: {type: float, low: -1, high: 1}\n", "has no fresh folds"),
        ("experiment: tests.sweeps.trading_experiment:experiment\n"
         "objective: [{metric: score, direction: maximize}, {metric: cost, direction: minimize}]\n"
         "parameters:\n  x: {type: float, low: 0, high: 1}\n", "--confirm: several objectives"),
        ("command: python none.py {x}\nobjective: {metric: score, direction: maximize}\n"
         "parameters:\n  x: {type: float, low: -1, high: 1}\n", "a script has no fresh folds"),
    ],
)  # fmt: skip
def test_confirm_of_what_has_no_folds_or_no_best_is_refused(tmp_path, space, said):
    (tmp_path / "none.py").write_text("")
    (tmp_path / "own.yaml").write_text(space)
    result = run("run", tmp_path / "own.yaml", "--confirm", "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert not (tmp_path / "home").exists()


FOLDING = """
experiment: tests.sweeps.folding_experiment:experiment
objective: {metric: mae, direction: minimize}
parameters:
  inputs: {type: int, low: 1, high: 6}
baselines:
  blind: {inputs: 1}
defaults: {trials: 16, sampler: random, confirm: CONFIRM}
"""


@pytest.mark.slow
def test_a_space_that_says_confirm_none_is_confirmed_only_by_an_option(tmp_path, make_home):
    space, home = tmp_path / "own.yaml", ("--workers", 0, "--home", make_home())
    space.write_text(FOLDING.replace("CONFIRM", "none"))
    assert "confirm     none, as the space says" in run("plan", space, "--home", home[-1]).stdout
    ran = run("run", space, *home)
    assert ran.exit_code == 0, ran.output
    assert [one.name for one in Home.resolve(home[-1]).sweeps()] == ["own"]
    refused = run("confirm", "own", *home)
    assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
    assert "its space says `confirm: none`" in refused.stderr
    assert "`sweeps confirm own --folds 20" in refused.stderr
    told = run("confirm", "own", "--folds", 8, "--top", 1, *home)
    assert told.exit_code == 0, told.output


def test_confirm_takes_none_or_a_mapping(tmp_path):
    space = tmp_path / "own.yaml"
    space.write_text(FOLDING.replace("CONFIRM", "off"))
    refused = run("plan", space, "--home", tmp_path / "home")
    assert refused.exit_code == 2
    assert "defaults.confirm: received 'off'; allowed: none, a mapping" in refused.stderr


@pytest.mark.slow
def test_what_confirm_asks_of_folds_is_looked_for_before_a_training(own, tmp_path, make_home):
    home = ("--workers", 0, "--home", make_home())
    accuracy = "'best_val_accuracy': Base.metrics['best_val_accuracy']"
    space = own(f"metrics = {{{accuracy}, 'epochs': Base.metrics['best_val_accuracy']}}")
    ran = run("run", space, "--trials", 4, "--name", "one", *home)
    assert ran.exit_code == 0, ran.output
    for asked, said in (
        ("--refit", "--refit: metric 'epochs' of experiment 'own_folds_"),
        ("--fresh=10000", "--fresh 10000: there are drawings of folds up to 9999"),
    ):
        refused = run("confirm", "one", asked, "--folds", 8, *home)
        assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
        assert said in refused.stderr
    assert not list((tmp_path / "home" / "sweeps").glob("*/finalists-*"))
    told = run("confirm", "one", "--top", 2, "--folds", 8, "--details", *home)
    assert told.exit_code == 0, told.output
    assert "The best of the search" in told.stdout
    assert [info.name for info in Home(tmp_path / "home").sweeps()] == ["one", "one-confirmation"]


KEEPS = """def train(self, spec, data, on_epoch):
        result = super().train(spec, data, on_epoch)
        metrics, arrays = dict(result.metrics), dict(result.arrays)
        if data.payload is not None:
            {wrong}
        return replace(result, metrics=metrics, arrays=arrays)
"""
NUMBERS = """def folds(self, data, seed, n):
        import numpy as np
        for fold in super().folds(data, seed, n):
            yield replace(fold, samples={wrong})
"""
SCORES, PREDICTED = "arrays['best_val_accuracy_by_sample']", "arrays['fold_predictions']"
WRONG = {
    "another length": (KEEPS.format(wrong=f"{SCORES} = {SCORES}[1:]"),
        "kept 'best_val_accuracy_by_sample' (59,) and 'fold_samples' (60,), not one of both"),
    "no numbers of samples": (NUMBERS.format(wrong="fold.samples + 0.5"), "no whole numbers"),
    "no mean": (
        KEEPS.format(wrong=f"{SCORES} = {SCORES} * 0.5"), "the mean of the array is to be the"),
    "no metric": (KEEPS.format(wrong="del metrics['best_val_accuracy']"), "has no metric 'best"),
    "counted anew in each fold": (
        NUMBERS.format(wrong="np.arange(60)"), "judge 60 of 60 samples, 240 times in all"),
    "predictions of others": (KEEPS.format(wrong=f"{PREDICTED} = {PREDICTED}[1:]"),
        "kept 'fold_predictions' (59, 4) for 60 samples"),
    "a mistake": (KEEPS.format(wrong="arrays.no_such_thing"),
        "AttributeError: 'dict' object has no attribute"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
def test_what_its_trainings_keep_is_looked_at_before_the_search(own, tmp_path, wrong, said):
    space = own(wrong)
    result = run("run", space, "--confirm", "--workers", 0, "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert re.search(r"experiment 'own_folds_\d+:experiment@folds', tried", result.stderr)
    assert "nothing was begun" in result.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_what_its_trainings_keep_is_looked_at_before_the_finalists_are_trained(
    own, tmp_path, make_home
):
    home = ("--home", make_home())
    wrong, said = WRONG["counted anew in each fold"]
    space = own(wrong)
    assert run("run", space, "--trials", 4, "--name", "one", "--workers", 0, *home).exit_code == 0
    refused = run("confirm", "one", "--folds", 8, "--workers", 1, *home)
    assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
    assert said in refused.stderr
    assert [info.name for info in Home(tmp_path / "home").sweeps()] == ["one"]
    assert not list((tmp_path / "home" / "sweeps").glob("*/finalists-*"))


def test_a_training_that_keeps_nothing_when_stopped_is_made_whole():
    trained = []

    class KeepsNothing(VotingExperiment):
        def train(self, spec, data, on_epoch):
            is_whole = on_epoch(0, {}) is None
            trained.append((data.payload[0], is_whole))
            result = super().train(spec, data, on_epoch)
            return result if is_whole else replace(result, outcome="stopped", metrics={}, arrays={})

    on_folds = FoldExperiment(KeepsNothing(), "here:it")
    data = on_folds.prepare(None, 0)
    own = OnFolds("here:it", None, on_folds, data, 0, ACCURACY)
    try_folds(own, [{"skill": 1.0}], lambda text: None)
    assert trained == [(0, False), (0, True), (1, True), (2, True), (3, True)]


@pytest.mark.slow
def test_trainings_that_fail_otherwise_than_by_a_mistake_keep_nobody_from_searching(
    own, tmp_path, make_home
):
    space = own(KEEPS.format(wrong="raise RuntimeError('no luck today')"))
    words = ("--trials", 4, "--confirm", "--workers", 0, "--home", make_home())
    result = run("run", space, *words)
    assert result.exit_code == 1, result.output
    assert "was tried on fold 0, and failed: RuntimeError: no luck today" in result.stderr
    assert len(sweeps.load("own", tmp_path / "home").trials()) == 4


UNEQUAL = """def folds(self, data, seed, n):
        # One sample is never judged: folds of 60, 60, 60 and 59.
        for fold in super().folds(data, seed, n):
            number, samples = fold.data.payload
            kept = samples[samples < 239]
            yield replace(fold, data=replace(fold.data, payload=(number, kept)), samples=kept)

    def calibration_terms(self, results, data):
        return results[0].missing
"""


def journals(home):
    """Return the keys of all attempts that were recorded."""
    found = Home(home)
    return [(i.name, r.key) for i in found.sweeps() for r in found.store(i.id).read_all()]


@pytest.mark.slow
def test_what_was_trained_is_judged_again_once_the_experiment_is_mended(own, tmp_path, make_home):
    home = ("--workers", 0, "--home", make_home())
    space = own(UNEQUAL)
    module = next(tmp_path.glob("own_folds_*.py"))
    text = module.read_text()
    assert run("run", space, "--trials", 4, "--name", "one", *home).exit_code == 0
    words = ("confirm", "one", "--top", 2, "--folds", 8, "--details", *home)
    failed = run(*words)
    assert failed.exit_code == 2, failed.output
    assert "`calibration_terms`" in failed.stderr
    assert "has no attribute 'missing'" in failed.stderr
    assert f"{module.name}, line " in failed.stderr
    assert "its trainings are kept (sweep 'one-confirmation')" in failed.stderr
    trained = journals(tmp_path / "home")

    module.write_text(text.replace("results[0].missing", "None"))
    sys.modules.pop(module.stem)
    told = run(*words)
    assert told.exit_code == 0, told.output
    assert "The best of the search" in told.stdout
    assert "COMPLETE" not in told.stdout, "nothing was trained"
    assert trained == journals(tmp_path / "home")
    found = sweeps.load("one-confirmation", tmp_path / "home")
    store = found.home.store(found.info.id)
    kept = [store.read(record.key) for record in store.read_all()]
    assert {len(record.result.arrays["fold_samples"]) for record in kept} == {59, 60}
    own_mean = {}
    for record in kept:
        correct = record.result.arrays["best_val_accuracy_by_sample"]
        own_mean.setdefault(record.params["finalist"], []).extend(correct)
    told = json.loads(run(*(one for one in words if one != "--details"), "--json").stdout)
    means = {one["finalist"]: one["accuracy"]["value"] for one in told["standings"]}
    assert means == pytest.approx({label: np.mean(own) for label, own in own_mean.items()})


@pytest.mark.slow
def test_an_edited_experiment_trains_no_finalist_beside_others(own, tmp_path, make_home):
    home = ("--workers", 0, "--home", make_home())
    assert run("run", own(), "--trials", 4, "--name", "one", *home).exit_code == 0
    assert run("confirm", "one", "--top", 1, "--folds", 8, *home).exit_code == 0
    module = next(tmp_path.glob("own_folds_*.py"))
    module.write_text(module.read_text() + "# edited\n")
    assert run("confirm", "one", *home).exit_code == 0, "all of it is there"
    refused = run("confirm", "one", "--top", 2, *home)
    assert (refused.exit_code, "other code" in refused.stderr) == (2, True), refused.output
    declared = run("confirm", "one", "--top", 2, "--same-code", *home)
    assert declared.exit_code == 0, declared.output
