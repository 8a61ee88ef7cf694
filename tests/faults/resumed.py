"""A user's Keras model with all that a training keeps between epochs."""

from __future__ import annotations

from digitexp.keras_experiment import KerasExperiment


def build(params):
    import keras

    layers = [
        keras.layers.Dense(64, "relu"),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential([keras.layers.Input((64,)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["learning_rate"]), loss, metrics=["accuracy"])
    return model


def digits():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return (pixels / 16).astype("float32"), labels


experiment = KerasExperiment(build, digits, {"learning_rate": 1e-3})
