"""Chains of every option, drawn at random, as a compiled net and as a Keras model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from digitexp.activations import ACTIVATIONS
from digitexp.chain import Chain, Dense, Layer, Loss, Normalization, Optimizer
from digitexp.parameters import INITIALIZERS
from digitexp.training.compiled.dropout import drop
from digitexp.training.compiled.losses import LOSSES
from digitexp.training.compiled.net import CompiledNet, Data

EPOCHS = 3


@dataclass(frozen=True)
class Case:
    """A chain and how it is trained.

    Keras rounds some numbers to float32 even in a float64 net. So that both compute with the same,
    all are such that float32 holds them exactly.

    Attributes:
        chain: The layers.
        optimizer: The optimizer.
        rate: The learning rate.
        samples: How many there are.
        batch_size: Samples of a step.
        initializer: Law of the first kernels.
        is_weighted: Whether samples count more or less.
        seed: Decides the samples, their order, the first weights and dropout.
    """

    chain: Chain
    optimizer: Optimizer
    rate: float
    samples: int
    batch_size: int
    initializer: str
    is_weighted: bool
    seed: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.samples // self.batch_size)

    @property
    def outputs(self) -> int:
        """Outputs."""
        return self.chain.widths[-1]

    def data(self, dtype="float64"):
        """Return samples, labels or targets, and an order of them for each epoch."""
        generator = np.random.default_rng((self.seed, 3))
        samples = generator.normal(size=(self.samples, self.chain.features)).astype(dtype)
        labels = generator.integers(0, self.outputs, self.samples)
        answers = {
            "sparse_categorical_crossentropy": lambda: labels,
            "categorical_crossentropy": lambda: np.eye(self.outputs)[labels],
            "binary_crossentropy": lambda: generator.integers(0, 2, (self.samples, self.outputs)),
        }.get(
            self.chain.loss.name,
            lambda: generator.normal(size=(self.samples, self.outputs)).astype("f4"),
        )()
        return samples, answers, [generator.permutation(self.samples) for _ in range(EPOCHS)]

    def counts(self):
        """Return how much each sample counts; None if all count alike."""
        generator = np.random.default_rng((self.seed, 5))
        return generator.integers(0, 9, self.samples) / 4 if self.is_weighted else None

    def whole(self, dtype="float64"):
        """Return the data as the net takes them."""
        samples, answers, _ = self.data(dtype)
        counts = self.counts()
        return Data.of(samples, answers, () if counts is None else counts, dtype=dtype)

    def weights(self):
        """Return first weights: no bias is 0, no gamma and no running variance is 1."""
        generator = np.random.default_rng((self.seed, 4))
        found = self.chain.initial_weights(self.initializer, self.seed)
        for name, shape in {**self.chain.shapes(), **self.chain.running()}.items():
            if len(shape) == 1:
                values = generator.normal(0, 0.2, shape)
                found[name] = (1 + abs(values) if "var" in name else values).astype("f4")
                found[name] += np.float32(name.endswith("gamma"))
        return found

    def net(self, dtype="float64"):
        """Return the compiled net."""
        return CompiledNet(self.chain, self.optimizer, self.weights(), self.seed, dtype)

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
    features = int(generator.integers(1, 40))
    layers = [Layer("first", features, dropout=0.25)] if pick(0, 0, 0, 1) else []
    for j in range(hidden):
        dense = Dense(
            f"hidden_{j + 1}",
            units=int(generator.integers(1, 25)),
            activation=pick(*ACTIVATIONS, "linear"),
            dropout=pick(0.0, 0.125, 0.25, 0.5),
            l1=pick(0.0, 0.0, 2**-13, 2**-8),
            l2=pick(0.0, 2**-10, 2**-5),
            has_bias=pick(True, True, False),
            trains=j >= frozen,
        )
        layers.append(dense)
        kind = pick("", "", "", "batch", "layer", "activation")
        if kind == "activation" and (dense.dropout or dense.activation != "linear"):
            layers.append(
                Layer(f"after_{j + 1}", dense.units, pick("tanh", "elu"), pick(0.0, 0.25))
            )
        elif kind in {"batch", "layer"}:
            layers.append(Normalization(
                f"norm_{j + 1}",
                dense.units,
                pick("linear", "relu", "gelu"),
                pick(0.0, 0.25),
                over=kind,
                epsilon=2**-8,
                momentum=pick(0.75, 0.875) if kind == "batch" else 0.0,
                has_gamma=pick(True, True, False),
                has_beta=pick(True, True, False),
            ))  # fmt: skip
    loss = _drawn_loss(pick)
    ends = {
        "sparse_categorical_crossentropy": ("linear", "softmax"),
        "categorical_crossentropy": ("linear", "softmax"),
        "binary_crossentropy": ("linear", "sigmoid"),
    }.get(loss.name, ("linear", "linear", "sigmoid", "tanh", "relu"))
    end = "linear" if loss.name.startswith("sparse") and loss.smoothing else pick(*ends)
    output = Dense(
        "output",
        units=int(generator.integers(2, 11)) if "cat" in loss.name else pick(1, 1, 2, 5),
        activation=end,
        dropout=pick(0.0, 0.0, 0.0, 0.25) if end == "linear" else 0.0,
        l1=pick(0.0, 2**-13),
        l2=pick(0.0, 2**-10),
    )
    chain = Chain(features, (*layers, output), loss)
    return Case(
        chain,
        _drawn_optimizer(pick),
        rate=2.0 ** -int(generator.integers(5, 11)),
        samples=int(generator.integers(50, 90)),
        batch_size=pick(3, 7, 16, 32, 100),
        initializer=pick(*INITIALIZERS),
        is_weighted=pick(False, False, True),
        seed=seed,
    )


def _drawn_loss(pick) -> Loss:
    name = pick("sparse_categorical_crossentropy", *LOSSES)
    may_smooth = name.endswith("crossentropy")
    return Loss(
        name,
        smoothing=pick(0.0, 0.0, 0.125, 0.25) if may_smooth else 0.0,
        delta=pick(0.5, 0.75) if name == "huber" else 1.0,
    )


def _drawn_optimizer(pick) -> Optimizer:
    clipping = pick({}, {}, {"clipnorm": 2**-4}, {"clipvalue": 2**-8}, {"global_clipnorm": 2**-5})
    own = {"weight_decay": pick(0.0, 0.0, 2**-5), **clipping}
    name = pick("adam", "adam", "sgd", "rmsprop")
    if name == "adam":
        rates = {"beta_1": pick(0.75, 0.875), "beta_2": 1 - pick(2**-7, 2**-10)}
        return Optimizer(name, **rates, epsilon=pick(2**-20, 2**-23), **own)
    momentum = pick(0.0, 0.5, 0.875)
    if name == "sgd":
        is_nesterov = bool(momentum) and pick(True, True, False)
        return Optimizer(name, 0.0, 0.0, 0.0, momentum, is_nesterov, **own)
    return Optimizer(name, 0.0, pick(0.75, 0.875), 2**-10, momentum, **own)


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


def keras_model(case: Case, dtype="float64", *, is_masked=True):
    """Return the same net as a compiled Keras model.

    Call it inside `of_float64` for that type.

    Args:
        case: The case.
        dtype: Type of all numbers.
        is_masked: Whether it has the masks of ours; else it draws its own.
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
        for layer in _keras_layers(keras, one):
            model.add(layer)
        if one.dropout:
            is_alone = type(one) is Layer and one.activation == "linear"
            name = one.name if is_alone else f"dropout_{number}"
            own = keras.layers.Dropout(one.dropout, name=name)
            model.add(Masked(case.masks(number, dtype)) if is_masked else own)
    for name, array in case.weights().items():
        layer, kind = name.split("/")
        getattr(model.get_layer(layer), kind).assign(array)
    accuracy = "accuracy" if case.chain.loss.name.endswith("crossentropy") else "mae"
    model.compile(
        _keras_optimizer(keras, case),
        _keras_loss(keras, case.chain),
        metrics=[accuracy, "mse"] if accuracy == "mae" else [accuracy],
        jit_compile=False,
    )
    return model


