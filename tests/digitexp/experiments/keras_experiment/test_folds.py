"""Fresh folds of a user's model: who scores, who trains, and what is kept of each sample."""

from __future__ import annotations

import re

import numpy as np
import pytest

import sweeps
from digitexp.keras_experiment import KerasExperiment
from sweeps.confirm.comparison import fold_answers
from sweeps.confirm.finalists import Scored
from sweeps.executors.attempt import checked
from sweeps.experiment import TrialSpec
from sweeps.experiments.folds import FoldExperiment
from tests.digitexp.experiments.keras_experiment.own import cnn, regression, streamed


def build(params):
    import keras

    layers = [keras.layers.Dense(4, "relu", kernel_regularizer="l2"), keras.layers.Dense(1)]
    last = keras.layers.Activation("sigmoid")
    model = keras.Sequential([keras.layers.Input((3,)), *layers, last])
    auc = keras.metrics.AUC(name="auc")
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", auc])
    return model


def classes():
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3)).astype("float32")
    return x, (x.sum(axis=1) + random.normal(size=120) > 0.8).astype(int)


binary = KerasExperiment(build, classes, {}, metrics={"auc": "maximize"}, name="binary")


def test_no_example_that_scored_the_search_scores_a_fold_and_each_other_one_does_once():
    data = cnn.prepare(None, 0)
    (x, y), (x_val, _) = data.payload.train, data.payload.validation
    scored = {image.tobytes() for image in x_val}
    for seed in (0, 1):
        folds = list(cnn.folds(data, seed, 4))
        numbers = np.concatenate([fold.samples for fold in folds])
        assert sorted(numbers) == list(range(len(x)))
        for fold in folds:
            parts = fold.data.payload
            own, labels = parts.fold
            assert np.array_equal(own, x[fold.samples])
            assert np.array_equal(labels, y[fold.samples])
            seen = {image.tobytes() for image in (*parts.train[0], *parts.validation[0])}
            assert scored <= {image.tobytes() for image in parts.train[0]}
            assert not seen & {image.tobytes() for image in own} - scored
            shares = np.bincount(labels) / len(labels) - np.bincount(y) / len(y)
            assert np.abs(shares).max() < 0.01, "classes keep their shares"
    assert not np.array_equal(folds[0].samples, next(iter(cnn.folds(data, 0, 4))).samples)


PATIENTS = np.arange(120) % 12


def test_no_group_is_in_two_parts_of_a_search_or_a_fold():
    x, y = np.arange(120.0)[:, None], np.arange(120) % 2
    grouped = KerasExperiment(build, (x, y), {}, groups=lambda: PATIENTS)
    data = grouped.prepare(None, 0)

    def patients(part):
        return set(PATIENTS[part[0][:, 0].astype(int)])

    parts = data.payload
    assert not patients(parts.train) & patients(parts.validation)
    numbers = []
    for fold in grouped.folds(data, 3, 4):
        own = fold.data.payload
        assert not patients(own.fold) & (patients(own.train) | patients(own.validation))
        assert not patients(own.train) & patients(own.validation)
        numbers += [*fold.samples]
        assert len(fold.groups) == len(fold.samples)
        assert len(patients(own.fold)) == len(set(fold.groups)), "a number for each"
    assert sorted(numbers) == list(range(len(parts.train[0])))


def test_in_time_order_the_past_trains_what_the_future_scores():
    x, y = np.arange(200.0)[:, None], np.arange(200) % 2
    data = KerasExperiment(build, (x, y), {}, ordered=True).prepare(None, 0)
    assert data.payload.train[0][:, 0].tolist() == list(range(160))
    assert data.payload.validation[0][:, 0].tolist() == list(range(160, 200))
    experiment, begins = KerasExperiment(build, (x, y), {}, ordered=True), set()
    for seed in range(10):
        numbers = []
        for fold in experiment.folds(data, seed, 4):
            parts = fold.data.payload
            train, stop, own = (
                part[0][:, 0].tolist() for part in (parts.train, parts.validation, parts.fold)
            )
            assert [*train, *stop] == list(range(fold.samples[0])), "all that is before, no more"
            assert len(stop) == round(0.1 * fold.samples[0])
            assert own == fold.samples.tolist() == list(range(int(own[0]), int(own[0]) + 20))
            numbers += own
        assert numbers == list(range(int(numbers[0]), int(numbers[0]) + 80))
        assert numbers[-1] < 160, "nothing that scored the search scores a fold"
        begins.add(numbers[0])
    assert len(begins) > 5, "repeats have other origins"


