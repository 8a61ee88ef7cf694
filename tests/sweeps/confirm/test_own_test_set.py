"""The test set and the ensemble of an experiment that divides its own data into folds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.capabilities import Evaluated
from sweeps.cli import app
from sweeps.confirm.access_log import AccessLog, Entry
from sweeps.confirm.finalists import Scored
from sweeps.confirm.test_set import conclude_evaluations, questions_of
from sweeps.home import Home
from sweeps.records import RecordError
from sweeps.render.sections.confirmed import put_in_words
from tests.sweeps.folding_experiment import SPACE, FoldingExperiment, TestedFoldingExperiment

SAMPLES = 260


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def searched(folder, home, metric, experiment="tested"):
    space = SPACE.replace("METRIC", metric)
    space = space.replace("DIRECTION", FoldingExperiment.metrics[metric].direction)
    path = folder / f"{metric}-{experiment}.yaml"
    path.write_text(space.replace("ent:experiment", f"ent:{experiment}"))
    ran = run("run", path, "--workers", 0, "--home", home)
    assert ran.exit_code == 0, ran.output
    return path.stem


def confirming(name, home):
    at_home = ("--workers", 0, "--home", home)
    return ("confirm", name, "--top", 1, "--folds", 8, *at_home)


def entries(roles=("winner", "baseline"), sweep="20250101-aaaaaaaa", trainings=8):
    keys = [f"{number:04d}-1" for number in range(trainings)]
    return [
        Entry(sweep, "own", role, f"trial-{n}", "20250101-bbbbbbbb", keys, [f"{n}"] * trainings)
        for n, role in enumerate(roles)
    ]


def evaluated(tmp_path, scored, values):
    """Return an evaluation and its stored scores, of values (entries, trainings, n)."""
    access_log = AccessLog(Home(tmp_path), "ab" * 32)
    found = entries(("winner", "baseline", "champion")[: len(values)], trainings=len(values[0]))
    evaluation = access_log.freeze(found, questions_of(scored), "", scored=scored)
    named = {f"values_{place}": one for place, one in enumerate(values)}
    access_log.keep(evaluation, {"samples": np.array(SAMPLES), **named})
    (again,) = access_log.all()
    return again, access_log.scores(again)


def concluded(evaluation, scores):
    return conclude_evaluations(evaluation, "20250101-aaaaaaaa", scores, evaluation.at(1))


def test_an_error_is_quoted_as_it_is_and_a_smaller_one_is_ahead(tmp_path):
    random = np.random.default_rng(0)
    hard = random.exponential(1.0, SAMPLES)
    values = np.array([[hard + shift] * 8 for shift in (1.0, 1.5, 0.75)])
    values[0] += random.normal(0, 0.01, values[0].shape)
    evaluation, scores = evaluated(tmp_path, Scored.by("mae", "minimize"), values)
    assert (evaluation.metric, evaluation.direction, evaluation.unit) == (
        "mae", "minimize", "number"
    )  # fmt: skip
    found = concluded(evaluation, scores)
    winner, baseline = found.finalists
    assert winner.accuracy.value == pytest.approx(values[0].mean())
    assert baseline.champion_ahead_by.value == pytest.approx((values[1] - values[0]).mean())
    assert baseline.champion_ahead_by.low > 0, "the winner has the smaller error"
    assert found.refit_accuracy == pytest.approx(values[2].mean())
    assert (found.samples, found.trainings, found.files) == (SAMPLES, 8, None)
    told = put_in_words(found)
    assert told.lead.startswith("On the test set trial-0, the champion, has mae ")
    said = " ".join([told.lead, *told.columns, *told.lines, told.note])
    assert not any(word in said for word in ("%,", "recognises", "accurac", "point"))


def test_one_number_a_training_does_not_allow_for_other_samples(tmp_path):
    random = np.random.default_rng(0)
    values = 0.8 + random.normal(0, 0.01, (2, 8, 1))
    evaluation, scores = evaluated(tmp_path, Scored.by("auc", "maximize"), values)
    found = concluded(evaluation, scores)
    assert (found.samples, found.is_by_sample) == (SAMPLES, False)
    corrected = values[0].var(ddof=1) * (1 / 8 + 1 / 3)
    own = found.finalists[0].accuracy
    assert (own.high - own.low) / 2 == pytest.approx(2.3646 * np.sqrt(corrected), rel=1e-3)
    assert "not for new samples: auc is one number a training" in " ".join(
        put_in_words(found).lines
    )


def test_right_or_wrong_sample_by_sample_is_compared_file_by_file(tmp_path):
    right = np.random.default_rng(0).random((2, 8, SAMPLES)) < np.array([0.9, 0.7])[:, None, None]
    scored = Scored.by("val_accuracy", "maximize")
    evaluation, scores = evaluated(tmp_path, scored, right.astype(float))
    found = concluded(evaluation, scores)
    assert found.files.only_champion == (right[0, 0] & ~right[1, 0]).sum()
    assert "recognises" in put_in_words(found).lead


@pytest.mark.parametrize("change", [{"values_0": np.ones((7, 1))}, {"samples": np.ones(3)}])
def test_damaged_values_are_refused(tmp_path, change):
    access_log = AccessLog(Home(tmp_path), "ab" * 32)
    scored = Scored.by("mae", "minimize")
    evaluation = access_log.freeze(entries(("winner",)), questions_of(scored), "", scored=scored)
    access_log.keep(evaluation, {"samples": np.array(3), "values_0": np.ones((8, 3))} | change)
    with pytest.raises(RecordError, match="damaged"):
        access_log.scores(evaluation)


def test_another_metric_is_another_question(tmp_path):
    mae, loss = (questions_of(Scored.by(name, "minimize")) for name in ("mae", "log_loss"))
    assert mae != loss
    assert not any("McNemar" in question for question in mae)


def check_ensemble(home, name, document):
    """Compare the ensemble of the search's trials, where less is better, with means by hand."""
    found = document["ensemble"]
    assert (found["metric"], found["selected_by"]) == ("mae", "mae")
    difference = found["best_accuracy"]["value"] - found["accuracy"]["value"]
    assert found["ahead_by"]["value"] == pytest.approx(difference), "less is better"
    shown = " ".join(run("best", name, "--ensemble", "--home", home).stdout.split())
    assert f"trial {found['members'][0]['trial']} " in shown
    assert not any(word in shown for word in ("accurac", "point", " %,"))


