"""Experiments of one's own: what cannot be confirmed is refused, what was trained is judged."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.checks import CrossValidation, check_fresh, try_folds
from sweeps.errors import UsageError
from sweeps.experiment import ParameterInfo
from sweeps.home import Home
from tests.sweeps.voting_experiment import SPACE, VotingExperiment

OWN = """
from tests.sweeps.voting_experiment import VotingExperiment as Base

class Searched(Base):
    cross_validation = "{module}:cross_validation"

class OnBlocks(Base):
    {changed}

experiment, cross_validation = Searched(), OnBlocks()
"""
LACKING = {
    "no such object": (
        "cross_validation = 1\n\ndel OnBlocks\nclass OnBlocks: pass",
        "lacks name, param",
    ),
    "no parameter fold": (
        "parameters = {n: p for n, p in Base.parameters.items() if n != 'block'}",
        "lacks the parameter 'block' (int, 0 to 7)",
    ),
    "too few folds": (
        "parameters = Base.parameters | {'block': Base.parameters['skill']}",
        "takes 'block' as float, 0 to 10 (needed is int, 0 to 7)",
    ),
    "lacks what is swept": (
        "parameters = {n: p for n, p in Base.parameters.items() if n != 'skill'}",
        "lacks the parameter 'skill'",
    ),
    "no metric": (
        "metrics = {n: m for n, m in Base.metrics.items() if n != 'block_accuracy'}",
        "lacks the metric 'block_accuracy' (maximize)",
    ),
    "the other way round": (
        "metrics = Base.metrics | {'block_accuracy': Base.metrics['epochs']}",
        "would minimize the metric 'block_accuracy' (needed is maximize)",
    ),
    "other data": (
        "def prepare(self, source, split_seed): return super().prepare('others', split_seed)",
        "prepares other data than the search: others, not drawn",
    ),
}
numbers = itertools.count()


@pytest.fixture
def own(tmp_path):
    """Return what writes an experiment of one's own, and the space that names it."""

    def write(changed="pass", space=SPACE):
        module = f"own_blocks_{next(numbers)}"
        text = OWN.format(module=module, changed=changed)
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


