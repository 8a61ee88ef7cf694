"""Anything is confirmed: shares, errors, losses, an AUC and a score, each by its own method."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit
from scipy.special import logit as logit_of
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.confirm.best import LEVEL
from sweeps.confirm.comparison import compare_finalists, decide, fold_answers, margin_of
from sweeps.confirm.finalists import Finalist, Scored
from sweeps.confirm.intervals import Outcomes, crossed_difference
from sweeps.errors import UsageError
from sweeps.experiment import ParameterInfo, TrialSpec
from sweeps.experiments.folds import FoldExperiment, numbered
from sweeps.experiments.loading import load_experiment
from sweeps.interval import LIMITS, Interval
from sweeps.records import RecordStore
from tests.chance import at_most
from tests.sweeps.factories import make_record
from tests.sweeps.folding_experiment import SAMPLES, SEARCHED, SPACE, FoldingExperiment

E = np.e
KINDS = {
    "accuracy": "samples and seeds",
    "mae": "samples and seeds",
    "log_loss": "samples and seeds",
    "auc": "folds",
    "profit": "folds",
}
"""By metric: the method that it is compared by."""
COMMON = {"accuracy", "mae", "auc"}
PATH = "tests.sweeps.folding_experiment:experiment@folds"


def marked(metric):
    return pytest.param(metric, marks=[] if metric in COMMON else [pytest.mark.nightly])


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def searched(tmp_path, metric, home, more=""):
    direction = FoldingExperiment.metrics[metric].direction
    space = SPACE.replace("METRIC", metric).replace("DIRECTION", direction)
    (tmp_path / "one.yaml").write_text(space.replace("pruner: none", f"pruner: none{more}"))
    ran = run("run", tmp_path / "one.yaml", "--workers", 0, "--home", home)
    assert ran.exit_code == 0, ran.output


@pytest.mark.slow
@pytest.mark.parametrize("metric", [marked(metric) for metric in KINDS])
def test_each_kind_is_confirmed_by_its_own_method(tmp_path, make_home, metric):
    home = make_home()
    searched(tmp_path, metric, home)
    words = ("confirm", "one", "--top", 2, "--workers", 0, "--home", home)
    more = ("--margin", 100) if metric == "profit" else ()
    found = json.loads(run(*words, *more, "--json").stdout)
    assert (found["metric"], found["method"], found["folds"]) == (metric, KINDS[metric], 20)
    leader, *_, last = found["standings"]
    assert leader["finalist"] != last["finalist"] == "baseline-blind"
    assert last["may_be_best"] is False, "it sees one input of six"
    assert last["leader_ahead_by"]["low"] > 0
    is_loss = FoldingExperiment.metrics[metric].direction == "minimize"
    assert is_loss == (leader["accuracy"]["value"] < last["accuracy"]["value"])
    assert leader["accuracy"]["unit"] == ("share" if metric == "accuracy" else "number")
    details = run(*words, "--details").stdout
    if metric != "accuracy":
        assert metric in details
        assert not any(word in details for word in ("accurac", "point", "image", " %,"))
    report = tmp_path / "report.html"
    assert run("report", "one", "-o", report, "--home", home).exit_code == 0
    assert f"{metric} to quote" in report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_space_says_metric_and_margin(tmp_path, make_home):
    home = make_home()
    searched(tmp_path, "auc", home, ", confirm: {metric: mae, margin: 0.02, top: 1, folds: 8}")
    words = ("confirm", "one", "--workers", 0, "--home", home)
    found = json.loads(run(*words, "--json").stdout)
    assert (found["metric"], found["margin"], found["folds"]) == ("mae", 0.02, 8)
    assert len(found["standings"]) == 2


@pytest.mark.slow
@pytest.mark.nightly
def test_samples_in_time_order_are_said_to_be_judged_by_their_past(tmp_path, make_home):
    own, home = tmp_path / "own", make_home()
    assert run("init", own, "--kind", "scikit-learn").exit_code == 0
    experiment = own / "experiment.py"
    text = experiment.read_text(encoding="utf-8")
    experiment.write_text(text.replace("# ordered=True", "ordered=True"), encoding="utf-8")
    at_home = ("--workers", 0, "--home", home)
    planned = " ".join(run("plan", own / "space.yaml", "--home", home).stdout.split())
    assert "on 20 folds of 27 samples each that score no trial and follow those that" in planned
    ran = run("run", own / "space.yaml", "--name", "one", "--trials", 3, *at_home)
    assert ran.exit_code == 0, ran.output
    words = ("confirm", "one", "--top", 2, "--folds", 8, *at_home)
    found = json.loads(run(*words, "--json").stdout)
    assert found["metric"] == "neg_mean_absolute_error"
    assert found["method"] == "rolling origin"
    assert "trained on the past of each fold" in found["answer"][-1]
    said = " ".join(run(*words, "--details").stdout.split())
    assert "which follows all that trains it (rolling origin, Tashman 2000)" in said
    said = " ".join(run("report", "one", "--methods", "--home", home).stdout.split())
    assert "each after all samples that train it (rolling origin, Tashman 2000)" in said


@pytest.mark.slow
def test_fresh_folds_power_and_methods_follow_the_metric(tmp_path, make_home):
    home = make_home()
    searched(tmp_path, "mae", home)
    at_home = ("--home", home)
    plan = ("plan", tmp_path / "one.yaml", "--power", *at_home)
    unknown = run(*plan)
    assert unknown.exit_code == 2
    assert "how much mae differs by chance is measured by a confirmation" in unknown.stderr

    words = ("confirm", "one", "--top", 2, "--folds", 20, "--workers", 0, *at_home, "--json")
    first, again = (json.loads(run(*words, "--fresh", n).stdout) for n in (0, 1))
    assert (first["fresh"], again["fresh"]) == (0, 1)
    assert {one["finalist"] for one in first["standings"]} == {
        one["finalist"] for one in again["standings"]
    }
    assert first["quotable"] != again["quotable"], "the same samples, divided otherwise"

    planned = json.loads(run(*plan, "--json").stdout)
    assert planned["unit"] == "number"
    assert planned["seen"][0]["difference"] < 1, "errors are about one"
    said = run("report", "one", "--methods", *at_home).stdout
    assert "The estimand is the mae" in " ".join(said.split())
    assert not any(word in said for word in ("accuracy", "points"))


def test_a_parameter_with_the_name_of_a_confirmations_own_is_refused(monkeypatch):
    own = {"fresh": ParameterInfo("int", 0, 1, default=0)}
    monkeypatch.setattr(FoldingExperiment, "parameters", own)
    with pytest.raises(UsageError, match="has a parameter 'fresh' of its own"):
        FoldExperiment(FoldingExperiment(), PATH)


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        (lambda self, data, seed, n: [1, 2][n], "IndexError: list index out of range (test_any_me"),
        (lambda self, data, seed, n: [(data, None)] * n, "gave tuple; each is to be a `sweeps.cap"),
        (lambda self, data, seed, n: [], "gave 0 folds; 4 are needed"),
    ],
)
def test_folds_that_cannot_be_used_are_named_with_their_line(monkeypatch, folds, said):
    monkeypatch.setattr(FoldingExperiment, "folds", folds)
    on_folds = FoldExperiment(FoldingExperiment(), PATH)
    with pytest.raises(ValueError, match="`folds` of experiment") as raised:
        on_folds.divided({"fold": 0}, on_folds.prepare(None, 0))
    assert said in str(raised.value)


def test_a_metric_that_is_not_there_is_refused_before_anything_begins(tmp_path, make_home):
    space = SPACE.replace("METRIC", "auc").replace("DIRECTION", "maximize")
    (tmp_path / "one.yaml").write_text(space.replace("none}", "none, confirm: {metric: maee}}"))
    home = make_home()
    result = run("run", tmp_path / "one.yaml", "--confirm", "--workers", 0, "--home", home)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "has no such metric; did you mean 'mae'?" in " ".join(result.stderr.split())


SAME = [Finalist(f"trial-{number}", number, {}, None, number + 1) for number in range(5)]


def five_times_the_same(draw, scored, folds=20):
    """Return the outcomes of one configuration, trained with five seeds on the folds of a draw."""
    experiment = FoldingExperiment(draw)
    data = experiment.prepare(None, 0)
    divided = [fold for repeat in range(folds // 4) for fold in experiment.folds(data, repeat, 4)]
    answers = [
        [
            fold_answers(
                numbered(
                    experiment.train(
                        TrialSpec("s", 0, 1, 100 * number + one, {"inputs": 6}), fold.data, None
                    ),
                    fold,
                ),
                scored,
            )
            for number, fold in enumerate(divided)
        ]
        for one in range(len(SAME))
    ]
    samples = np.array([fold.samples for fold in divided])
    scores = np.array([[answer.scores for answer in own] for own in answers], float)
    return Outcomes(scores, samples if len(answers[0][0].samples) else None)


@pytest.mark.slow
@pytest.mark.parametrize("metric", KINDS)
def test_one_of_five_equals_is_called_better_no_more_often_than_promised(metric):
    scored, draws = Scored.by(metric, FoldingExperiment.metrics[metric].direction), 40
    better = 0
    for draw in range(draws):
        outcomes = five_times_the_same(draw, scored)
        assert (outcomes.samples is None) == (KINDS[metric] == "folds")
        verdict = decide(outcomes, SAME, {}, 1e-6, scored)
        better += verdict.settled
    assert better <= at_most(LEVEL, draws)


def test_the_variance_of_one_number_a_fold_is_the_corrected_one():
    random = np.random.default_rng(0)
    numbers = random.normal(size=(2, 12))
    found = crossed_difference(Outcomes(numbers[:, :, None], None), 0, 1)
    apart = numbers[0] - numbers[1]
    assert found.value == pytest.approx(apart.mean())
    corrected = apart.var(ddof=1) * (1 / 12 + 1 / 3)  # Nadeau & Bengio 2003, a quarter evaluated
    assert found.error**2 == pytest.approx(corrected)
    assert found.freedom == 11


def test_the_margin_is_a_tenth_of_the_distance_from_perfect():
    def finalists(searched):
        return [Finalist("trial-1", 1, {}, searched, 1), Finalist("baseline-a", 0, {}, searched, 2)]

    assert margin_of(finalists(0.8), Scored.by("auc", "maximize")) == pytest.approx(0.02)
    assert margin_of(finalists(3.0), Scored.by("mae", "minimize")) == pytest.approx(0.3)
    with pytest.raises(UsageError, match="profit has no distance from perfect"):
        margin_of(finalists(30.0), Scored.by("profit", "maximize"))


def test_an_accuracy_that_is_counted_in_percent_is_a_plain_number():
    scored = Scored.by("test_accuracy", "maximize")
    assert scored.in_unit_of([Finalist("trial-1", 1, {}, 0.93, 1)]).unit == "share"
    assert scored.in_unit_of([Finalist("trial-1", 1, {}, 93.2, 1)]).unit == "number"


def logit(low, high):
    """Return what makes of a value its ends on the logit scale, by another formula than ours."""
    return lambda value: tuple(
        float(expit(logit_of(value) + (end - value) / (value * (1 - value)))) for end in (low, high)
    )


@pytest.mark.parametrize(
    ("metric", "direction", "value", "ends", "within"),
    [
        ("best_val_f1", "maximize", 0.84, (0.69, 1.08), logit(0.69, 1.08)),
        ("roc_auc", "maximize", 0.1, (-0.1, 0.3), logit(-0.1, 0.3)),
        ("best_val_accuracy", "maximize", 0.99, (0.97, 1.01), logit(0.97, 1.01)),
        ("best_val_accuracy", "maximize", 1.0, (0.97, 1.01), (0.97, 1.0)),
        ("best_val_r2", "maximize", 0.9, (0.85, 0.95), (1 - 0.1 * E**0.5, 1 - 0.1 / E**0.5)),
        ("best_val_r2", "maximize", 0.9, (-0.7, 1.2), (-2.3, 1 - 0.1 / E**3)),
        ("best_val_price_rmse", "minimize", 0.2, (0.1, 0.3), (0.2 / E**0.5, 0.2 * E**0.5)),
        ("best_val_price_rmse", "minimize", 0.2, (-0.3, 0.7), (0.2 / E**2.5, 1.2)),
        ("best_val_cross_entropy", "minimize", 0.0, (-0.3, 0.7), (0.0, 0.7)),
        ("accuracy", "maximize", 99.0, (97.0, 101.0), (97.0, 101.0)),  # in percent
        ("neg_mae", "maximize", -0.2, (-0.7, 0.3), (-0.7, 0.3)),
        ("loss", "minimize", -0.2, (-0.7, 0.3), (-0.7, 0.3)),  # a loss of its own kind
        ("accuracy_gap", "minimize", 0.2, (-0.3, 0.7), (-0.3, 0.7)),
        ("profit", "maximize", 0.2, (-0.3, 1.7), (-0.3, 1.7)),
    ],
)
def test_no_interval_leads_beyond_what_its_metric_can_be(metric, direction, value, ends, within):
    scored = Scored.by(metric, direction)
    oriented = Interval(value, *ends)
    found = scored.measured(oriented if direction == "maximize" else -oriented)
    wanted = within(value) if callable(within) else within
    assert found.value == value
    assert found.ends == pytest.approx(wanted)


def test_an_interval_is_as_it_was_far_from_the_limits_and_never_leads_beyond_them():
    narrow = Interval(0.5, 0.499, 0.501).within("accuracy")
    assert narrow.ends == pytest.approx((0.499, 0.501), abs=1e-8)
    for metric, (least, most) in LIMITS.items():
        for value in (1e-12, 0.3, 1 - 1e-12):
            low, high = Interval(value, value - 40, value + 40).within(metric).ends
            assert least <= low <= value <= high <= most


@pytest.mark.parametrize("metric", ["mae", "auc"])
def test_a_training_without_answers_counts_as_the_worst_of_any_finalist(tmp_path, metric):
    on_folds = load_experiment(PATH, None)
    data, store = on_folds.prepare(None, 0), RecordStore(tmp_path / "one")
    store.folder.mkdir()
    labels, values = ("trial-1", "trial-2"), {"trial-1": [], "trial-2": []}
    for fold in range(8):
        for place, label in enumerate(labels):
            spec = TrialSpec("s", 0, 1, 0, {"inputs": 6 - place, "block": fold})
            result = on_folds.train(spec, data, None)
            is_lost = (fold, place) == (5, 0)
            values[label].append(None if is_lost else result.metrics[metric])
            record = make_record(
                2 * fold + place,
                outcome="failed" if is_lost else "complete",
                params={"block": fold, "finalist": label},
                result=None if is_lost else result,
            )
            store.write(record)
    finalists = [Finalist(label, place, {}, 0.9, place + 1) for place, label in enumerate(labels)]
    scored = Scored.by(metric, FoldingExperiment.metrics[metric].direction)
    verdict = compare_finalists(store, finalists, 8, scored=scored).verdict
    own = next(one for one in verdict.standings if one.finalist == "trial-1")
    known = [value for value in values["trial-1"] if value is not None]
    worst = (max if metric == "mae" else min)([*known, *values["trial-2"]])
    assert own.failed == 1
    assert own.accuracy.value == pytest.approx(np.mean([*known, worst]))


def test_an_array_that_is_not_the_metric_sample_by_sample_is_refused():
    on_folds = load_experiment(PATH, None)
    data = on_folds.prepare(None, 0)
    config = {"inputs": 6, "block": 5}
    result = on_folds.train(TrialSpec("s", 0, 1, 0, config), data, None)
    scored = Scored.by("mae", "minimize")
    assert -fold_answers(result, scored).scores.mean() == pytest.approx(result.metrics["mae"])
    result.metrics["mae"] *= 2
    with pytest.raises(ValueError, match="kept 'mae_by_sample' with the mean"):
        fold_answers(result, scored)


def test_folds_score_every_sample_once_under_the_seed_of_the_fold():
    on_folds = load_experiment(PATH, None)
    data = on_folds.prepare(None, 0)

    def trained(fold, inputs, seed):
        spec = TrialSpec("s", 0, 1, seed, {"inputs": inputs, "block": fold})
        return on_folds.train(spec, data, None).arrays

    samples = [trained(fold, 6, 0)["fold_samples"] for fold in range(8)]
    for repeat in (samples[:4], samples[4:]):
        assert sorted(np.concatenate(repeat)) == list(range(SAMPLES - SEARCHED))
    assert not np.array_equal(samples[0], samples[4])
    one, same, other = trained(3, 6, 0), trained(3, 6, 9), trained(3, 5, 9)
    assert np.array_equal(one["mae_by_sample"], same["mae_by_sample"])
    assert np.array_equal(one["fold_samples"], other["fold_samples"])
