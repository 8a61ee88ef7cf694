"""Models of every kind, drawn at random, with data they can be trained on."""

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("EQUALITY_EXAMPLES", "5"))
"""`make equality` asks for 200."""

sampled = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip

ROWS, HELD_OUT = 61, 23


@dataclass(frozen=True)
class Case:
    """A model by its parts; equal seeds give equal weights.

    Attributes:
        kind: Of the layers: `dense`, `image`, `sequence`, `table` (numbers and a category), `two`
            (outputs).
        choices: Numbers that the parts are made of, from 0 to 1.
        optimizer: Name of one in `OPTIMIZERS`.
        loss: Name of a loss.
        weights: `none`, `samples` or `classes`.
        batch_size: Samples per step.
    """

    kind: str
    choices: tuple[float, ...]
    optimizer: str
    loss: str
    weights: str
    batch_size: int
    seed: int

    def pick(self, j: int, *values: Any) -> Any:
        """Return one of the values, by the j-th choice."""
        return values[int(self.choices[j] * len(values))]


OPTIMIZERS = {
    "adam": lambda o: o.Adam(0.01),
    "adam, by value": lambda o: o.Adam(
        0.003, beta_1=0.8, beta_2=0.95, epsilon=1e-5, clipvalue=0.02
    ),
    "adam, scheduled": lambda o: o.Adam(o.schedules.ExponentialDecay(0.02, 3, 0.7)),
    "adamw": lambda o: o.AdamW(0.01, weight_decay=0.05, clipnorm=0.3),
    "sgd": lambda o: o.SGD(0.1),
    "sgd, decaying": lambda o: o.SGD(o.schedules.CosineDecay(0.1, 8), weight_decay=0.01),
    "momentum": lambda o: o.SGD(0.05, momentum=0.9, global_clipnorm=0.2),
    "nesterov": lambda o: o.SGD(0.05, momentum=0.8, nesterov=True),
    "rmsprop": lambda o: o.RMSprop(0.01),
    "rmsprop, momentum": lambda o: o.RMSprop(0.003, rho=0.8, momentum=0.5, weight_decay=0.004),
}
LOSSES = ("sparse", "smoothed", "binary", "focal", "mse", "huber", "mae", "own")


@st.composite
def cases(draw, kinds=("dense", "image", "sequence", "table", "two")):
    """Draw a case."""
    return Case(
        kind=draw(st.sampled_from(kinds)),
        choices=tuple(draw(st.lists(st.floats(0, 0.999), min_size=12, max_size=12))),
        optimizer=draw(st.sampled_from(sorted(OPTIMIZERS))),
        loss=draw(st.sampled_from(LOSSES)),
        weights=draw(st.sampled_from(["none", "none", "samples", "classes"])),
        batch_size=draw(st.sampled_from([7, 16, 61, 100])),
        seed=draw(st.integers(0, 2**31)),
    )


@contextmanager
def of_float64():
    """Have Keras use float64 inside, and float32 afterwards."""
    import keras

    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_floatx("float32")


def own_loss(y, outputs):
    """Return a loss of the user's own."""
    from keras import ops

    return ops.mean(ops.square(ops.cast(y, outputs.dtype) - outputs) ** 1.5, axis=-1)


def build(case):
    """Build and compile the model."""
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(case.seed)
    inputs, features = _BODIES[case.kind](keras, case)
    outputs, losses, metrics = _head(keras, case, features)
    if case.kind == "dense" and case.pick(11, True, False):
        model = keras.Sequential([inputs, *_dense_layers(keras, case), outputs])
    else:
        model = keras.Model(inputs, outputs(features) if callable(outputs) else outputs)
    model.compile(OPTIMIZERS[case.optimizer](keras.optimizers), losses, metrics=metrics)
    return model


def _dense_layers(keras, case):
    found = []
    for j in range(case.pick(0, 1, 2, 3)):
        penalty = case.pick(
            j + 1, None, keras.regularizers.L2(0.01), keras.regularizers.L1(0.003),
            keras.regularizers.L1L2(0.002, 0.01),
        )  # fmt: skip
        activation = case.pick(j + 2, "relu", "tanh", "gelu", "silu", "linear")
        width = case.pick(j + 3, 3, 8, 13, 20)
        found.append(keras.layers.Dense(width, activation, kernel_regularizer=penalty))
        found += case.pick(
            j + 4, [], [keras.layers.Dropout(0.3)], [keras.layers.BatchNormalization()],
            [keras.layers.LayerNormalization(), keras.layers.LeakyReLU()],
            [keras.layers.GaussianNoise(0.1)],
        )  # fmt: skip
    return found


def _dense(keras, case):
    inputs = features = keras.layers.Input((6,))
    for layer in _dense_layers(keras, case):
        features = layer(features)
    return inputs, features