@pytest.mark.parametrize(("changed", "said"), LACKING.values(), ids=LACKING)
@pytest.mark.parametrize("asked", [["--confirm"], []])
def test_it_is_refused_before_a_sweep_that_is_to_be_confirmed(own, tmp_path, changed, said, asked):
    space = own(changed)
    result = run("run", space, *asked, "--workers", 0, "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert "nothing was begun" in result.stderr
    assert not (tmp_path / "home").exists()


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
    space = own("parameters = {n: p for n, p in Base.parameters.items() if 'split' not in n}\n"
                "    metrics = {'block_accuracy': Base.metrics['block_accuracy']}")  # fmt: skip
    ran = run("run", space, "--trials", 4, "--name", "one", *home)
    assert ran.exit_code == 0, ran.output
    refused = run("confirm", "one", "--refit", "--folds", 8, *home)
    assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
    assert "lacks the metric 'epochs' (minimize)" in refused.stderr
    assert not list((tmp_path / "home" / "records").glob("*/finalists-*"))
    told = run("confirm", "one", "--top", 2, "--folds", 8, "--details", *home)
    assert told.exit_code == 0, told.output
    assert "The best of the search" in told.stdout
    assert [info.name for info in Home(tmp_path / "home").sweeps()] == ["one", "one-confirmation"]


KEEPS = """def train(self, spec, data, on_epoch):
        from dataclasses import replace
        import numpy as np
        result = super().train(spec, data, on_epoch)
        if spec.config.get("block") is None:
            return result
        metrics, arrays = dict(result.metrics), dict(result.arrays)
        if "block_images" in arrays:
            {wrong}
        return replace(result, metrics=metrics, arrays=arrays)
"""
WRONG = {
    "no such array": (
        "arrays['block_right'] = arrays.pop('block_correct')", "kept no 'block_correct'"),
    "another length": (
        "arrays['block_correct'] = arrays['block_correct'][1:]",
        "kept 'block_correct' (59,) and 'block_images' (60,), not one of both for each sample"),
    "no numbers of samples": (
        "arrays['block_images'] = arrays['block_images'] + 0.5", "no whole numbers from 0"),
    "a share": ("arrays['block_correct'] = arrays['block_correct'] * 0.5", "are not 0 or 1"),
    "no metric": ("del metrics['block_accuracy']", "has no metric 'block_accuracy'"),
    "counted anew in each fold": (
        "arrays['block_images'] = np.arange(60)", "judge 60 of 60 samples, 240 times in all"),
    "logits of others": (
        "arrays['block_logits'] = arrays['block_logits'][1:]",
        "kept 'block_logits' (59, 4) for 60 samples"),
    "a mistake": ("arrays.no_such_thing", "AttributeError: 'dict' object has no attribute"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
def test_what_its_trainings_keep_is_looked_at_before_the_search(own, tmp_path, wrong, said):
    space = own(KEEPS.format(wrong=wrong))
    result = run("run", space, "--confirm", "--workers", 0, "--home", tmp_path / "home")
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert said in result.stderr
    assert re.search(r"experiment 'own_blocks_\d+:cross_validation', tried", result.stderr)
    assert "nothing was begun" in result.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_what_its_trainings_keep_is_looked_at_before_the_finalists_are_trained(
    own, tmp_path, make_home
):
    home = ("--home", make_home())
    wrong, said = WRONG["counted anew in each fold"]
    space = own(KEEPS.format(wrong=wrong))
    assert run("run", space, "--trials", 4, "--name", "one", "--workers", 0, *home).exit_code == 0
    refused = run("confirm", "one", "--folds", 8, "--workers", 1, *home)
    assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
    assert said in refused.stderr
    assert [info.name for info in Home(tmp_path / "home").sweeps()] == ["one"]
    assert not list((tmp_path / "home" / "records").glob("*/finalists-*"))


def test_a_training_that_keeps_nothing_when_stopped_is_made_whole():
    trained = []

    class KeepsNothing(VotingExperiment):
        def train(self, spec, data, on_epoch):
            is_whole = on_epoch(0, {}) is None
            trained.append((spec.config["block"], is_whole))
            result = super().train(spec, data, on_epoch)
            return result if is_whole else replace(result, outcome="stopped", arrays={})

    experiment = KeepsNothing()
    data = experiment.prepare(None, 0)
    try_folds(
        CrossValidation("here:it", None, experiment, data, 0), [{"skill": 1.0}], lambda text: None
    )
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


UNEQUAL = """def train(self, spec, data, on_epoch):
        # One sample is never judged: folds of 60, 60, 60 and 59.
        result = super().train(spec, data, on_epoch)
        kept = result.arrays.get("block_images", np.arange(0)) < 239
        return replace(result, arrays={n: a[kept] for n, a in result.arrays.items()})

    def calibration_terms(self, results):
        return results[0].missing
"""


@pytest.mark.slow
def test_what_was_trained_is_judged_again_once_the_experiment_is_mended(own, tmp_path, make_home):
    home = ("--workers", 0, "--home", make_home())
    space = own(UNEQUAL)
    module = next(tmp_path.glob("own_blocks_*.py"))
    text = "import numpy as np\nfrom dataclasses import replace\n" + module.read_text()
    module.write_text(text)
    assert run("run", space, "--trials", 4, "--name", "one", *home).exit_code == 0
    words = ("confirm", "one", "--top", 2, "--folds", 8, "--details", *home)
    failed = run(*words)
    assert failed.exit_code == 2, failed.output
    assert "`calibration_terms`" in failed.stderr
    assert "has no attribute 'missing'" in failed.stderr
    assert f"{module.name}, line " in failed.stderr
    assert "its trainings are kept (sweep 'one-confirmation')" in failed.stderr
    trained = sorted(str(path) for path in (tmp_path / "home" / "records").glob("*/*.record"))

    module.write_text(text.replace("results[0].missing", "None"))
    sys.modules.pop(module.stem)
    told = run(*words)
    assert told.exit_code == 0, told.output
    assert "The best of the search" in told.stdout
    assert "COMPLETE" not in told.stdout, "nothing was trained"
    assert trained == sorted(map(str, (tmp_path / "home" / "records").glob("*/*.record")))
    votes = json.loads(run("ensemble", "one", "--json", *home[2:]).stdout)
    found = sweeps.load("one-confirmation", tmp_path / "home")
    store = found.home.store(found.info.id)
    kept = [store.read(record.key) for record in store.read_all()]
    assert {len(record.result.arrays["block_images"]) for record in kept} == {59, 60}
    own_mean = {}
    for record in kept:
        correct = record.result.arrays["block_correct"]
        own_mean.setdefault(record.params["finalist"], []).extend(correct)
    best = max(own_mean, key=lambda label: np.mean(own_mean[label]))
    assert votes["single"]["accuracy"]["value"] == pytest.approx(np.mean(own_mean[best]))


@pytest.mark.slow
def test_an_edited_experiment_trains_no_finalist_beside_others(own, tmp_path, make_home):
    home = ("--workers", 0, "--home", make_home())
    assert run("run", own(), "--trials", 4, "--name", "one", *home).exit_code == 0
    assert run("confirm", "one", "--top", 1, "--folds", 8, *home).exit_code == 0
    module = next(tmp_path.glob("own_blocks_*.py"))
    module.write_text(module.read_text() + "# edited\n")
    assert run("confirm", "one", *home).exit_code == 0, "all of it is there"
    refused = run("confirm", "one", "--top", 2, *home)
    assert (refused.exit_code, "other code" in refused.stderr) == (2, True), refused.output
    declared = run("confirm", "one", "--top", 2, "--same-code", *home)
    assert declared.exit_code == 0, declared.output


def test_folds_that_are_drawn_once_are_not_drawn_anew():
    class Once(VotingExperiment):
        parameters: Mapping[str, ParameterInfo] = {
            n: p for n, p in VotingExperiment.parameters.items() if n != "fresh"
        }

    check_fresh("mine:experiment", Once(), 0)
    with pytest.raises(UsageError, match=r"'mine:experiment' draws its folds once.*'fresh' "):
        check_fresh("mine:experiment", Once(), 1)
