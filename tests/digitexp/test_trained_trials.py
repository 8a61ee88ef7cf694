"""What judges a trained network takes a folder of `digitexp train`, and a trial of a sweep."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from digitexp.cli import app
from digitexp.cli.options import find_trial, find_trials
from digitexp.experiments.recorded import Recorded, RecordedFolder

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `mlruns`, where a sweep ran, and `net`: its trial 0, trained by hand."""
    place = tmp_path_factory.mktemp("trained")
    options = {"home": place / "mlruns", "workers": 0, "progress": "quiet"}
    sweeps.run("smoke", trials=2, overrides=("epochs=4",), **options)
    trial = sweeps.load("smoke", place / "mlruns").trial(0)
    config = {**trial.record.spec.config, "seed": trial.record.spec.seed}
    settings = [word for name, value in config.items() for word in ("--set", f"{name}={value}")]
    assert run("train", "-o", place / "net", "-q", *settings).exit_code == 0
    return place


@pytest.fixture(params=["folder", "sweep"])
def words(request, place, monkeypatch):
    monkeypatch.chdir(place)
    return ["net"] if request.param == "folder" else ["smoke", "0"]


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_both_are_the_same_trial(place, monkeypatch):
    monkeypatch.chdir(place)
    by_hand, of_sweep = find_trials(["net", "smoke", "0"])
    assert by_hand.config == of_sweep.config
    assert (by_hand.outcome, by_hand.stop_reason) == (of_sweep.outcome, of_sweep.stop_reason)
    assert by_hand.class_names == of_sweep.class_names
    assert by_hand.image_shape == of_sweep.image_shape
    assert by_hand.history.keys() == of_sweep.history.keys()
    assert by_hand.weights.keys() == of_sweep.weights.keys()
    for one, other in (
        (by_hand.confusion, of_sweep.confusion),
        (by_hand.counts, of_sweep.counts),
        (by_hand.history["val_loss"], of_sweep.history["val_loss"]),
        (by_hand.with_images().labels, of_sweep.with_images().labels),
        (by_hand.with_images().logits, of_sweep.with_images().logits),
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_evaluate(words, tmp_path):
    done = run("evaluate", *words, "-o", tmp_path / "found", "--json")
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout)
    trial = find_trial(words)
    assert found["accuracy"] == pytest.approx(trial.metrics["best_val_accuracy"])
    assert found["train_accuracy"] == pytest.approx(trial.metrics["train_accuracy"])
    assert found["confusion"] == trial.counts.tolist()
    assert found["mistakes"][0]["image_number"] is not None
    assert (tmp_path / "found" / "errors.png").is_file()


def test_calibrate(words, place):
    done = run("calibrate", *words, "--json")
    assert done.exit_code == 0, done.exception
    folder = place / ("net" if words == ["net"] else "smoke-0")
    assert json.loads((folder / "calibration.json").read_text()) == json.loads(done.stdout)
    assert (folder / "reliability.png").is_file()


def test_check(words):
    done = run("check", *words, "--json")
    findings = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    for name in ("same data", "same split", "rebuilt", "history", "how it ended"):
        assert findings[name]["verdict"] == "ok", name


def test_robustness(words, tmp_path):
    done = run("robustness", *words, "-o", tmp_path / "curves.png", "--json")
    assert done.exit_code == 0, done.exception
    ((name, found),) = json.loads(done.stdout)["accuracies"].items()
    assert name == ("net" if words == ["net"] else "smoke, trial 0")
    assert found[0] == pytest.approx(find_trial(words).metrics["best_val_accuracy"])


def test_robustness_compares_both(place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    done = run("robustness", "smoke", 0, "net", "smoke", "champion", "-o", tmp_path / "x.png")
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "x.png").is_file()


def test_explore(words, place):
    from digitexp.apps.explorer.session import Choice, Session

    recorded = Recorded(place / "mlruns") if len(words) > 1 else RecordedFolder(Path("net"))
    session = Session(recorded, *words)
    chosen = session.choices(Choice(None, None, None)).chosen
    assert chosen == Choice(words[0], "0", None)
    reply = session.reply(chosen, {"strokes": [[[50, 0], [50, 50], [51, 100]]]})
    assert reply.first.probabilities.sum() == pytest.approx(1)
    shown = session.chosen(chosen).trial
    assert len(shown.confusion) == len(shown.history["loss"])
    assert shown.temperature != 1.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["away"], "there is no folder 'away'"),
        (["net", "net"], "received net net, 2 trials: give one"),
        (["smoke", "77"], "has no trial 77"),
        (["smok", "0"], "no sweep 'smok'"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_is_made(place, monkeypatch, words, said):
    monkeypatch.chdir(place)
    before = sorted(place.iterdir())
    for command in ("evaluate", "calibrate"):
        refused = run(command, *words)
        assert isinstance(refused.exception, ValueError)
        assert said in str(refused.exception)
    assert sorted(place.iterdir()) == before
