"""TrialConfig -> its dense layers as a chain, and keras.Sequential with its weights by name.

TensorFlow is imported inside the functions that need it; counting parameters needs none.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from digitexp.chain import Chain, Dense, Loss
from digitexp.config import TrialConfig


def count_parameters(config: TrialConfig, image_shape: tuple[int, ...], n_classes: int) -> int:
    """Return the number of trainable weights, frozen ones too, without building the model.

    Args:
        config: The configuration; only its layers matter.
        image_shape: Height and width, such as (20, 20).
        n_classes: Number of outputs.
    """
    channels, convolutions = 1, 0
    for filters in _filters(config):
        for _ in range(config.convs_per_block):
            convolutions += channels * config.kernel_size**2 * filters + filters
            convolutions += 2 * filters if config.batch_norm else 0
            channels = filters
    shapes = chain_of(config, image_shape, n_classes).shapes().values()
    return convolutions + sum(map(math.prod, shapes))


def chain_of(config: TrialConfig, image_shape: tuple[int, ...], n_classes: int) -> Chain:
    """Return the dense layers of a configuration: hidden ones, and the output, which gives logits.

    Args:
        config: The configuration. Of a convolutional net, these layers take what its blocks give.
        image_shape: Height and width of the images, which come as rows of pixels.
        n_classes: Number of logits.
    """
    channels = (1, *_filters(config))
    smaller = 2 ** len(_filters(config))  # each block halves the sides, rounded up
    pixels = math.prod(-(-side // smaller) for side in image_shape)
    frozen = config.frozen_layers - len(_filters(config)) * config.convs_per_block
    hidden = (
        Dense(
            f"hidden_{i}", units, config.activation, rate, l2=config.l2, trains=i > frozen,
        )
        for i, (units, rate) in enumerate(zip(config.units, config.dropout_rates, strict=True), 1)
    )  # fmt: skip
    layers = (*hidden, Dense("output", n_classes))
    loss = Loss(smoothing=config.label_smoothing)
    return Chain(channels[-1] * pixels, layers, loss)


def _filters(config: TrialConfig) -> tuple[int, ...]:
    return config.filters if config.architecture == "cnn" else ()


def build_model(config: TrialConfig, image_shape: tuple[int, ...], n_classes: int) -> Any:
    """Build the compiled network: (batch, pixels) float32 -> (batch, n_classes) logits.

    A Dropout layer stands only where its rate is above zero and a penalty only where `l2` is, so
    that the tutorial's nets have exactly the tutorial's layers. Weights are drawn from Keras's
    global seed: set it first.

    Args:
        config: The configuration.
        image_shape: Height and width of the images, which come as rows of pixels.
        n_classes: Number of logits.
    """
    import keras

    is_plain = config.precision == "float32"
    policy = str(keras.config.floatx()) if is_plain else config.precision
    keras.config.set_dtype_policy(keras.dtype_policies.DTypePolicy(policy))
    try:
        layers = [keras.layers.Input((math.prod(image_shape),), name="image")]
        if config.architecture == "cnn":
            layers += _convolutional(config, image_shape)
            _freeze(layers, config.frozen_layers)
        layers += _dense(chain_of(config, image_shape, n_classes), config.kernel_initializer)
        model = keras.Sequential(layers, name="digits")
        model.compile(
            optimizer=keras.optimizers.Adam(config.learning_rate, clipnorm=config.clipnorm),
            loss=_loss(config, n_classes),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            # XLA would compile anew for every trial: longer than training these nets takes.
            jit_compile=False,
        )
    finally:
        keras.config.set_dtype_policy(keras.config.floatx())
    # Adam's variables and (above) the metric's are made here. Left to Keras they would be made
    # inside the first graph, which TensorFlow then never frees: 8 MB a trial.
    model.optimizer.build(model.trainable_variables)
    return model


def _freeze(layers: Iterable[Any], count: int) -> None:
    """Keep the first convolutions from training, and the batch normalisation that follows them.

    Batch normalisation that is frozen uses its stored means and variances (Keras, `trainable`).
    """
    import keras

    seen = 0
    for layer in layers:
        seen += isinstance(layer, keras.layers.Conv2D)
        if 0 < seen <= count:
            layer.trainable = False


def _loss(config: TrialConfig, n_classes: int) -> Any:
    import keras

    if not config.label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def smoothed_cross_entropy(labels: Any, logits: Any) -> Any:
        """Keras smooths one-hot labels only (Szegedy et al. 2016, section 7)."""
        one_hot = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), n_classes, dtype=logits.dtype)
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=config.label_smoothing
        )

    return smoothed_cross_entropy


def _dense(chain: Chain, initializer: str) -> Iterator[Any]:
    import keras

    for number, one in enumerate(chain.layers, 1):
        assert isinstance(one, Dense)  # a configuration of the digits has no others
        yield keras.layers.Dense(
            one.units,
            activation=one.activation,
            kernel_initializer=initializer,
            kernel_regularizer=_penalty(one.l2),
            trainable=one.trains,
            # Logits are float32 whatever the precision: a softmax of 16 bits is too coarse.
            dtype=keras.config.floatx() if one is chain.layers[-1] else None,
            name=one.name,
        )
        if one.dropout:
            yield keras.layers.Dropout(one.dropout, name=f"dropout_{number}")


def _convolutional(config: TrialConfig, image_shape: tuple[int, ...]) -> Iterator[Any]:
    """Yield the blocks: convolutions (with batch normalisation), 2x2 max-pooling, dropout."""
    import keras

    yield keras.layers.Reshape((*image_shape, 1), name="pixels")
    for block, filters in enumerate(config.filters, 1):
        for turn in range(1, config.convs_per_block + 1):
            name = f"{block}_{turn}"
            normalised = config.batch_norm
            yield keras.layers.Conv2D(
                filters,
                config.kernel_size,
                padding="same",
                activation=None if normalised else config.activation,
                kernel_initializer=config.kernel_initializer,
                kernel_regularizer=_penalty(config.l2),
                name=f"conv_{name}",
            )
            if normalised:
                # Means over about 10 steps, not 100: small data have few steps an epoch.
                yield keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{name}")
                yield keras.layers.Activation(config.activation, name=f"activation_{name}")
        # Sides are halved and rounded up: four blocks fit on the smallest image.
        yield keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{block}")
        if config.conv_dropout:
            yield keras.layers.Dropout(config.conv_dropout, name=f"conv_dropout_{block}")
    yield keras.layers.Flatten(name="features")


def _penalty(l2: float) -> Any:
    import keras

    return keras.regularizers.L2(l2) if l2 else None


def model_weights(model: Any) -> dict[str, np.ndarray]:
    """Return copies of all weights by name: `hidden_1/kernel`, `hidden_1/bias`, ..."""
    return {
        f"{layer.name}/{variable.name}": variable.numpy().copy()
        for layer in model.layers
        for variable in layer.weights
    }


def set_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Put weights made by `model_weights` into a model of the same shape.

    Raises:
        ValueError: A name or shape differs from the model's.
    """
    variables = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    found = {name: tuple(array.shape) for name, array in weights.items()}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    if found != expected:
        raise ValueError(f"The weights are {found}; this model takes {expected}.")
    for name, variable in variables.items():
        variable.assign(weights[name])


def describe_model(model: Any) -> str:
    """Return Keras's table of layers as plain text, 72 columns wide."""
    import keras

    lines: list[str] = []
    # Not the compiled model itself: its "total" would count Adam's variables as well.
    layers = keras.Model(model.inputs, model.outputs, name=model.name)
    # Keras renders the table on the real stdout's console first: that may be closed or full.
    with contextlib.redirect_stdout(io.StringIO()):
        layers.summary(line_length=72, print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines) + "\n"
