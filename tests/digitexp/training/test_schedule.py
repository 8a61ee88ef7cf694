"""The schedule against Keras's EarlyStopping, ReduceLROnPlateau and LearningRateScheduler."""

import math
import pickle

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.training.schedule import Schedule, shown_rate

HISTORIES = 200


def drawn_settings(generator):
    """Return settings of a training, which need not make sense together."""

    def pick(*values):
        return values[generator.integers(len(values))]

    return vars(TrialConfig()) | {
        "epochs": int(generator.integers(1, 25)),
        "early_stopping_patience_epochs": pick(None, 1, 2, 3, 5),
        "plateau_patience_epochs": pick(None, 1, 2, 3),
        "plateau_monitor": pick("val_loss", "loss"),
        "plateau_factor": pick(0.1, 0.3, 0.5, 0.9),
        "learning_rate": float(10 ** generator.uniform(-4, -1)),
        "min_learning_rate": pick(0.0, 1e-7, 1e-4, 1e-3),
        "learning_rate_schedule": pick("plateau", "plateau", "cosine", "exponential"),
        "final_learning_rate_share": pick(0.01, 0.1, 0.5, 1.0),
    }


def drawn_values(generator, epochs):
    """Return a loss for each epoch: falling, flat, with ties and steps about the plateau's 1e-4."""
    kind = generator.integers(4)
    if kind == 0:
        values = 1 + generator.integers(-3, 4, epochs) * 0.1  # ties
    elif kind == 1:
        values = 1 - np.cumsum(generator.choice([0, 0, 5e-5, 1e-4, 1.5e-4, -1e-4], epochs))
    elif kind == 2:
        values = np.exp(-0.3 * np.arange(epochs)) + generator.normal(0, 0.05, epochs)
    else:
        values = np.full(epochs, 0.5)
    if generator.random() < 0.3:
        values[generator.integers(epochs) :] = generator.choice([np.nan, np.inf])
    return [float(value) for value in values]


class Callbacks:
    """Keras's callbacks, driven as `model.fit` drives them; the weights are the epoch's number."""

    def __init__(self, model, settings):
        import keras

        own, self.model, patience = (
            keras.callbacks,
            model,
            settings["early_stopping_patience_epochs"],
        )
        self.callbacks = [
            own.EarlyStopping(
                monitor="val_loss", mode="min", restore_best_weights=True,
                patience=settings["epochs"] if patience is None else patience,
            )
        ]  # fmt: skip
        if settings["learning_rate_schedule"] != "plateau":
            self.callbacks.append(own.LearningRateScheduler(lambda e: scheduled(settings, e)))
        elif settings["plateau_patience_epochs"] is not None:
            self.callbacks.append(
                own.ReduceLROnPlateau(
                    monitor=settings["plateau_monitor"], mode="min",
                    factor=settings["plateau_factor"], min_lr=settings["min_learning_rate"],
                    patience=settings["plateau_patience_epochs"],
                )
            )  # fmt: skip
        model.stop_training = False
        model.optimizer.learning_rate = settings["learning_rate"]
        for callback in self.callbacks:
            callback.set_model(model)
            callback.on_train_begin()

    def begin(self, epoch):
        """Begin an epoch; return the rate it is trained with."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch)
        return float(self.model.optimizer.learning_rate.numpy())

    def end(self, epoch, metrics):
        """End an epoch; return whether the training is over."""
        self.model.set_weights([np.full((1, 1), float(epoch))])
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, dict(metrics))
        return self.model.stop_training

    def best(self):
        """End the training; return the number of the epoch whose weights are restored."""
        for callback in self.callbacks:
            callback.on_train_end()
        return int(self.model.get_weights()[0].item())


def scheduled(settings, epoch):
    """Return the rate of an epoch by the definitions of cosine and exponential decay."""
    first, share = settings["learning_rate"], settings["final_learning_rate_share"]
    way = epoch / max(settings["epochs"] - 1, 1)
    if settings["learning_rate_schedule"] == "cosine":
        return float(first * (share + (1 - share) * 0.5 * (1 + math.cos(math.pi * way))))
    return float(first * share**way)


@pytest.fixture(scope="module")
def model(started_tensorflow):
    import keras

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def history(seed):
    """Return settings, the metrics of each epoch, and an epoch after which one is interrupted."""
    generator = np.random.default_rng(seed)
    settings = drawn_settings(generator)
    epochs = settings["epochs"]
    metrics = [
        {"val_loss": a, "loss": b}
        for a, b in zip(
            drawn_values(generator, epochs), drawn_values(generator, epochs), strict=True
        )
    ]
    return settings, metrics, int(generator.integers(epochs))


def decisions(settings, metrics, interrupted=None):
    """Return (rate, is best, has stopped) of each epoch."""
    schedule, found = Schedule(settings), []
    for epoch, logs in enumerate(metrics):
        rate = schedule.rate
        schedule.after_epoch(epoch, logs)
        found.append((rate, schedule.is_best, schedule.has_stopped))
        if schedule.has_stopped:
            break
        if epoch == interrupted:
            state = pickle.loads(pickle.dumps(schedule.get_state()))
            schedule = Schedule(settings)
            schedule.set_state(state)
    return found


@pytest.mark.tensorflow
def test_all_decisions_are_those_of_keras(model):
    from digitexp.tensorflow_setup import known_warnings_ignored

    with known_warnings_ignored():
        compare(model)


def compare(model):
    stopped = cut = 0
    for seed in range(HISTORIES):
        settings, metrics, _ = history(seed)
        callbacks, expected = Callbacks(model, settings), []
        for epoch, logs in enumerate(metrics):
            rate = callbacks.begin(epoch)
            expected.append((rate, callbacks.end(epoch, logs)))
            if expected[-1][1]:
                break
        found = decisions(settings, metrics)
        assert [(rate, is_over) for rate, _, is_over in found] == expected, seed
        best = max(epoch for epoch, (_, is_best, _) in enumerate(found) if is_best)
        assert best == callbacks.best(), seed
        stopped += expected[-1][1]
        rates = [rate for rate, _ in expected]
        cut += settings["learning_rate_schedule"] == "plateau" and rates[-1] < rates[0]
    assert stopped >= 50
    assert cut >= 20


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_an_interruption_changes_no_decision(seed):
    settings, metrics, interrupted = history(seed)
    assert decisions(settings, metrics, interrupted) == decisions(settings, metrics)


def test_the_first_epoch_is_the_best_if_all_are_nan():
    settings = history(0)[0] | {"early_stopping_patience_epochs": 2}
    found = decisions(settings, [{"val_loss": math.nan, "loss": math.nan}] * 5)
    assert [is_best for _, is_best, _ in found] == [True, False, False]
    assert found[-1][2]


def test_a_rate_is_shown_as_it_was_given():
    for rate in (0.001, 3e-4, 0.1, 1e-7, 0.0123):
        assert shown_rate(Schedule(vars(TrialConfig()) | {"learning_rate": rate}).rate) == rate


@pytest.mark.parametrize(
    ("schedule", "patience", "changes"),
    [("plateau", None, False), ("plateau", 2, True), ("cosine", None, True)],
)
def test_it_says_whether_the_rate_may_change(schedule, patience, changes):
    settings = vars(TrialConfig()) | {
        "learning_rate_schedule": schedule, "plateau_patience_epochs": patience
    }  # fmt: skip
    assert Schedule(settings).changes_rate is changes
    assert Schedule(settings).depends_on_epochs is (schedule == "cosine")
