import math
from time import perf_counter

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.training.observer import Observer
from digitexp.training.schedule import Schedule
from digitexp.training.trainer import train


class Told:
    """A net whose losses are told beforehand."""

    engine, engine_reason, summary = "told", "asked for", "a table"

    def __init__(self, losses, before=0.0):
        self.losses, self.before, self.best = losses, before, None

    def named_weights(self):
        return {"best": np.array(self.best)}

    def fit(self, observer, checkpoint):
        for epoch, loss in enumerate(self.losses):
            observer.after_epoch(epoch, {"loss": loss}, lambda images, loss=loss: (images, loss))
            self.best = epoch if observer.schedule.is_best else self.best
            if observer.is_over:
                break
        return self.before


def measured(forward, rate):
    _, loss = forward(np.zeros(1))
    return {"val_loss": loss, "rate": rate}, {"losses": np.array([loss])}


def trained(losses, on_epoch=lambda epoch, metrics: None, **options):
    net = Told(losses, **options)
    observer = Observer(on_epoch, Schedule(vars(TrialConfig(epochs=len(losses)))), measured)
    judged = {"score": 1.0}, {"answers": np.ones(2)}
    return train(net, observer, lambda: judged, began=perf_counter(), info={"fact": 1})


def test_a_net_is_trained_measured_and_judged():
    outcome = trained([3.0, 1.0, 2.0])
    assert (outcome.outcome, outcome.stop_reason) == ("complete", "max_epochs")
    assert outcome.history["val_loss"] == [3.0, 1.0, 2.0]
    assert outcome.history["rate"] == pytest.approx([0.001] * 3)
    assert outcome.arrays["losses"].tolist() == [[3.0], [1.0], [2.0]]
    assert outcome.arrays["answers"].tolist() == [1.0, 1.0]
    assert outcome.weights == {"best": 1}
    assert outcome.metrics.keys() == {"score", "train_seconds"}
    assert (outcome.engine, outcome.engine_reason) == ("told", "asked for")
    assert (outcome.summary, outcome.info) == ("a table", {"fact": 1})


def test_the_time_of_earlier_attempts_counts():
    outcome = trained([1.0], before=60.0)
    assert outcome.metrics["train_seconds"] == outcome.timings["train_seconds"]
    assert 60 <= outcome.timings["train_seconds"] < 61


def test_of_one_that_diverges_at_once_nothing_is_judged():
    asked = []
    outcome = trained([math.inf, 1.0], lambda *call: asked.append(call))
    assert (outcome.outcome, outcome.metrics, outcome.weights) == ("diverged", {}, None)
    assert math.isnan(outcome.history["val_loss"][0])
    assert outcome.arrays.keys() == {"losses"}
    assert asked == []


def test_one_that_diverges_later_is_judged_by_its_best_epoch():
    outcome = trained([2.0, 1.0, math.nan])
    assert outcome.outcome == "diverged"
    assert outcome.metrics["score"] == 1.0
    assert outcome.weights == {"best": 1}


def test_whoever_is_asked_after_an_epoch_can_end_it():
    outcome = trained([3.0, 2.0, 1.0], lambda epoch, metrics: "enough" if epoch == 1 else None)
    assert (outcome.outcome, outcome.stop_reason) == ("stopped", "enough")
    assert len(outcome.history["loss"]) == 2


def test_an_observer_goes_on_from_its_state():
    def observer():
        return Observer(lambda *call: None, Schedule(vars(TrialConfig(epochs=4))), measured)

    whole, first, second = observer(), observer(), observer()
    losses = [4.0, 3.0, 5.0, 2.0]
    for epoch, loss in enumerate(losses):
        for one in (whole, first if epoch < 2 else second):
            if one is second and epoch == 2:
                second.set_state(first.get_state())
            one.after_epoch(epoch, {"loss": loss}, lambda images, loss=loss: (images, loss))
    np.testing.assert_equal(second.get_state(), whole.get_state())
