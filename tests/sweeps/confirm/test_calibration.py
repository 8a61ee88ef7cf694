"""Whether calibration helps, by the crossed error of samples and folds; and how it is told."""

from pathlib import Path

import numpy as np
import pytest

from digitexp.data import load_source, split_source
from digitexp.experiments.digits import SplitImages, experiment
from sweeps.confirm.calibration import calibration
from sweeps.confirm.planning import refit_space
from sweeps.experiment import PreparedData, TrialResult
from sweeps.records.conclusions import CalibrationConclusion
from sweeps.render.sections.confirmed import put_in_words
from tests.chance import at_least
from tests.digitexp.calibration.drawn import drawn, true_changes
from tests.sweeps.confirm.test_verdict import finalists, verdicts

N, FOLDS_A_REPEAT, DRAWS = 100, 4, 200


def result(seed, temperature, told=None):
    """Return a training on a fold whose right temperature is known, and that served at another.

    Its samples are as if they were images of the embedded digits with the classes that were drawn.
    """
    logits, labels = drawn(N, temperature, seed)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    arrays = {
        "fold_predictions": (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32),
        "fold_samples": np.array([OF_CLASS[label] for label in labels]),
    }
    info = {} if told is None else {"temperature": told}
    return TrialResult("complete", "max_epochs", {}, {}, arrays=arrays, info=info)


SOURCE = load_source(None)
OF_CLASS = [int(np.flatnonzero(SOURCE.labels == label)[0]) for label in range(10)]
DATA = PreparedData("digits20", "", "", {}, SplitImages(SOURCE, split_source(SOURCE, 0)))


def terms_of(results):
    return experiment.calibration_terms(results, DATA)


def samples_of(folds, seed=0):
    rng = np.random.default_rng(seed)
    repeats = [
        rng.permutation(FOLDS_A_REPEAT * N).reshape(FOLDS_A_REPEAT, N)
        for _ in range(folds // FOLDS_A_REPEAT)
    ]
    return np.concatenate(repeats)


def measured(right, told, folds=20, first=0):
    results = [result(first + seed, right, told) for seed in range(folds)]
    return calibration(terms_of(results), samples_of(folds))


@pytest.mark.parametrize(
    ("right", "told", "word"),
    [(2.0, 2.0, "lower"), (1.0, 0.5, "higher"), (1.0, 1.0, "cannot tell")],
)
def test_a_temperature_that_is_right_lowers_and_a_wrong_one_raises_both(right, told, word):
    found = measured(right, told)
    assert {measure.verdict for measure in found.measures.values()} == {word}
    assert found.temperature == found.lowest == found.highest == pytest.approx(told)
    for measure in found.measures.values():
        assert measure.change.value == pytest.approx(measure.after.value - measure.before.value)


def test_values_are_those_of_all_answers_together():
    results = [result(seed, 2.0, 1.5 + seed / 10) for seed in range(8)]
    terms = terms_of(results)
    shares = np.concatenate([r.arrays["fold_predictions"] for r in results]).astype(np.float64)
    logits = np.log(shares)
    labels = SOURCE.labels[np.concatenate([r.arrays["fold_samples"] for r in results])]
    scaled = logits / np.repeat([1.5 + seed / 10 for seed in range(8)], N)[:, np.newaxis]
    for given, one in ((terms.before, logits), (terms.after, scaled)):
        shares = np.exp(one - one.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        chosen = shares[np.arange(len(labels)), labels]
        assert given["nll"].mean() == pytest.approx(-np.log(chosen).mean())
        sure, right = shares.max(axis=1), shares.argmax(axis=1) == labels
        place = np.ceil(sure * 15).astype(int)
        gaps = [abs((sure - right)[place == b].sum()) for b in range(1, 16)]
        assert given["ece"].mean() == pytest.approx(sum(gaps) / len(labels))
        assert given["ece"].shape == given["nll"].shape == (8, N)
    assert calibration(terms, samples_of(8)).temperature == pytest.approx(
        np.prod(terms.temperatures) ** (1 / 8)
    )


@pytest.mark.slow
def test_intervals_of_the_change_cover_what_it_truly_is():
    found = [measured(1.3, 1.3, first=1000 * draw) for draw in range(DRAWS)]
    for name, truth in true_changes(20 * N, 1.3).items():
        changes = [one.measures[name].change for one in found]
        covered = sum(low <= truth <= high for low, high in (c.ends for c in changes))
        assert covered >= at_least(0.95, DRAWS), name
        values = [change.value for change in changes]
        assert abs(np.mean(values) - truth) <= 3 * np.std(values) / DRAWS**0.5, name


def test_with_fewer_than_eight_folds_nothing_is_called_lower():
    assert {measure.verdict for measure in measured(2.0, 2.0, 8).measures.values()} == {"lower"}
    four = [result(seed, 2.0, 2.0) for seed in range(4)]
    twice = np.concatenate([samples_of(4)[:2]] * 2)  # every sample in two folds
    found = calibration(terms_of(four), twice)
    assert {measure.verdict for measure in found.measures.values()} == {"cannot tell"}


def test_of_trainings_made_before_temperatures_were_kept_nothing_is_said():
    assert terms_of([result(1, 2.0, 2.0), result(0, 2.0)]) is None


def test_it_is_told_with_figures_and_in_words():
    verdict = next(verdicts(3.0, 3, 20))
    labels = [standing.finalist for standing in verdict.standings]
    found = {label: measured(2.0, 2.0) for label in labels}
    winner = verdict.champion
    told = put_in_words(CalibrationConclusion(winner, found))
    ece = found[winner].measures["ece"]
    assert told.lead.startswith(f"{winner}: its calibration error is lower at the fitted")
    assert f"{100 * ece.after.value:.2f} points, not {100 * ece.before.value:.2f} (" in told.lead
    assert [row[0] for row in told.rows] == [label for label in labels for _ in range(2)]
    assert all(len(row) == len(told.columns) for row in told.rows)
    assert {row[-1] for row in told.rows} == {"lower"}


def test_a_refit_is_given_the_temperature_if_there_is_one():
    (finalist,) = finalists(1)
    folder = Path("a", "refit")
    assert refit_space("a.b:c", finalist, 7, 1.25, folder).fixed["temperature"] == 1.25
    assert "temperature" not in refit_space("a.b:c", finalist, 7, None, folder).fixed