def _image(keras, case):
    layers, inputs = keras.layers, keras.layers.Input((8, 8, 1))
    features = inputs
    for j in range(case.pick(0, 1, 2)):
        features = layers.Conv2D(case.pick(j + 1, 2, 5), 3, padding="same")(features)
        if case.pick(j + 2, True, False):
            features = layers.BatchNormalization()(features)
        features = layers.Activation(case.pick(j + 3, "relu", "elu"))(features)
        pool = case.pick(j + 4, layers.MaxPooling2D, layers.AveragePooling2D)
        features = layers.SpatialDropout2D(0.2)(pool(2)(features))
    flat = case.pick(5, layers.Flatten, layers.GlobalAveragePooling2D)()(features)
    return inputs, layers.Dropout(0.25)(layers.Dense(case.pick(6, 4, 9), "relu")(flat))


def _sequence(keras, case):
    layers, inputs = keras.layers, keras.layers.Input((5,), dtype="int32")
    features = layers.Embedding(11, case.pick(0, 3, 6))(inputs)
    features = case.pick(
        1,
        layers.Flatten(),
        lambda x: layers.GlobalMaxPooling1D()(layers.Conv1D(4, 2)(x)),
        layers.GRU(4),
        layers.LSTM(3),
        lambda x: layers.Flatten()(layers.MultiHeadAttention(2, 3)(x, x)),
    )(features)
    return inputs, layers.Dense(case.pick(2, 4, 8), "relu")(features)


def _table(keras, case):
    layers = keras.layers
    numbers = layers.Input((4,), name="numbers")
    category = layers.Input((), dtype="int32", name="category")
    embedded = layers.Embedding(7, case.pick(0, 2, 5))(category)
    features = layers.Concatenate()([numbers, embedded])
    for layer in _dense_layers(keras, case):
        features = layer(features)
    return {"numbers": numbers, "category": category}, features


def _head(keras, case, features):
    layers, losses = keras.layers, keras.losses
    if case.kind == "two":
        outputs = {
            "kind": layers.Dense(3, name="kind")(features),
            "price": layers.Dense(1, name="price")(features),
        }
        return (
            outputs,
            {"kind": losses.SparseCategoricalCrossentropy(from_logits=True), "price": "mse"},
            {"kind": ["accuracy"], "price": ["mae"]},
        )
    found = {
        "sparse": (3, losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"]),
        "smoothed": (
            3,
            losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            ["accuracy", keras.metrics.CategoricalCrossentropy(from_logits=True)],
        ),
        "binary": (
            1,
            losses.BinaryCrossentropy(from_logits=True),
            ["accuracy", keras.metrics.AUC(from_logits=True, num_thresholds=20)],
        ),
        "focal": (1, losses.BinaryFocalCrossentropy(from_logits=True), ["mse"]),
        "mse": (1, "mse", ["mae", keras.metrics.RootMeanSquaredError()]),
        "huber": (1, losses.Huber(0.5), ["mae", keras.metrics.R2Score()]),
        "mae": (1, "mae", []),
        "own": (1, own_loss, [own_loss]),
    }[case.loss]
    return layers.Dense(found[0]), found[1], found[2]


def _two(keras, case):
    return _dense(keras, case)


_BODIES = {
    "dense": _dense, "image": _image, "sequence": _sequence, "table": _table, "two": _two
}  # fmt: skip


def data(case):
    """Return training and validation part: (x, y) or (x, y, sample weights)."""
    generator = np.random.default_rng(case.seed)
    return _part(case, generator, ROWS), _part(case, generator, HELD_OUT)


def _part(case, generator, n):
    x = {
        "dense": lambda: generator.normal(size=(n, 6)),
        "two": lambda: generator.normal(size=(n, 6)),
        "image": lambda: generator.random((n, 8, 8, 1)),
        "sequence": lambda: generator.integers(0, 11, (n, 5)),
        "table": lambda: {
            "numbers": generator.normal(size=(n, 4)), "category": generator.integers(0, 7, n)
        },
    }[case.kind]()  # fmt: skip
    labels = generator.integers(0, 3, n)
    if case.kind == "two":
        return x, {"kind": labels, "price": generator.normal(size=n)}
    y = {
        "sparse": labels, "smoothed": np.eye(3)[labels], "binary": (labels > 0).astype(int),
        "focal": (labels > 0).astype(float)[:, None],
    }.get(case.loss)  # fmt: skip
    if y is None:
        shape = (n, 1) if case.loss == "huber" or case.pick(10, True, False) else (n,)
        y = generator.normal(size=shape)
    if case.weights == "samples":
        return x, y, generator.random(n)
    if case.weights == "classes":
        return x, y, np.array([0.5, 1.0, 3.0])[labels]
    return x, y
