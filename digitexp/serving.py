"""A trained net for use elsewhere: its files, the check of its inputs, its probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.numpy_functions import softmax
from digitexp.tensorflow_setup import known_warnings_ignored

__all__ = ["checked_images", "probabilities", "write_model"]


def write_model(model: Any, info: Mapping[str, Any], folder: Path) -> str:
    """Write `model.keras` and `preprocessing.json`; return Python code that uses them.

    Args:
        model: As `DigitExperiment.load_model` returns it, with its `temperature`.
        info: `image_shape`, `class_names` and `policies` of the training data.
        folder: Must exist.
    """
    with known_warnings_ignored():
        model.save(folder / "model.keras")
    shape = tuple(info["image_shape"])
    about = {
        "image_shape": list(shape),
        "values": "float32 from 0 to 1, as the data source has them",
        "layout": "each image as one row of pixels, row by row",
        "class_names": list(info["class_names"]),
        "policies": list(info["policies"]),
        "temperature": model.temperature,
        "probabilities": "softmax(logits / temperature)",
    }
    (folder / "preprocessing.json").write_text(json.dumps(about, indent=1) + "\n")
    return f"""\
import json, keras, numpy as np
model = keras.saving.load_model("model.keras", compile=False)
temperature = json.load(open("preprocessing.json"))["temperature"]
images = np.zeros((1, {", ".join(map(str, shape))}), "float32")  # yours: values from 0 to 1
logits = model.predict(images.reshape(len(images), -1), verbose=0)
print(keras.ops.convert_to_numpy(keras.ops.softmax(logits / temperature)).tolist())
"""


def checked_images(images: np.ndarray, n_features: int) -> np.ndarray:
    """Return images as the network takes them, or refuse them.

    Args:
        images: (n, n_features), grey values from 0 to 1, row by row.
        n_features: Pixels of an image, such as 400 for 20x20.

    Returns:
        The images as float32.

    Raises:
        ValueError: The images have another shape, are no numbers, or lie outside [0, 1].
    """
    if images.ndim != 2 or images.shape[1] != n_features:
        raise ValueError(
            f"images of shape {images.shape}; give (n, {n_features}): each image as one row of "
            "pixels, row by row"
        )
    if images.dtype.kind not in "fiu":
        raise ValueError(f"images of dtype {images.dtype}; give numbers, best float32")
    with np.errstate(over="ignore"):
        checked = images.astype(np.float32)
    bad = ~((checked >= 0) & (checked <= 1))  # true for NaN, too
    if bad.any():
        row, pixel = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"pixel {pixel} of image {row} is {images[row, pixel]}; give values from 0 "
            "(background) to 1 (ink)"
        )
    return checked


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax of logits (n, classes), as float32; each row adds up to 1.

    Args:
        logits: Numbers of any size: the softmax is computed in float64 with the largest logit
            subtracted first.
        temperature: Logits are divided by it, see `digitexp.evaluation.calibration`.
    """
    return softmax(logits, temperature).astype(np.float32)
