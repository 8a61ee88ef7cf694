import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

import sweeps
from digitexp.apps.explorer.session import Choice, Session
from digitexp.experiments.recorded import CHAMPION, Recorded

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_trials_come_best_first_after_the_champion(recorded, home):
    best = sweeps.load("smoke", home).best()
    found = recorded.trials("smoke")
    assert recorded.sweeps() == ["smoke"]
    assert found[0].key == CHAMPION
    assert found[0].label == f"champion · trial {best.number}"
    assert found[1].key == str(best.number)
    assert sorted(one.key for one in found[1:]) == ["0", "1", "2"]
    worths = [float(one.label.rpartition(" ")[2]) for one in found[1:]]
    assert worths == sorted(worths, reverse=True)
    assert all(one.answers for one in found)


def test_a_shown_trial_answers_as_it_did_when_it_was_trained(recorded, home):
    best = sweeps.load("smoke", home).best()
    shown = recorded.shown("smoke", CHAMPION)
    expected = best.record.result.arrays["validation_logits"]
    np.testing.assert_allclose(shown.logits, expected, atol=1e-4)
    assert shown.temperature == best.record.result.info["temperature"]
    assert len(shown.history["val_loss"]) == best.row.epochs
    assert recorded.shown("smoke", CHAMPION) is shown  # read once
    by_number = recorded.shown("smoke", str(best.number))
    assert (shown.name, by_number.name) == (
        f"smoke, champion (trial {best.number})",
        f"smoke, trial {best.number}",
    )
    assert np.shares_memory(by_number.train_images, shown.train_images)


def test_trials_that_are_recorded_later_are_there_when_asked_again(home, tmp_path):
    copy = tmp_path / "mlruns"
    shutil.copytree(home, copy)
    folder = next((copy / "records").iterdir())
    late = [*folder.glob("0002-*")]
    for path in late:
        path.rename(tmp_path / path.name)
    recorded = Recorded(copy, None, None)
    assert "2" not in [one.key for one in recorded.trials("smoke")]
    for path in late:
        shutil.move(tmp_path / path.name, path)
    assert "2" in [one.key for one in recorded.trials("smoke")]


def test_a_trial_whose_weights_were_freed_shows_its_course_only(home, tmp_path):
    copy = tmp_path / "mlruns"
    shutil.copytree(home, copy)
    for path in (copy / "records").glob("*/*.weights"):
        path.unlink()
    recorded = Recorded(copy, None, None)
    assert not any(one.answers for one in recorded.trials("smoke") if one.key != CHAMPION)
    assert len(recorded.shown("smoke", "1").history["loss"]) == 4
    with pytest.raises(ValueError, match="has no weights"):
        Session(recorded).reply(Choice("smoke", "1", None), {"strokes": [[[1, 2], [3, 9]]]})


def test_other_data_than_it_was_trained_on_are_refused(home):
    with pytest.raises(ValueError, match=r"other data \(digits20.*by --data"):
        Recorded(home, None, "sklearn-digits").shown("smoke", CHAMPION)
    with pytest.raises(ValueError, match=r"its data: .*nowhere"):
        Recorded(home, None, "nowhere").shown("smoke", CHAMPION)


def test_what_is_not_there_is_said(recorded, home, tmp_path):
    with pytest.raises(ValueError, match=r"no sweep 'smok'.*smoke"):
        recorded.trials("smok")
    with pytest.raises(ValueError, match="no trial 77"):
        recorded.shown("smoke", "77")
    with pytest.raises(ValueError, match=r"trial '\.\./x'"):
        recorded.shown("smoke", "../x")
    with pytest.raises(ValueError, match="no such folder"):
        Recorded(tmp_path / "away", None, None)


def test_a_sweep_of_something_else_is_not_listed(home, tmp_path):
    copy = tmp_path / "mlruns"
    shutil.copytree(home, copy)
    document = next((copy / "records").iterdir()) / "sweep.json"
    told = json.loads(document.read_text())
    document.write_text(json.dumps({**told, "experiment": "elsewhere:experiment"}))
    recorded = Recorded(copy, None, None)
    assert recorded.sweeps() == []
    with pytest.raises(ValueError, match="one of elsewhere:experiment"):
        recorded.trials("smoke")


def test_choices_keep_what_a_link_wishes_and_say_what_is_missing(session):
    kept = session.choices(Choice("smoke", "1", "0"))
    assert kept.chosen == Choice("smoke", "1", "0")
    assert kept.trouble == ""
    gone = session.choices(Choice("smoke", "9", None))
    assert (gone.chosen.trial, gone.trouble) == (
        CHAMPION,
        "Sweep smoke has no trial 9 with an outcome.",
    )
    assert "'other'" in session.choices(Choice("other", None, None)).trouble


def test_two_trials_answer_side_by_side_and_the_nearest_are_nearest(session):
    drawing = {"strokes": [[[50, 0], [50, 50], [51, 100]]]}
    reply = session.reply(Choice("smoke", CHAMPION, "0"), drawing)
    said, name = reply.beside
    assert name == "smoke, trial 0"
    for answer in (reply.first, said):
        assert answer.probabilities.shape == (10,)
        assert answer.probabilities.sum() == pytest.approx(1)
        assert answer.probability >= answer.second_probability
    assert not np.array_equal(said.probabilities, reply.first.probabilities)
    trial = session.recorded.shown("smoke", CHAMPION)
    distances = np.linalg.norm(trial.train_images - reply.image, axis=(1, 2))
    expected = np.sort(distances)[:8]
    np.testing.assert_allclose([one.distance for one in reply.neighbours], expected, rtol=1e-4)
    assert session.reply(Choice("smoke", CHAMPION, None), None).first is None  # a blank pad


def test_probabilities_are_at_the_fitted_temperature(session):
    trial = session.recorded.shown("smoke", CHAMPION)
    hot = dataclasses.replace(trial, temperature=50.0)
    from digitexp.apps.explorer.session import Asked

    image = trial.images[:1]
    (own,), (flat,) = Asked(trial).answers(image), Asked(hot).answers(image)
    scores = np.exp((trial.logits[0] - trial.logits[0].max()) / trial.temperature)
    np.testing.assert_allclose(own.probabilities, scores / scores.sum(), rtol=1e-3)
    assert flat.order == own.order
    assert not flat.is_sure


def test_tensorflow_is_not_needed(home):
    import subprocess

    code = (
        "import sys; from digitexp.experiments.recorded import Recorded; "
        "from digitexp.apps.explorer.session import Choice, Session; "
        "import digitexp.apps.explorer.app; "
        f"session = Session(Recorded({str(home)!r}, None, None)); "
        "session.reply(Choice('smoke', 'champion', '0'), {'strokes': [[[1, 2], [3, 90]]]}); "
        "heavy = ('tensorflow', 'mlflow', 'optuna', 'pandas', 'sklearn', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
