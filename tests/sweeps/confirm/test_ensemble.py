"""An ensemble of a search's trials: selected, cross-fitted, shown, and exported."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.capabilities import Evaluated
from sweeps.cli import app
from sweeps.confirm.ensemble import MOST_MEMBERS, Library, select_ensemble
from sweeps.confirm.finalists import Scored
from tests.sweeps.verified_experiment import SPACE as VERIFIED
from tests.sweeps.voting_experiment import LABELS, SPACE, drawn

ERROR, RMSE = (Scored.by(name, "minimize") for name in ("mae", "rmse"))
N = 400


class Judge:
    name = "judge"

    def judged(self, predictions, truth):
        errors = np.abs(predictions - truth)
        rmse = float(np.sqrt(np.mean(errors**2)))
        return Evaluated({"mae": errors.mean(), "rmse": rmse}, {"mae_by_sample": errors})


def library(predictions, truth, by=ERROR):
    records = [SimpleNamespace()] * len(predictions)
    return Library(records, predictions, truth, Judge(), by, by, frozenset({"mae"}))


def guessed(seed=0, trials=8, own=1.0, n=N):
    """Return predictions that are equally good, with errors of their own, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=n)
    return truth + own * random.normal(size=(trials, n)), truth


@pytest.mark.parametrize("by", [ERROR, RMSE])
def test_unrelated_errors_cancel_and_the_difference_holds_what_other_samples_show(by):
    predictions, truth = guessed(n=N + 20_000)
    known, other = predictions[:, :N], np.arange(N, N + 20_000)
    found = library(known, truth[:N], by)
    weights = found.select(np.arange(N))
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).sum() == 8
    ensemble, best, ahead = found.cross_fitted()
    whole = library(predictions, truth, by)
    pair = np.stack([whole.mean(weights), predictions[found.best(np.arange(N))]])
    scores = whole.scores(pair[:, other], other, by).mean(axis=1)
    interval = ahead.interval()
    assert ahead.value == pytest.approx(ensemble.value - best.value)
    assert 0 < interval.low < scores[0] - scores[1] < interval.high


def test_the_first_that_joins_is_the_best_and_a_bad_one_never_does():
    predictions, truth = guessed(trials=4)
    bad = np.concatenate([predictions, 50 + predictions[:2]])
    found = library(bad, truth)
    weights = found.select(np.arange(N))
    assert not weights[4:].any()
    alone = library(np.stack([truth, *bad[4:]]), truth)
    assert alone.select(np.arange(N)).tolist() == [1, 0, 0], "bags without it are of no use"


def test_there_are_ten_members_at_most():
    predictions, truth = guessed(trials=20)
    assert (library(predictions, truth).select(np.arange(N)) > 0).sum() == MOST_MEMBERS


@pytest.mark.parametrize("own", [0.3, 0.0])
def test_of_trials_that_are_the_same_the_difference_is_none(own):
    predictions, truth = guessed(trials=1, own=own)
    *_, ahead = library(np.repeat(predictions, 6, axis=0), truth).cross_fitted()
    assert ahead.value == pytest.approx(0.0, abs=1e-12)


def test_a_few_samples_that_show_no_difference_are_no_proof_that_there_is_none():
    judge = SimpleNamespace(
        name="judge",
        judged=lambda said, true: Evaluated(
            {"accuracy": 1.0}, {"accuracy_by_sample": said.round() == true}
        ),
    )
    by = Scored.by("accuracy", "maximize")
    truth, records = np.arange(100) % 2, [SimpleNamespace()] * 4
    alike = np.repeat(truth[None].astype(float), 4, axis=0)
    found = Library(records, alike, truth, judge, by, by, frozenset({"accuracy"}))
    interval = found.cross_fitted()[2].interval()
    assert (interval.value, interval.low < -0.02, interval.high > 0.02) == (0.0, True, True)


