"""Chains of every option, drawn at random, as a compiled net and as a Keras model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from digitexp.chain import Chain, Dense
from digitexp.parameters import ACTIVATIONS, INITIALIZERS
from digitexp.training.compiled.dropout import drop
from digitexp.training.compiled.net import Adam, CompiledNet

EPOCHS = 3


@dataclass(frozen=True)
class Case:
    """A chain and how it is trained.

    Keras rounds some numbers to float32 even in a float64 net. So that both compute with the same,
    all are such that float32 holds them exactly.

    Attributes:
        chain: The layers.
        adam: The optimizer.
        rate: The learning rate.
        samples: How many there are.
        batch_size: Samples of a step.
        initializer: Law of the first kernels.
        seed: Decides the samples, their order, the first weights and dropout.
    """

    chain: Chain
    adam: Adam
    rate: float
    samples: int
    batch_size: int
    initializer: str
    seed: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.samples // self.batch_size)

    @property
    def classes(self) -> int:
        """Outputs."""
        return self.chain.widths[-1]

    def data(self, dtype="float64"):
        """Return samples, labels, and an order of them for each epoch."""
        generator = np.random.default_rng((self.seed, 3))
        images = generator.normal(size=(self.samples, self.chain.features)).astype(dtype)
        labels = generator.integers(0, self.classes, self.samples)
        return images, labels, [generator.permutation(self.samples) for _ in range(EPOCHS)]

    def weights(self):
        """Return first weights, with biases that are not 0."""
        generator = np.random.default_rng((self.seed, 4))
        return {
            name: array if array.ndim == 2 else generator.normal(0, 0.2, array.shape).astype("f4")
            for name, array in self.chain.initial_weights(self.initializer, self.seed).items()
        }

    def net(self, dtype="float64"):
        """Return the compiled net."""
        return CompiledNet(self.chain, self.adam, self.weights(), self.seed, dtype)

    def masks(self, layer, dtype):
        """Return what a layer's dropout multiplies by: (steps of all epochs, rows, units)."""
        rows = min(self.batch_size, self.samples)
        last = self.samples - (self.steps - 1) * self.batch_size
        own = self.chain.layers[layer]
        found = np.zeros((EPOCHS * self.steps, rows, own.units), dtype)
        for step, mask in enumerate(found):
            n = last if (step + 1) % self.steps == 0 else rows
            mask[:n] = drawn_mask((n, own.units), own.dropout, self.seed, step + 1, layer, dtype)
        return found


def draw(seed: int) -> Case:
    """Draw a case: the same for the same seed."""
    generator = np.random.default_rng(seed)

    def pick(*values):
        return values[generator.integers(len(values))]

    hidden = int(generator.integers(0, 5))
    frozen = pick(0, 0, int(generator.integers(0, hidden + 1)))
    layers = [
        Dense(
            f"hidden_{j + 1}",
            units=int(generator.integers(1, 25)),
            activation=pick(*ACTIVATIONS),
            dropout=pick(0.0, 0.125, 0.25, 0.5),
            l1=pick(0.0, 0.0, 2**-13, 2**-8),
            l2=pick(0.0, 2**-10, 2**-5),
            trains=j >= frozen,
        )
        for j in range(hidden)
    ]
    output = Dense(
        "output",
        units=int(generator.integers(2, 11)),
        activation=_at_the_output(pick("linear", "linear", "linear", pick(*ACTIVATIONS))),
        dropout=pick(0.0, 0.0, 0.0, 0.25),
        l1=pick(0.0, 2**-13),
        l2=pick(0.0, 2**-10),
    )
    features = int(generator.integers(1, 40))
    chain = Chain(features, (*layers, output), label_smoothing=pick(0.0, 0.0, 0.125, 0.25))
    clipping = pick({}, {}, {"clipnorm": 2**-4}, {"clipvalue": 2**-8}, {"global_clipnorm": 2**-5})
    adam = Adam(pick(0.75, 0.875), 1 - pick(2**-7, 2**-10), pick(2**-20, 2**-23), **clipping)
    return Case(
        chain,
        adam,
        rate=2.0 ** -int(generator.integers(5, 11)),
        samples=int(generator.integers(50, 90)),
        batch_size=pick(3, 7, 16, 32, 100),
        initializer=pick(*INITIALIZERS),
        seed=seed,
    )


def _at_the_output(activation: str) -> str:
    """Return it, but for the sigmoid, which Keras takes off again before its losses."""
    return "linear" if activation == "sigmoid" else activation


@njit
def _dropped(values, slopes, rate, seed, step, layer):
    drop(values, slopes, rate, seed, step, layer)


def dropped(values, slopes, rate, seed, step, layer):
    """Drop some of the values and slopes, in place, by arguments of the engine's own types."""
    _dropped(
        values, slopes, float(rate), np.uint64(seed), np.int64(step), np.int64(layer)
    )  # fmt: skip


def drawn_mask(shape, rate, seed, step, layer, dtype="float64"):
    """Return what dropout multiplies by."""
    mask = np.ones(shape, dtype)
    dropped(mask, np.ones(shape, dtype), rate, seed, step, layer)
    return mask


def keras_model(case: Case, dtype="float64"):
    """Return the same net as a compiled Keras model, with the masks of ours.

    Call it inside `of_float64` for that type.
    """
    import keras

    class Masked(keras.layers.Layer):
        """Multiplies by the mask of each training step, in turn."""

        def __init__(self, masks):
            super().__init__()
            self._masks = masks
            self._step = self.add_weight(shape=(), initializer="zeros", dtype="int32",
                                         trainable=False)  # fmt: skip

        def call(self, x, training=False):
            if not training:
                return x
            mask = keras.ops.take(self._masks, self._step, axis=0)[: keras.ops.shape(x)[0]]
            self._step.assign_add(1)
            return x * mask

    keras.backend.clear_session()
    keras.config.set_floatx(dtype)
    model = keras.Sequential([keras.layers.Input((case.chain.features,))])
    for number, one in enumerate(case.chain.layers):
        penalty = keras.regularizers.L1L2(one.l1, one.l2)
        layer = keras.layers.Dense(
            one.units, one.activation, kernel_regularizer=penalty, name=one.name
        )
        layer.trainable = one.trains
        model.add(layer)
        if one.dropout:
            model.add(Masked(case.masks(number, dtype)))
    for name, array in case.weights().items():
        layer, kind = name.split("/")
        getattr(model.get_layer(layer), kind).assign(array)
    own, smoothing = case.adam, case.chain.label_smoothing
    model.compile(
        keras.optimizers.Adam(
            case.rate, beta_1=own.beta_1, beta_2=own.beta_2, epsilon=own.epsilon,
            clipnorm=own.clipnorm or None, clipvalue=own.clipvalue or None,
            global_clipnorm=own.global_clipnorm or None,
        ),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        if smoothing
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )  # fmt: skip
    return model


def keras_labels(case: Case, labels):
    """Return the labels as the loss of the Keras model wants them."""
    return np.eye(case.classes)[labels] if case.chain.label_smoothing else labels


def keras_weights(case: Case, model):
    """Return the weights of the Keras model by name."""
    return {
        name: getattr(model.get_layer(name.split("/")[0]), name.split("/")[1]).numpy()
        for name in case.chain.shapes()
    }
