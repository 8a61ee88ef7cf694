"""The pages about a champion: made of what it left, beside the trial that tells most."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sweeps.errors import UsageError
from sweeps.experiment import PreparedData
from sweeps.experiments.code import PreparedAgain, trained_of
from sweeps.records import FINALIST, FOLD, RecordStore
from sweeps.tracking.parent import choose_beside, interactive_pages
from tests.sweeps.factories import altered, make_info, make_record
from tests.sweeps.toy_experiment import ToyExperiment


class WithPages(ToyExperiment):
    """Says in a page what it was given."""

    def pages(self, data, trained, beside):
        if trained.weights is None:
            raise ValueError("no weights")
        text = f"{data.name}: {trained.name} {sorted(trained.weights)}, {beside and beside.name}"
        return {"page.html": text.encode()}


def record(trial, objective=0.5, origin="sampled", **params):
    made = make_record(trial, origin=origin, params={"x": 0.1, **params})
    assert made.result is not None
    weights = {"kernel": np.ones(3, np.float32)}
    result = dataclasses.replace(made.result, weights=weights)
    return altered(made, objective=objective, result=result)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "sweep").mkdir()
    return RecordStore(tmp_path / "sweep")


def prepared(record, digest=None):
    told = record.data
    return PreparedData(told["name"], digest or told["digest"], told["split_digest"], {}, None)


def illustrated(store, champion, experiment, digest=None):
    again = PreparedAgain(lambda: experiment, prepared(champion, digest))
    return interactive_pages(store, make_info(), champion, again)


def written(store, *records):
    return [store.write(one) for one in records]


def test_a_page_is_told_of_the_champion_and_a_baseline(store):
    champion, *_ = written(store, record(2, 0.9), record(1, 0.8), record(0, 0.4, "baseline plain"))
    pages = illustrated(store, champion, WithPages())
    name = make_info().name
    told = f"{champion.data['name']}: {name}, trial 2 ['kernel'], {name}, trial 0"
    assert pages == {"page.html": told.encode()}


def test_an_experiment_without_pages_gets_none(store):
    (champion,) = written(store, record(0))
    assert illustrated(store, champion, ToyExperiment()) == {}


def test_other_data_are_an_error_and_too_little_left_makes_no_page(store):
    (champion,) = written(store, record(0))
    with pytest.raises(UsageError, match="was trained on other data"):
        illustrated(store, champion, WithPages(), digest="f" * 64)
    assert illustrated(store, champion, WithPages()) != {}
    store.drop_weights(champion.key)
    assert trained_of(store, make_info(), champion).weights is None
    assert illustrated(store, champion, WithPages()) == {}


@pytest.mark.parametrize("error", [KeyError("confusion"), ImportError("plotly"), OSError("full")])
def test_an_experiment_that_fails_to_draw_is_heard(store, error):
    class Failing(WithPages):
        def pages(self, data, trained, beside):
            raise error

    (champion,) = written(store, record(0))
    with pytest.raises(type(error)):
        illustrated(store, champion, Failing())


def test_beside_stands_a_baseline_else_the_next_best_of_the_same_block():
    info = make_info()
    searched = [record(0, 0.4, "baseline plain"), record(1, 0.9), record(2, 0.8)]
    assert choose_beside(searched, searched[1], info).trial == 0
    assert choose_beside(searched[1:], searched[1], info).trial == 2
    assert choose_beside(searched[1:2], searched[1], info) is None
    confirmed = [
        record(0, 0.90, "grid", **{FOLD: 0, FINALIST: "trial-7"}),
        record(1, 0.95, "grid", **{FOLD: 0, FINALIST: "trial-3"}),
        record(2, 0.80, "grid", **{FOLD: 0, FINALIST: "baseline-plain"}),
        record(3, 0.99, "grid", **{FOLD: 1, FINALIST: "baseline-plain"}),
    ]
    assert choose_beside(confirmed, confirmed[0], info).trial == 2
    assert choose_beside(confirmed[:2], confirmed[0], info).trial == 1


def test_a_failed_trial_left_nothing(store):
    failed = altered(make_record(4), result=None, outcome="failed", objective=None)
    store.write(failed)
    with pytest.raises(UsageError, match="trial 4 failed"):
        trained_of(store, make_info(), failed)
