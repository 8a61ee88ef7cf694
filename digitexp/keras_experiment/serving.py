"""What a served model of one's own is asked, checked by what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digitexp.keras_experiment.structures import arrays_of
from sweeps.abilities import Signature

__all__ = ["answer", "example_code", "signature_of"]


def signature_of(info: Mapping[str, Any]) -> Signature | None:
    """Return the signature by the data's facts; None of a sweep that did not note them yet.

    None, too, of several inputs or outputs: a request is one array, and so is an answer. How wide
    one is, only the model knows.
    """
    has_several = isinstance(info.get("classes"), Mapping)
    if "inputs" not in info or has_several or not _is_single(info["inputs"]):
        return None
    shape, dtype = info["inputs"]["shape"], np.dtype(info["inputs"]["dtype"])
    if dtype.kind not in "fiub":
        return None
    return Signature(np.zeros((1, *shape), dtype), (-1,))


def _is_single(inputs: Any) -> bool:
    """Whether these are the facts of a single input."""
    return isinstance(inputs, Mapping) and isinstance(inputs.get("shape"), list)


def answer(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Return what a Keras model answers to inputs (n, ...), (n, outputs).

    Raises:
        ValueError: The inputs have another shape than the model's, or are no finite numbers.
    """
    expected = model.input_shape
    fits = [size in (None, found) for size, found in zip(expected, inputs.shape, strict=False)]
    if len(expected) != inputs.ndim or not all(fits):
        raise ValueError(f"inputs of shape {inputs.shape}; give {('n', *expected[1:])}")
    if inputs.dtype.kind not in "fiub" or not np.isfinite(inputs).all():
        raise ValueError(f"inputs of dtype {inputs.dtype}; give finite numbers")
    found: np.ndarray = np.asarray(model(inputs, training=False))
    return found.reshape(len(found), -1)


def example_code(model: Any, inputs: Any) -> str:
    """Return Python that makes one example of what a model takes."""
    if inputs is None or _is_single(inputs):
        return f'np.zeros({(1, *model.input_shape[1:])}, "float32")'
    texts = {
        name: f'np.zeros({(1, *one["shape"])}, "{one["dtype"]}")'
        for name, one in arrays_of(inputs).items()
    }
    if isinstance(inputs, Mapping):
        return "{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}"
    return f"[{', '.join(texts.values())}]"