def _keras_layers(keras, one):
    if isinstance(one, Dense):
        penalty = keras.regularizers.L1L2(one.l1, one.l2)
        layer = keras.layers.Dense(
            one.units, one.activation, use_bias=one.has_bias, kernel_regularizer=penalty,
            name=one.name,
        )  # fmt: skip
        layer.trainable = one.trains
        yield layer
        return
    if isinstance(one, Normalization):
        options = {"epsilon": one.epsilon, "scale": one.has_gamma, "center": one.has_beta}
        if one.over == "batch":
            yield keras.layers.BatchNormalization(
                momentum=one.momentum, name=one.name, **options
            )  # fmt: skip
        else:
            yield keras.layers.LayerNormalization(name=one.name, **options)
    if one.activation != "linear":
        name = f"{one.name}_activation" if isinstance(one, Normalization) else one.name
        yield keras.layers.Activation(one.activation, name=name)


def _keras_optimizer(keras, case):
    own = case.optimizer
    more = {
        name: getattr(own, name) or None
        for name in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay")
    }
    if own.name == "sgd":
        return keras.optimizers.SGD(case.rate, own.momentum, own.nesterov, **more)
    if own.name == "rmsprop":
        return keras.optimizers.RMSprop(
            case.rate, rho=own.beta_2, momentum=own.momentum, epsilon=own.epsilon, **more
        )
    return keras.optimizers.Adam(
        case.rate, beta_1=own.beta_1, beta_2=own.beta_2, epsilon=own.epsilon, **more
    )


def _keras_loss(keras, chain):
    name, losses = chain.loss.name, keras.losses
    is_logits = {"from_logits": chain.layers[-1].activation == "linear"}
    if name == "sparse_categorical_crossentropy" and not chain.loss.smoothing:
        return losses.SparseCategoricalCrossentropy(**is_logits)
    if name in {"sparse_categorical_crossentropy", "categorical_crossentropy"}:
        return losses.CategoricalCrossentropy(**is_logits, label_smoothing=chain.loss.smoothing)
    if name == "binary_crossentropy":
        return losses.BinaryCrossentropy(**is_logits, label_smoothing=chain.loss.smoothing)
    if name == "huber":
        return losses.Huber(chain.loss.delta)
    return name


def keras_answers(case: Case, answers):
    """Return labels or targets as the loss of the Keras model wants them."""
    is_smoothed = case.chain.loss.smoothing and answers.ndim == 1
    return np.eye(case.outputs)[answers] if is_smoothed else answers


def keras_weights(case: Case, model):
    """Return the weights of the Keras model by name."""
    return {
        name: getattr(model.get_layer(name.split("/")[0]), name.split("/")[1]).numpy()
        for name in {**case.chain.shapes(), **case.chain.running()}
    }