@pytest.mark.parametrize(
    ("data", "more", "said"),
    [
        (
            (np.zeros((60, 1)), np.zeros(60, int)),
            {"groups": np.arange(60) % 6},
            "no example is left that comes before those that score, with a gap of 0 and of another",
        ),
        ((np.zeros((40, 1)), np.zeros(40, int)), {"gap": 32}, "with a gap of 32"),
        ((np.zeros((7, 1)), np.zeros(7, int)), {}, "6 rows in time order; 8 or more"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused(data, more, said):
    def divide():
        experiment = KerasExperiment(build, data, {}, ordered=True, **more)
        return list(experiment.folds(experiment.prepare(None, 0), 0, 4))

    with pytest.raises(ValueError, match=re.escape(said)):
        divide()


@pytest.mark.parametrize(
    ("data", "groups", "said"),
    [
        ((np.zeros((9, 1)), np.zeros(9, int)), np.arange(8), "groups: (8,) for 9 examples"),
        ((np.zeros((9, 1)), np.zeros(9, int)), np.arange(9) % 3, "groups: there are 3; 6 or more"),
        (
            ((np.zeros((9, 1)), np.zeros(9, int)), (np.zeros((9, 1)), np.zeros(9, int))),
            np.arange(9),
            "groups: give data as (x, y)",
        ),
    ],
)
def test_groups_that_cannot_be_kept_whole_are_refused(data, groups, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        KerasExperiment(build, data, {}, groups=groups).prepare(None, 0)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("more", [{"groups": PATIENTS}, {"ordered": True}])
def test_groups_of_a_fold_are_compared_in_place_of_samples_and_in_time_order_one_number(more):
    own = KerasExperiment(build, classes, {}, metrics={"auc": "maximize"}, name="grouped", **more)
    on_folds = FoldExperiment(own, "own:it@folds")
    data = on_folds.prepare(None, 0)
    spec = TrialSpec("s", 0, 1, 5, {"epochs": 2, "block": 1})
    result = on_folds.train(spec, data, lambda *_: None)
    value = result.metrics["best_val_accuracy"]
    found = fold_answers(result, Scored.by("best_val_accuracy", "maximize"))
    assert found.scores.mean() == pytest.approx(value)
    if "ordered" in more:
        assert not any(name.endswith("_by_sample") for name in result.arrays)
        assert len(found.samples) == 0
        return
    right = result.arrays["best_val_accuracy_by_sample"]
    groups = result.arrays["fold_groups"]
    assert found.samples.tolist() == sorted(set(groups))
    size = len(groups) / len(found.samples)
    counted = value + (right[groups == groups[0]] - value).sum() / size
    assert found.scores[found.samples == groups[0]] == pytest.approx(counted)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_datasets_have_no_folds():
    with pytest.raises(ValueError, match="fresh folds cannot be made"):
        list(streamed.folds(streamed.prepare(None, 0), 0, 4))


def numbered(change=lambda data: data, examples=120, **options):
    """Return an experiment whose datasets are made of numbers; the first input is the number."""

    def load(train, validation):
        import tensorflow as tf

        x, y = classes()
        x[:, 0] = np.arange(120) / 120

        def of(numbers):
            return tf.data.Dataset.from_tensor_slices((x[numbers], y[numbers]))

        return of(train).shuffle(120).batch(16), change(of(validation)).batch(50)

    return KerasExperiment(
        build, load, {}, examples=examples, metrics={"auc": "maximize"}, name="numbered", **options
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{}, {"groups": PATIENTS}, {"ordered": True, "gap": 2}])
def test_each_number_that_scored_no_trial_scores_one_fold(options):
    experiment = numbered(**options)
    data = experiment.prepare(None, 3)
    search = data.payload
    assert (data.info["n_train"], data.info["n_validation"]) == tuple(
        map(len, (search.train, search.validation))
    )
    for seed in (0, 1):
        scored = []
        for fold in experiment.folds(data, seed, 4):
            own = fold.data.payload
            parts = [own.train, own.validation, own.fold]
            assert [*own.fold] == [*search.train[fold.samples]]
            assert sum(map(len, parts)) == len({*np.concatenate(parts)})
            if "groups" in options:
                sets = [{*PATIENTS[part]} for part in parts]
                assert sum(map(len, sets)) == len(set.union(*sets))
                assert len(fold.groups) == len(fold.samples)
            if "ordered" in options:
                assert own.train.max() < own.validation.min() - 2
                assert own.validation.max() < own.fold.min() - 2
            else:
                assert {*search.validation} <= {*own.train}
            scored += [*own.fold]
        assert len(scored) == len({*scored})
        assert "ordered" in options or sorted(scored) == [*search.train]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_training_on_datasets_is_scored_on_its_fold_sample_by_sample():
    experiment = numbered()
    on_folds = FoldExperiment(experiment, "own:it@folds")
    data = on_folds.prepare(None, 0)
    config = {"epochs": 2, "block": 6}
    result = checked(on_folds.train(TrialSpec("s", 0, 1, 5, config), data, lambda *_: None))
    for name in ("best_val_accuracy", "best_val_loss", "best_val_auc"):
        values = result.arrays[f"{name}_by_sample"]
        assert values.shape == result.arrays["fold_samples"].shape
        assert values.mean() == pytest.approx(result.metrics[name], rel=1e-5)
    model = on_folds.load_model(config, result.weights, data.info)
    numbers = list(experiment.folds(data, 1, 4))[2].data.payload.fold
    x, y = classes()
    x[:, 0] = np.arange(120) / 120
    right = (np.asarray(model(x[numbers]))[:, 0] > 0.5) == y[numbers]
    assert result.arrays["best_val_accuracy_by_sample"].tolist() == right.tolist()


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.shuffle(90, seed=1), "one example a number, in their order"),
        (lambda data: data.repeat(2), "24 numbers to validate, and .* has 48 examples"),
        (lambda data: data.take(3), "24 numbers to validate, and .* has 3 examples"),
    ],
)
def test_datasets_that_are_not_those_of_their_numbers_are_refused(change, said):
    experiment = numbered(change)

    def confirm():
        data = experiment.prepare(None, 0)
        fold = next(iter(experiment.folds(data, 0, 4)))
        experiment.train(TrialSpec("s", 0, 1, 5, {"epochs": 1}), fold.data, lambda *_: None)

    with pytest.raises(ValueError, match=said):
        confirm()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": (1, 2)}, "examples 120: data is tuple; give a function of the numbers"),
        ({"examples": 19}, "examples 19: give 20 or more"),
        ({"data": lambda train, validation: (train, validation)}, "return two batched tf.data"),
        ({"groups": PATIENTS[:7]}, r"groups: \(7,\) for 120 examples"),
    ],
)
def test_numbers_without_datasets_are_refused(given, said):
    options = {"data": classes, "examples": 120, **given}
    with pytest.raises(ValueError, match=said):
        KerasExperiment(build, parameters={}, **options).prepare(None, 0)


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("experiment", "by_sample"),
    [
        (regression, ("best_val_mae", "best_val_loss", "best_val_rmse", "best_val_r2")),
        (binary, ("best_val_accuracy", "best_val_loss", "best_val_auc")),
    ],
)
def test_a_training_is_scored_on_its_fold_sample_by_sample(experiment, by_sample):
    on_folds = FoldExperiment(experiment, "own:it@folds")
    data = on_folds.prepare(None, 0)
    config = {"epochs": 3, "block": 6}
    result = checked(on_folds.train(TrialSpec("s", 0, 1, 5, config), data, lambda *_: None))
    for name in by_sample:
        values = result.arrays[f"{name}_by_sample"]
        assert values.shape == result.arrays["fold_samples"].shape
        assert values.mean() == pytest.approx(result.metrics[name], rel=1e-5)

    model = on_folds.load_model(config, result.weights, data.info)
    x, y = list(experiment.folds(data, 1, 4))[2].data.payload.fold
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(result.metrics["best_val_loss"], rel=1e-4)
    for name in by_sample:
        keras_name = name.removeprefix("best_val_")
        if keras_name in found:
            assert found[keras_name] == pytest.approx(result.metrics[name], rel=1e-4)
    again = on_folds.recomputed(model, config, data)
    assert np.allclose(again["predicted"], result.arrays["predicted"], atol=1e-5)


SPACE = """
experiment: tests.digitexp.experiments.keras_experiment.own:regression
objective: {metric: best_val_mae, direction: minimize}
parameters:
  units: {type: int, low: 1, high: 32}
fixed: {epochs: 2}
baselines:
  one: {units: 1}
defaults: {trials: 2, sampler: random}
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_sweep_of_a_users_model_is_confirmed_without_a_line_of_his(tmp_path, make_home):
    home, space = make_home(), tmp_path / "own.yaml"
    space.write_text(SPACE)
    sweep = sweeps.run(str(space), workers=0, home=home, progress="quiet")
    (verdict, bias, ensemble, verified) = sweep.confirm(top=1, folds=8, progress="quiet")
    assert verified.lead.startswith("The champion's model is verified: ")
    assert [row[0] for row in verdict.rows] == ["trial-1", "baseline-one"]
    assert any("Compared by mae, from 8 folds" in line for line in verdict.lines)
    judged = "The samples of these folds have judged 2 finalists of 1 sweep"
    assert any(judged in line for line in verdict.lines)
    assert [bias.anchor, ensemble.anchor] == ["selection-bias", "ensemble"]
    champion = sweep.champion()
    assert champion.record.result.arrays["best_val_mae_by_sample"].shape == (89,)