def probable(seed, trials=6, n=80, classes=4):
    """Return probabilities (trials, n, classes) that know something of the classes, and these."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, n)
    scores = random.normal(size=(trials, n, classes)) + 1.5 * np.eye(classes)[truth]
    return np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True), truth


def test_probabilities_are_improved_by_their_log_loss_and_are_mean_probabilities():
    predictions, truth = probable(0)
    found = library(predictions, truth)  # whose judge knows no classes
    everything = np.arange(len(truth))
    likely = found.likelihoods
    assert likely.shape == (6, 80)
    weights = np.array([0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    mean = found.mean(weights)[everything, truth]
    np.testing.assert_allclose(np.tensordot(weights, likely, 1), mean)
    grown = found._grown(everything)
    loss = -np.log(found.mean(grown)[everything, truth]).mean()
    alone = -np.log(likely).mean(axis=1)
    assert loss < alone.min(), "the mean of unrelated ones is better than each"
    assert grown.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda p, t: (np.log(p), t),
        lambda p, t: (p[..., :1], t),
        lambda p, t: (p, t.astype(float)),
        lambda p, t: (p, t + 1),
        lambda p, t: (p, t - 1),
        lambda p, t: (p * 1.1, t),
        lambda p, t: (p, np.eye(4, dtype=int)[t]),
    ],
)
def test_what_is_no_probability_of_known_classes_is_improved_by_the_metric(change):
    assert library(*change(*probable(1))).likelihoods is None


def caller(home):
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


def searched(folder, space=SPACE, *words):
    (folder / "space.yaml").write_text(space)
    ran = caller(folder / "home")(
        "run", folder / "space.yaml", "--name", "one", "--workers", 0, "--trials", 8, *words
    )
    assert ran.exit_code == 0, ran.output
    return folder / "home"


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_the_command_says_members_figures_size_and_what_is_gone(tmp_path, monkeypatch):
    home = searched(tmp_path)
    call = caller(home)
    document = json.loads(call("best", "one", "--ensemble", "--json").stdout)
    weights = {one["trial"]: one["weight"] for one in document["members"]}
    assert sum(weights.values()) == pytest.approx(1)
    sweep = sweeps.load("one", home)
    assert document["best"]["trial"] == sweep.best().number
    assert document["weights_gone"] == []
    chosen = select_ensemble(sweep.home, sweep.info)
    shares = 0
    store = sweep.home.store(sweep.info.id)
    for record in chosen.records:
        skill, seed = (one[0] for one in store.weights(record).values())
        powers = np.exp(drawn(float(skill), int(seed), LABELS))
        shares = shares + weights[record.trial] * powers / powers.sum(axis=1, keepdims=True)
    assert np.allclose(chosen.predictions, shares)
    monkeypatch.setenv("COLUMNS", "80")
    shown = call("best", "one", "--ensemble").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "An ensemble pays: " in shown, "their mistakes are unrelated"
    first = chosen.records[0]
    store.drop_weights(first.key)
    shown = " ".join(call("best", "one", "--ensemble").stdout.split())
    assert (
        f"the weights of trial {first.trial} are gone: `sweeps replay one {first.trial} " in shown
    )
    assert shown.endswith("trains one again, 0.5 s in all")
    found = json.loads(call("best", "one", "--ensemble", "--json").stdout)
    assert found["weights_gone"] == [first.trial]


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_members_are_exported_with_code_that_predicts_their_mean(tmp_path):
    home = searched(tmp_path, VERIFIED)
    call, folder = caller(home), tmp_path / "out"
    ran = call("export", "one", folder, "--ensemble")
    assert ran.exit_code == 0, ran.output
    sweep = sweeps.load("one", home)
    chosen = select_ensemble(sweep.home, sweep.info)
    code = "import numpy as np, predict; np.save('said', predict.predict(np.arange(240) % 4))"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    assert np.allclose(np.load(folder / "said.npy"), chosen.predictions)
    readme = (folder / "README.md").read_text()
    assert "Of each member: its answers to 240 samples equal those of the model" in readme
    assert "def predict(inputs):" in readme
    config = json.loads((folder / "config.json").read_text())
    assert [one["trial"] for one in config["members"]] == [one.key for one in chosen.records]
    assert call("export", "one", folder, "--ensemble").exit_code == 2, "it is not empty"
    both = call("export", "one", tmp_path / "other", "--ensemble", "--trial", 1)
    assert (both.exit_code, "leave --trial out" in both.stderr) == (2, True)
    sweep.home.store(sweep.info.id).drop_weights(chosen.records[0].key)
    gone = call("export", "one", tmp_path / "other", "--ensemble")
    assert (gone.exit_code, "nothing was written" in gone.stderr) == (2, True), gone.output
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_members_that_answer_otherwise_than_recorded_are_not_exported(tmp_path, monkeypatch):
    monkeypatch.setenv("RECORDED_OFF", "0.5")  # to all classes alike: the most likely one stays
    home = searched(tmp_path, VERIFIED)
    refused = caller(home)("export", "one", tmp_path / "out", "--ensemble")
    assert (refused.exit_code, "is not the one that was trained" in refused.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_what_has_no_ensemble_says_why(finished_toy):
    toy = finished_toy()
    refused = caller(toy.home.path)("best", "toy", "--ensemble")
    assert refused.exit_code == 2
    assert "keeps no predictions whose mean is one" in refused.stderr
    assert caller(toy.home.path)("best", "nothing", "--ensemble").exit_code == 2
