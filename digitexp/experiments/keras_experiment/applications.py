"""Nets of Keras Applications on small grey images, as an experiment.

Nothing is ever downloaded: `weights="imagenet"`, which would, is refused.

A space names it: `experiment: digitexp.keras_experiment.applications:experiment`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from digitexp.data import load_source
from digitexp.data.source import resized
from digitexp.experiments.keras_experiment.experiment import KerasExperiment
from sweeps.experiment import ParameterInfo, Value

MIN_SIDE: Final = 32
"""Height and width of the smallest images these nets take (Keras Applications, `input_shape`)."""

NETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MobileNet": "mobilenet",
        "MobileNetV2": "mobilenet_v2",
        "EfficientNetB0": "efficientnet",
        "DenseNet121": "densenet",
        "ResNet50": "resnet",
        "VGG16": "vgg16",
    }
)
"""Class -> its module in `keras.applications`, where its `preprocess_input` is."""

_WITH_ALPHA: Final = ("MobileNet", "MobileNetV2")


def check_application(params: Mapping[str, Any]) -> None:
    """Refuse weights that are no file here, before anything is built.

    Args:
        params: As `build_application` takes them; a missing one has its default.

    Raises:
        ValueError: The weights are a name Keras would download, no file, or of another format; a
            body at random is to be frozen; or `alpha` is given for a net without one.
    """
    net, path = params.get("net", "MobileNetV2"), params.get("body_weights")
    if params.get("alpha", 1.0) != 1.0 and net not in _WITH_ALPHA:
        raise ValueError(f"alpha is {params['alpha']}, but {net} has none; leave alpha out.")
    if path is None:
        if params.get("frozen_body"):
            raise ValueError(
                "frozen_body is true, but body_weights is not given: a body that starts at random "
                "would never learn. Give body_weights, or set frozen_body to false."
            )
        return
    how = (
        f"Where there is a network, run keras.applications.{net}(weights='imagenet', "
        "include_top=False) once; the file then lies in ~/.keras/models, and its path is what "
        "body_weights takes."
    )
    if not Path(path).expanduser().is_file():
        is_name = re.fullmatch(r"[A-Za-z]+", path)
        problem = "a name that would be downloaded" if is_name else "no file"
        raise ValueError(f"body_weights is {path!r}: {problem}; give a local file. {how}")
    if not path.endswith((".h5", ".keras")):
        raise ValueError(f"body_weights is {path!r}; give an .h5 or .keras file. {how}")


def build_application(params: Mapping[str, Any]) -> Any:
    """Build a compiled net of Keras Applications: (n, 32, 32, 1) grey in [0, 1] -> logits.

    Images are repeated in three channels, resized to `image_side`, brought to the range of the
    net's own `preprocess_input`, and go through the body (`include_top=False`), global average
    pooling and a dense head.

    Args:
        params: `net` (one of `NETS`), `alpha` (width of the MobileNets), `body_weights` (local
            file, None = at random), `frozen_body` (whether only the head trains), `image_side`
            (pixels, `MIN_SIDE` at least), `head_units` (0 = no hidden layer), `head_dropout`,
            `classes`, `learning_rate`.

    Raises:
        ValueError: See `check_application`; or the file holds weights of another net.
    """
    check_application(params)
    import keras

    side = int(params["image_side"])
    grey = keras.layers.Input((MIN_SIDE, MIN_SIDE, 1), name="image")
    pixels = keras.layers.Rescaling(255.0, name="pixels")(grey)
    if side != MIN_SIDE:
        pixels = keras.layers.Resizing(side, side, name="resized")(pixels)
    colours = keras.layers.Concatenate(name="channels")([pixels, pixels, pixels])
    module = getattr(keras.applications, NETS[params["net"]])
    body = _body(keras, params, side)
    features = body(module.preprocess_input(colours))
    features = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    if params["head_units"]:
        features = keras.layers.Dense(params["head_units"], "relu", name="head")(features)
    if params["head_dropout"]:
        features = keras.layers.Dropout(params["head_dropout"], name="head_dropout")(features)
    logits = keras.layers.Dense(params["classes"], name="output")(features)
    model = keras.Model(grey, logits, name=str(params["net"]).lower())
    model.compile(
        keras.optimizers.Adam(params["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def _body(keras: Any, params: Mapping[str, Any], side: int) -> Any:
    net, path = params["net"], params["body_weights"]
    width = {"alpha": params["alpha"]} if net in _WITH_ALPHA else {}
    body = getattr(keras.applications, net)(
        include_top=False, weights=None, input_shape=(side, side, 3), **width
    )
    if path is not None:
        try:
            with warnings.catch_warnings():
                # Keras only warns of layers that the file has no weights for.
                warnings.simplefilter("error", UserWarning)
                body.load_weights(Path(path).expanduser())
        except (ValueError, OSError, KeyError, UserWarning) as error:
            raise ValueError(
                f"body_weights {path}: Keras cannot load it into {net} {width or ''} without its "
                f"top ({str(error).splitlines()[0]}); give the weights of this net."
            ) from error
    body.trainable = not params["frozen_body"]
    return body


class ApplicationExperiment(KerasExperiment):
    """A `KerasExperiment` that refuses weights which are not here before a sweep begins."""

    def check(self, config: Mapping[str, Value]) -> None:
        """Raise ValueError if `body_weights` is no local file."""
        check_application(config)


def images(source: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a source, (n, 32, 32, 1) float32 in [0, 1], and their classes.

    Images of another size are resized; the test set is left out.
    """
    loaded = load_source(source)
    return resized(loaded.images, (MIN_SIDE, MIN_SIDE))[..., None], loaded.labels


experiment = ApplicationExperiment(
    build_application,
    images,
    {
        "net": ParameterInfo(
            "categorical",
            choices=tuple(NETS),
            default="MobileNetV2",
            description="of Keras Applications",
        ),
        "alpha": ParameterInfo(
            "float",
            low=0.1,
            high=2.0,
            default=1.0,
            description="width of MobileNet and MobileNetV2, as a share",
        ),
        "body_weights": ParameterInfo(
            "categorical",
            optional=True,
            description="local file of weights without the top; null = at random",
        ),
        "frozen_body": ParameterInfo(
            "bool", default=False, description="only the head trains; needs body_weights"
        ),
        "image_side": ParameterInfo(
            "int", low=MIN_SIDE, high=512, default=MIN_SIDE, description="images grow to it, pixels"
        ),
        "head_units": ParameterInfo(
            "int", low=0, high=4096, default=0, description="hidden layer of the head; 0 = none"
        ),
        "head_dropout": ParameterInfo(
            "float", low=0.0, high=0.95, default=0.0, description="before the output layer"
        ),
        "classes": ParameterInfo(
            "int", low=2, high=1000, default=10, description="classes of the data"
        ),
        "learning_rate": ParameterInfo(
            "float", low=1e-8, high=10.0, default=1e-3, description="Adam's"
        ),
    },
    name="applications",
)
