"""A trained net as files that need nothing of ours: the model, and how to ask it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digitexp.training.tensorflow_setup import known_warnings_ignored

__all__ = ["write_model"]


def write_model(model: Any, info: Mapping[str, Any], folder: Path) -> str:
    """Write `model.keras` and `preprocessing.json`; return how to use them, as Python.

    Args:
        model: As `DigitExperiment.load_model` returns it, with its `temperature`.
        info: `image_shape`, `class_names` and `policies` of what it was trained on.
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
