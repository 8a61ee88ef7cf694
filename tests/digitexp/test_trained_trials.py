"""What judges a trained network takes a folder of `digitexp train`, and a trial of a sweep."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from digitexp.cli import app, main
from digitexp.cli.options import find_trial, find_trials
from digitexp.experiments.recorded import Recorded
from sweeps.records import RecordStore
from tests.digitexp.pages.pages import data_of
from tests.sweeps import journals

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `mlruns`, where a sweep ran, and `net`: its trial 0, trained by hand."""
    place = tmp_path_factory.mktemp("trained")
    options = {"home": place / "mlruns", "workers": 0, "progress": "quiet"}
    sweeps.run("smoke", trials=2, overrides=("epochs=4",), **options)
    trial = sweeps.load("smoke", place / "mlruns").trial(0)
    config = {**trial.record.config, "seed": trial.record.seed}
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
    for name in ("same data", "rebuilt", "history"):
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


def test_pages(words, place, tmp_path):
    done = run("pages", *words, "smoke", "net", "-o", tmp_path / "found")
    assert done.exit_code == 0, done.exception
    found = {path.name: path.read_text() for path in (tmp_path / "found").iterdir()}
    assert sorted(found) == ["decision_regions.html", "pad.html", "softmax.html", "training.html"]
    champion = sweeps.load("smoke", place / "mlruns").best().number
    name = "net" if words == ["net"] else "smoke, trial 0"
    names = [name, f"smoke, champion (trial {champion})", "net"]
    networks = data_of(found["pad.html"])["networks"]
    assert [one["name"] for one in networks] == names
    assert networks[0]["temperature"] == networks[2]["temperature"] != 1
    trainings = data_of(found["training.html"])["trials"]
    assert [one["name"] for one in trainings] == names[:2]
    assert run("pages", *words).exit_code == 0
    folder = place / ("net" if words == ["net"] else "smoke-0")
    assert (folder / "pages" / "pad.html").is_file()


def test_a_shown_trial_answers_as_it_did_when_it_was_trained(place):
    best = sweeps.load("smoke", place / "mlruns").best()
    shown = Recorded(place / "mlruns").shown("smoke", "champion")
    expected = best.record.result.arrays["validation_logits"]
    np.testing.assert_allclose(shown.logits, expected, atol=1e-4)
    assert shown.temperature == best.record.result.info["temperature"]
    assert len(shown.history["val_loss"]) == best.row.epochs


def test_a_trial_whose_weights_were_freed_has_the_pages_that_need_none(place, tmp_path):
    copy = tmp_path / "mlruns"
    shutil.copytree(place / "mlruns", copy)
    for path in (copy / "sweeps").glob("*/trials/*.weights.npz"):
        path.unlink()
    done = run("pages", "smoke", "1", "--home", copy, "-o", tmp_path / "found")
    assert done.exit_code == 0, done.exception
    assert sorted(path.stem for path in (tmp_path / "found").iterdir()) == ["softmax", "training"]


def test_pages_need_no_tensorflow(place):
    code = (
        "import sys; from digitexp.experiments.recorded import Recorded; "
        "from digitexp.pages import interactive_pages; "
        f"shown = Recorded({str(place / 'mlruns')!r}).shown('smoke', 'champion'); "
        "assert len(interactive_pages(shown)) == 4; "
        "heavy = ('tensorflow', 'mlflow', 'optuna', 'pandas', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["away"], r"'away' is no folder; as a sweep: no sweep 'away'"),
        (["smok", "1"], r"no sweep 'smok'.*smoke"),
        (["smoke", "77"], "no trial 77"),
        (["smoke", "--data", "sklearn-digits"], r"other data \(digits20.*by --data"),
        (["smoke", "--data", "nowhere"], r"its data: .*nowhere"),
        (["elsewhere"], "one of elsewhere:experiment"),
        (["net", "net", "net", "net", "net"], "5 networks: give 1 to 4"),
    ],
)
def test_what_cannot_be_shown_is_said_and_nothing_is_made(
    place, monkeypatch, tmp_path, words, said
):
    monkeypatch.chdir(place)
    if words == ["elsewhere"]:
        shutil.copytree(place / "mlruns", tmp_path / "mlruns")
        store = RecordStore(next((tmp_path / "mlruns" / "sweeps").iterdir()))
        journals.alter(store, "begun", experiment="elsewhere:experiment")
        words = ["smoke", "--home", str(tmp_path / "mlruns")]
    refused = run("pages", *words, "-o", tmp_path / "found")
    assert isinstance(refused.exception, ValueError)
    assert re.search(said, str(refused.exception), re.DOTALL), str(refused.exception)
    assert not (tmp_path / "found").exists()


def test_the_removed_explorer_says_what_to_use_instead(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["digitexp", "explore", "smoke", "--port", "8052"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert "`digitexp pages DIR | SWEEP [TRIAL]`" in err


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
