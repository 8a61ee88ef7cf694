"""Experiments as users write them."""

from digitexp.keras_experiment import KerasExperiment


def build_cnn(params):
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(params["filters"], 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(params["learning_rate"]), loss, metrics=["accuracy"])
    return model


def images():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return (pixels.reshape(-1, 8, 8, 1) / 16).astype("float32"), labels


cnn = KerasExperiment(build_cnn, images, {"filters": 8, "learning_rate": 1e-2})


def build_regression(params):
    import keras

    layers = [keras.layers.Dense(params["units"], "relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.layers.Input((10,)), *layers])
    model.compile(keras.optimizers.Adam(params["learning_rate"]), "mse", metrics=["mae"])
    return model


def diabetes():
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return (x / x.std(axis=0)).astype("float32"), y / 100


regression = KerasExperiment(
    build_regression,
    diabetes,
    {"units": 16, "learning_rate": 1e-2},
    task="regression",
    metrics={"mae": "minimize"},
)


def build_wine(params):
    import keras

    layers = [keras.layers.Dense(params["units"], "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.layers.Input((13,)), *layers])
    optimizer = keras.optimizers.Adam(params["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def wines():
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return x**0.25, y


wine = KerasExperiment(build_wine, wines, {"units": 16, "learning_rate": 1e-2})


def datasets():
    from digitexp.training.tensorflow_setup import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    x, y = images()
    whole = tf.data.Dataset.from_tensor_slices((x, y))
    return whole.skip(300).batch(64), whole.take(300).batch(64)


streamed = KerasExperiment(build_cnn, datasets, {"filters": 8, "learning_rate": 1e-2})


def shuffled_datasets():
    return _shuffled(seed=None)


def seeded_datasets():
    return _shuffled(seed=1)


def _shuffled(seed):
    import tensorflow as tf

    x, y = images()
    training = tf.data.Dataset.from_tensor_slices((x[300:900], y[300:900]))
    validation = tf.data.Dataset.from_tensor_slices((x[:300], y[:300]))
    return training.shuffle(1000, seed=seed).batch(32), validation.batch(64)


shuffled = KerasExperiment(build_cnn, shuffled_datasets, {"filters": 8, "learning_rate": 1e-2})
seeded = KerasExperiment(build_cnn, seeded_datasets, {"filters": 8, "learning_rate": 1e-2})
