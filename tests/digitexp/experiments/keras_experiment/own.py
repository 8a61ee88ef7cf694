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
    from digitexp.tensorflow_setup import start_tensorflow

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


def build_several(params):
    """Two inputs, two outputs."""
    import keras

    pixels = keras.layers.Input((8, 8), name="pixels")
    ink = keras.layers.Input((1,), name="ink")
    flat = keras.layers.Flatten()(pixels)
    hidden = keras.layers.Dense(params["units"], "relu")(keras.layers.Concatenate()([flat, ink]))
    digit = keras.layers.Dense(10, name="digit")(hidden)
    half = keras.layers.Dense(1, name="half")(hidden)
    by_name = params["form"] == "dict"
    model = keras.Model(
        {"pixels": pixels, "ink": ink} if by_name else [pixels, ink],
        {"digit": digit, "half": half} if by_name else [digit, half],
    )
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(params["learning_rate"]),
        loss={"digit": cross_entropy, "half": "mse"},
        loss_weights={"digit": 1.0, "half": 0.1},
        metrics={"digit": ["accuracy"], "half": ["mae"]},
    )
    return model


def several_arrays(form):
    """Digits and their mean ink; which digit it is, and the ink of the upper half."""
    x, y = images()
    x, y = x[:600, ..., 0], y[:600]
    ink, half = x.mean(axis=(1, 2))[:, None], x[:, :4].mean(axis=(1, 2))[:, None] * 10
    if form == "dict":
        return {"pixels": x, "ink": ink}, {"half": half, "digit": y}
    return form_of(form)([x, ink]), form_of(form)([y, half])


def form_of(name):
    return {"list": list, "tuple": tuple}[name]


def several_datasets():
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices(several_arrays("dict"))
    return whole.skip(200).shuffle(400).batch(32), whole.take(200).batch(64)


def several_of(data, form, test=None):
    return KerasExperiment(
        build_several,
        data,
        {"units": 16, "learning_rate": 1e-2, "form": form},
        task={"digit": "classification", "half": "regression"},
        metrics={"half_mae": "minimize"},
        name="several",
        test=test,
    )


several = several_of(lambda: several_arrays("dict"), "dict")
several_streamed = several_of(several_datasets, "dict")
