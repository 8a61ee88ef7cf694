"""Accuracy of written-down nets on fresh folds and on the test set."""

import argparse

import pytest

from benchmarks import accuracy
from search_spaces.loading import load_space

NET = {"config": {"units_1": 25, "learning_rate": 0.00123456}, "deviation": 0.0075,
       "folds": {"mean": 0.922, "half": 0.007}, "test": {"mean": 0.9, "half": 0.007},
       "vote": {"mean": 0.919, "half": 0.008}}  # fmt: skip


def test_the_table_is_in_per_cent():
    result = {"folds": 20, "nets": {"tutorial": NET}}
    assert "| 92.2 ± 0.7 | 0.75 | 90.0 ± 0.7 | 91.9 ± 0.8 |" in accuracy.table(result)


@pytest.mark.parametrize("folds", [4, 10])
def test_folds_come_in_fours_and_eight_are_needed(folds):
    with pytest.raises(RuntimeError, match=f"--folds {folds}: a multiple of 4, from 8"):
        accuracy.run(argparse.Namespace(folds=folds, nets=["tutorial"]))


def test_the_baseline_of_cnn_is_the_one_that_ships():
    space = load_space("cnn")
    assert {**space.fixed, **space.baselines["augmented"]} == accuracy.CNN


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_a_net_is_trained_on_each_fold_and_answers_the_test_set(monkeypatch):
    monkeypatch.setitem(accuracy.NETS, "tutorial", {**accuracy.TUTORIAL, "epochs": 5})
    options = argparse.Namespace(folds=8, nets=["tutorial"])
    result = accuracy.run(options)
    assert result["name"] == "accuracy-tutorial"
    net = result["nets"]["tutorial"]
    assert len(net["accuracies"]) == 8
    assert sum(net["accuracies"]) / 8 == pytest.approx(net["folds"]["mean"], abs=1e-3)
    assert 0.6 < net["test"]["mean"] < net["vote"]["mean"] < 1
    assert net["config"]["epochs"] == 5
