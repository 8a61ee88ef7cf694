"""Nets to train with both engines, and what a training's course was."""

import os
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from digitexp.config import TrialConfig
from digitexp.parameters import ACTIVATIONS, INITIALIZERS
from tests.digitexp.small_data import small_digits

EXAMPLES = int(os.environ.get("EQUALITY_EXAMPLES", "10"))
"""`make equality` asks for 200."""

sampled = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip


@st.composite
def configurations(draw, narrowest=1):
    """Widths, depths, batches that do and do not divide 600, penalties, clipping, callbacks."""
    plateau = draw(st.sampled_from([None, 1, 2]))
    return TrialConfig(
        learning_rate=10 ** draw(st.floats(-3.5, -1.3)),
        batch_size=draw(st.sampled_from([7, 16, 32, 50, 100, 128, 599, 600, 1000])),
        units=tuple(draw(st.lists(st.integers(narrowest, 40), max_size=3))),
        l2=draw(st.sampled_from([0.0, 2**-17, 2**-10, 2**-3])),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        kernel_initializer=draw(st.sampled_from(INITIALIZERS)),
        clipnorm=draw(st.sampled_from([None, 2**-7, 1.0])),
        label_smoothing=draw(st.sampled_from([0.0, 0.0, 0.125])),
        epochs=draw(st.integers(2, 12)),
        early_stopping_patience_epochs=draw(st.sampled_from([None, 3])),
        plateau_patience_epochs=plateau,
        min_learning_rate=1e-7,
        seed=draw(st.integers(0, 2**31)),
    )


@contextmanager
def floats(dtype):
    """Build and train Keras models of that type inside, and of float32 afterwards."""
    import keras

    keras.config.set_dtype_policy(dtype)
    keras.config.set_floatx(dtype)  # of losses and metrics
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


def build(config, dtype="float32"):
    """Build the net of the small digits; equal seeds give equal weights.

    Keras casts some constants through float32 even in a float64 net. So that both engines compute
    with the same numbers, they are exact in float32: powers of two, and Adam's rounded here.
    """
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()
    import keras

    from digitexp.models import build_model

    keras.backend.clear_session()  # resets the type as well
    keras.utils.set_random_seed(config.seed)
    with floats(dtype):
        model = build_model(config, small_digits().image_shape, small_digits().n_classes)
    adam = model.optimizer
    adam.beta_1, adam.beta_2 = float(np.float32(adam.beta_1)), float(np.float32(adam.beta_2))
    return model


@dataclass(frozen=True)
class Course:
    """How a training went."""

    history: dict[str, list[float]]
    weights: dict[str, np.ndarray]

    @property
    def cuts(self) -> list[int]:
        """Epochs after which the rate fell."""
        rates = self.history["learning_rate"]
        return [epoch for epoch, (a, b) in enumerate(pairwise(rates)) if b < a]

    @property
    def decisions(self):
        """Number of epochs, best epoch, cuts."""
        losses = self.history["val_loss"]
        return len(losses), int(np.nanargmin(losses)), self.cuts


def train_with(engine, config, dtype="float32"):
    """Train in the given order of the images and return the course."""
    from digitexp.models import model_weights
    from digitexp.tensorflow_setup import known_warnings_ignored
    from digitexp.training import callbacks
    from digitexp.training.engines import load_engine
    from digitexp.training.outcome import data_tensors

    data, model, module = small_digits(), build(config, dtype), load_engine(engine)
    with floats(dtype), known_warnings_ignored():
        observer = callbacks.EpochObserver(
            data,
            data_tensors(data).validation_images,
            lambda *_: None,
            module.forward(model, config),
        )
        watchers = [
            observer,
            callbacks.early_stopping(vars(config)),
            *callbacks.learning_rate_callbacks(vars(config)),
        ]
        module.fit(model, config, data, watchers, shuffle=False)
    return Course(observer.history, model_weights(model))
