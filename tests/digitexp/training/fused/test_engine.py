from dataclasses import replace

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.training.train import train
from tests.digitexp.small_data import small_digits
from tests.digitexp.training.fused.cases import build

pytestmark = pytest.mark.tensorflow

PLAIN = TrialConfig(units=(12,), epochs=3, seed=4)


def fit(config, callbacks=(), **options):
    from digitexp.tensorflow_setup import known_warnings_ignored
    from digitexp.training.fused.engine import fit as fused_fit

    model = build(config)
    with known_warnings_ignored():
        fused_fit(model, config, small_digits(), callbacks, **options)
    return model


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


@pytest.mark.slow
def test_auto_takes_the_fused_engine_and_the_outcome_names_it():
    assert train(PLAIN, small_digits()).engine == "fused"
    assert train(replace(PLAIN, engine="keras", epochs=1), small_digits()).engine == "keras"


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        {"dropout": 0.4},
        *(
            pytest.param(other, marks=pytest.mark.nightly)
            for other in ({}, {"l2": 0.01, "clipnorm": 0.5})
        ),
    ],
)
def test_the_same_seed_gives_the_same_bits(more):
    config = replace(PLAIN, **more)
    for first, second in zip(weights(fit(config)), weights(fit(config)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_the_seed_decides_order_and_dropout():
    config = replace(PLAIN, dropout=0.4)
    model = fit(config)
    for other in (fit(replace(config, seed=5)), fit(config, shuffle=False)):
        assert not np.array_equal(weights(model)[0], weights(other)[0])


@pytest.mark.slow
def test_nets_of_one_kind_share_one_trace():
    from digitexp.training.fused.engine import epoch_graph

    epoch_graph.cache_clear()
    for units, batch_size, rate in [
        ((8, 9), 16, 0.1),
        ((30, 3), 100, 0.5),
        ((5, 6), 7, (0.2, 0.0)),
    ]:
        fit(TrialConfig(units=units, batch_size=batch_size, dropout=rate, l2=1e-4, epochs=1))
    assert epoch_graph.cache_info().currsize == 1
    fit(TrialConfig(units=(8, 9, 7), dropout=0.1, l2=1e-4, epochs=1))
    assert epoch_graph.cache_info().currsize == 2


def recorder(calls):
    """A callback that notes what it is shown, in all its hooks, and stops after two epochs."""
    import keras

    def at_epoch_end(epoch, logs):
        calls.append((epoch, sorted(logs), float(callback.model.optimizer.learning_rate.numpy())))
        callback.model.stop_training = epoch == 1

    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: calls.append(("train_begin", dict(callback.params))),
        on_epoch_begin=lambda epoch, logs: calls.append(("epoch_begin", epoch)),
        on_train_batch_begin=lambda batch, logs: calls.append(("batch_begin", batch)),
        on_train_batch_end=lambda batch, logs: calls.append(("batch_end", batch, sorted(logs))),
        on_epoch_end=at_epoch_end,
        on_train_end=lambda logs: calls.append(
            ("train_end", sorted(logs), int(callback.model.optimizer.iterations.numpy()))
        ),
    )
    return callback


@pytest.mark.slow
def test_any_callback_sees_what_keras_shows_and_acts_as_in_keras():
    import keras

    from digitexp.tensorflow_setup import known_warnings_ignored
    from digitexp.training.engines import load_engine

    calls, histories = {"fused": [], "keras": []}, []
    for engine, seen in calls.items():
        model = build(replace(PLAIN, epochs=6))
        scheduler = keras.callbacks.LearningRateScheduler(lambda e, rate: rate / 2 if e else rate)
        watchers, config = [scheduler, recorder(seen)], replace(PLAIN, epochs=6)
        with known_warnings_ignored():
            load_engine(engine).fit(model, config, small_digits(), watchers, shuffle=False)
        histories.append(model.history)
    assert calls["fused"] == calls["keras"]
    assert calls["fused"][-1] == ("train_end", calls["fused"][-1][1], 2 * 19)
    assert [history.epoch for history in histories] == [[0, 1], [0, 1]]
    assert histories[0].history.keys() == histories[1].history.keys() >= {"loss", "accuracy"}
    for name, values in histories[1].history.items():
        np.testing.assert_allclose(histories[0].history[name], values, rtol=1e-5)


@pytest.mark.slow
def test_an_epoch_in_parts_trains_like_one_in_a_piece(monkeypatch):
    from digitexp.training.fused import engine

    config = replace(PLAIN, dropout=0.4, batch_size=32)
    whole = weights(fit(config))
    monkeypatch.setattr(engine, "_MASK_CELLS", 12 * 64)  # two batches a part
    for in_parts, at_once in zip(weights(fit(config)), whole, strict=True):
        np.testing.assert_array_equal(in_parts, at_once)


@pytest.mark.slow
def test_a_rate_of_zero_in_one_layer_drops_nothing_there():
    config = TrialConfig(units=(40, 40), dropout=(0.0, 0.5), epochs=1)
    from digitexp.training.fused.engine import draw_masks

    masks = draw_masks(np.random.default_rng(0), config.dropout_rates, config.units, 50, "float32")
    assert (masks[0] == 1).all()
    assert np.isfinite(weights(fit(config))[0]).all()


@pytest.mark.nightly
def test_with_dropout_both_engines_agree_in_distribution_over_seeds():
    config = TrialConfig(units=(32, 16), dropout=0.4, batch_size=50, epochs=8, learning_rate=0.005)
    found = {
        engine: np.array(
            [
                [outcome.history[name][-1] for name in ("loss", "val_loss", "accuracy")]
                for seed in range(12)
                for outcome in [train(replace(config, engine=engine, seed=seed), small_digits())]
            ]
        )
        for engine in ("fused", "keras")
    }
    ours, theirs = found["fused"], found["keras"]
    error = np.sqrt(ours.var(axis=0, ddof=1) / 12 + theirs.var(axis=0, ddof=1) / 12)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4 * error).all()
    spread = ours.std(axis=0) / theirs.std(axis=0)
    assert ((spread > 0.3) & (spread < 3.3)).all()