def check_refit(home, name, words, tested):
    """Refit the champion, and score it on the test set as well."""
    refused = run(*words, "--refit", "--test")
    assert refused.exit_code == 2
    assert "was read once" in refused.stderr, "one model more is another list"
    sweep = sweeps.load(f"{name}-refit", home)
    (record,) = sweep.home.store(sweep.info.id).read_all()
    assert record.config["refit_epochs"] == 3 * SAMPLES // 4 + 40, "the median of the folds"
    assert set(record.result.metrics) == {"epochs"}, "no sample is left to score it"
    assert sweeps.load(name, home).champion().sweep.name == f"{name}-refit"
    document = json.loads(run(*words, "--test", "--again", "refitted", "--json").stdout)
    assert document["refit"] == f"{name}-refit"
    assert document["test"]["finalists"] == tested["finalists"]
    (model,) = sweep.home.store(sweep.info.id).weights(record).values()
    test_set = TestedFoldingExperiment().test_set(None)
    error = np.abs(test_set.inputs[:, : len(model)] @ model - test_set.labels).mean()
    assert document["test"]["refit_accuracy"] == pytest.approx(error)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["mae", pytest.param("auc", marks=pytest.mark.nightly)])
def test_an_own_test_set_is_scored_once_on_request_and_counted(tmp_path, make_home, metric):
    home = make_home()
    name = searched(tmp_path, home, metric)
    words = confirming(name, home)
    first = run(*words)
    assert "--test" in first.stdout, "it says that there is one"
    assert not (home / "test").exists(), "nothing was scored"
    document = json.loads(run(*words, "--test", "--json").stdout)
    tested = document["test"]
    assert (tested["evaluation"]["number"], tested["evaluation"]["of"]) == (1, 1)
    assert tested["evaluation"]["digest"] == TestedFoldingExperiment().test_set(None).digest
    assert (tested["metric"], tested["samples"]) == (metric, SAMPLES)
    assert [one["role"] for one in tested["finalists"]] == ["champion", "baseline"]
    (quote,) = (line for line in document["answer"] if line.startswith("Quote "))
    assert quote.startswith(f"Quote {metric} ")
    assert "on the test set (evaluation 1 of 1); the folds' " in quote
    score, folds = tested["finalists"][0]["accuracy"], document["quotable"]
    halves = [(one["high"] - one["low"]) / 2 for one in (score, folds)]
    agrees = abs(score["value"] - folds["value"]) <= np.hypot(*halves)
    assert quote.endswith(" agrees." if agrees else " does not agree.")
    if metric == "mae":
        check_ensemble(home, name, document)
    again = json.loads(run(*words, "--test", "--json").stdout)
    assert again["test"] == tested, "the same list is the same evaluation"
    without = json.loads(run(*words, "--json").stdout)
    assert without["test"] == tested, "it was evaluated before, which is shown unasked"
    assert quote in without["answer"]
    if metric == "mae":
        check_refit(home, name, words, tested)
    more = run(*confirming(name, home), "--folds", 12, "--test")
    assert more.exit_code == 2
    assert "was read" in more.stderr
    assert run("doctor", "--home", home).exit_code == 0
    paper = " ".join(run("report", name, "--methods", "--home", home).stdout.split())
    assert f"had {metric} " in paper
    assert f"on {SAMPLES} samples, mean of 8 trainings" in paper


@pytest.mark.slow
def test_what_has_no_test_set_or_one_of_another_metric_is_refused(tmp_path, make_home, monkeypatch):
    home = make_home()
    name = searched(tmp_path, home, "mae", "experiment")
    refused = run(*confirming(name, home), "--test")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "has no test set; nothing was read" in refused.stderr
    assert "KerasExperiment(..., test=(x, y))" in refused.stderr
    assert run("list", "--home", home).stdout.count("-confirmation") == 0, "nothing was trained"

    both = [searched(tmp_path, home, metric) for metric in ("mae", "log_loss")]
    words = ("confirm", *both, *confirming("", home)[2:])
    refused = run(*words, "--test")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "these sweeps are confirmed by log_loss and mae" in refused.stderr
    assert run(*words).exit_code == 0

    refused = run(*confirming(name, home), "--refit")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "trains on folds only, not on everything; give it `refit`" in refused.stderr

    monkeypatch.setattr(TestedFoldingExperiment, "evaluate", lambda *_: Evaluated({"auc": 1.0}))
    refused = run(*confirming(both[0], home), "--test")
    assert refused.exit_code == 2
    assert "`evaluate` of experiment 'tested': ValueError: no metric 'mae'" in refused.stderr

    wrong = property(lambda _: lambda data: -data.payload[3])
    monkeypatch.setattr(TestedFoldingExperiment, "validation_truth", wrong)
    refused = run("best", both[0], "--ensemble", "--home", home)
    assert refused.exit_code == 2
    assert (
        "`validation_predictions` and `validation_truth` are to be in one order" in refused.stderr
    )
