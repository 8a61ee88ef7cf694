"""The test set of a user's own model, and its refit on all examples."""

from __future__ import annotations

import re

import numpy as np
import pytest

from digitexp.experiments.keras_experiment.judging import to_average
from digitexp.keras_experiment import KerasExperiment
from sweeps.capabilities import TestSet as OwnTestSet
from sweeps.experiment import TrialSpec
from sweeps.experiments.folds import FoldExperiment
from tests.digitexp.experiments.keras_experiment.own import build_regression, diabetes, several_of
from tests.digitexp.experiments.keras_experiment.own import several_arrays as arrays_of
from tests.digitexp.experiments.keras_experiment.test_folds import build, classes


def with_test(test, **more):
    return KerasExperiment(build_regression, diabetes, {}, task="regression", test=test, **more)


def test_it_is_read_on_request_only_and_known_by_its_digest():
    asked = []

    def test(source):
        asked.append(source)
        return np.ones((5, 10), "float32"), np.arange(5)

    own = FoldExperiment(with_test(test), "own:it@folds")
    list(own.searched.folds(own.prepare(None, 0), 0, 4))
    assert asked == []
    found = own.test_set("there")
    assert (asked, len(found), found.inputs.shape) == (["there"], 5, (5, 10))
    fixed = with_test((np.ones((5, 10), "float32"), np.arange(5)))
    assert fixed.test_set("there").digest == found.digest, "a fixed one belongs to every source"
    other = with_test((np.ones((5, 10), "float32"), np.arange(1, 6)))
    assert other.test_set(None).digest != found.digest
    assert with_test(None).test_set(None) is None
    known = [own.prepare(None, 0).info["n_test"] for own in (own, fixed, with_test(None))]
    assert known == [None, 5, None], "a function is not asked how many"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (np.ones((5, 10)), "test: received ndarray; give (x, y), arrays"),
        ((np.ones((5, 10)), np.ones(4)), "test data: 5 inputs and 4 targets"),
        ((np.ones((5, 10)), np.full(5, np.nan)), "test data: some targets are NaN"),
    ],
)
def test_another_form_is_refused(test, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        with_test(test).test_set(None)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_training_on_a_fold_is_scored_as_keras_scores_it():
    test = classes()
    auc = {"auc": "maximize"}
    binary = KerasExperiment(build, classes, {}, metrics=auc, test=test, name="binary")
    on_folds = FoldExperiment(binary, "own:it@folds")
    data = on_folds.prepare(None, 0)
    config = {"epochs": 3, "block": 6}
    result = on_folds.train(TrialSpec("s", 0, 1, 5, config), data, lambda *_: None)
    model = on_folds.load_model(config, result.weights, data.info)
    found = on_folds.evaluate(model, on_folds.test_set(None))
    by_keras = model.evaluate(*test, verbose=0, return_dict=True)
    for name in ("accuracy", "loss", "auc"):
        assert found.metrics[f"best_val_{name}"] == pytest.approx(by_keras[name], rel=1e-4)
    shares = found.arrays["fold_predictions"]
    by_sample = {f"best_val_{name}_by_sample" for name in ("accuracy", "loss", "auc")}
    assert {*found.arrays} == by_sample | {"fold_predictions"}
    assert {len(one) for one in found.arrays.values()} == {len(test[1])}
    judged = on_folds.judged(shares, test[1])
    assert judged.metrics["best_val_accuracy"] == found.metrics["best_val_accuracy"]
    kept, truth = result.arrays["fold_predictions"], data.payload.train[1]
    own = on_folds.judged(kept, truth[result.arrays["fold_samples"]])
    assert own.metrics["best_val_accuracy"] == pytest.approx(result.metrics["best_val_accuracy"])
    alike = KerasExperiment(build, classes, {}, test=test, groups=np.arange(120) % 12)
    found = alike.evaluate(model, alike.test_set(None))
    assert {*found.arrays} == {"fold_predictions"}, "samples of a group are alike"
    assert alike.judged(shares, test[1]).arrays == {}
    narrow = OwnTestSet("", test[0][:, :2], test[1])
    with pytest.raises(ValueError, match=re.escape("(120, 2), but the model takes ('n', 3)")):
        binary.evaluate(model, narrow)


def test_scores_of_classes_are_averaged_as_probabilities_whatever_they_are():
    def averaged(*given):
        return to_average(*given)[0]

    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(3), 20).astype("float32")
    assert np.array_equal(averaged(shares, "classification", 3), shares)
    logits = np.log(shares) + random.normal(size=(20, 1))
    assert np.allclose(averaged(logits, "classification", 3), shares, atol=1e-5)
    assert to_average(logits, "classification", 3)[1] == "softmax"
    assert np.array_equal(averaged(logits, "regression", None), logits.astype("float32"))
    assert np.array_equal(averaged(shares, "classification", None), shares)
    several = averaged(np.log(shares / (1 - shares)), "classification", None)
    assert np.allclose(several, shares, atol=1e-5), "labels are judged one by one"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_several_outputs_have_a_score_each():
    whole = arrays_of("dict")
    several = several_of(lambda: whole, "dict", test=whole)
    result = several.train(TrialSpec("s", 0, 1, 5, {"epochs": 1}), several.prepare(None, 0), _go_on)
    model = several.load_model({"epochs": 1}, result.weights, {})
    found = several.evaluate(model, several.test_set(None))
    assert {"best_val_digit_accuracy", "best_val_half_mae"} <= found.metrics.keys()
    assert found.arrays["best_val_half_mae_by_sample"].shape == (600,)
    assert "fold_predictions" not in found.arrays
    data = several.prepare(None, 0)
    assert several.validation_truth(data) is None, "several outputs make no ensemble"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_refit_is_trained_on_all_examples_to_its_last_epoch_and_scored_by_none():
    x, y = classes()
    batches = []

    def callbacks(params):
        import keras

        def noted(batch, logs):
            batches.append(batch)

        return [keras.callbacks.LambdaCallback(on_train_batch_end=noted)]

    own = KerasExperiment(build, (x, y), {}, name="binary", callbacks=callbacks)
    on_folds = FoldExperiment(own, "own:it@folds")
    data = on_folds.prepare(None, 0)
    fixed = {"epochs": 1, "batch_size": 1, "early_stopping_patience_epochs": 1}
    config = {**fixed, "block": 0, "refit_epochs": 4}
    result = on_folds.train(TrialSpec("s", 0, 1, 5, config), data, _go_on)
    assert batches == 4 * [119], "each of 4 epochs ends with the last of all 120 examples"
    assert set(result.metrics) == {"best_epoch", "epochs", "train_seconds", "parameters"}
    assert result.metrics["epochs"] == 4
    model = on_folds.load_model(config, result.weights, data.info)
    again = on_folds.recomputed(model, config, data)
    assert {*again} == {*result.arrays} == {"predicted"}
    assert np.allclose(again["predicted"], result.arrays["predicted"], atol=1e-5)
    assert len(again["predicted"]) == 24, "the part that chose its epoch"


def _go_on(epoch, metrics):
    return None
