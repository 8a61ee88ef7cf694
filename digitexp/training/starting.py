"""Where a training starts: at random, or from weights of an earlier one, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digitexp.config import ConfigError
from digitexp.weights_files import Layers, file_digest, find_weights, read_weights

__all__ = ["OUTPUT", "start_from"]

OUTPUT = "output"
"""The layer that always starts anew: what it says of the classes of other data says nothing here,
and the same number of classes does not make them the same."""


def start_from(model: Any, path: str | None) -> dict[str, Any]:
    """Give a built model the weights of a file, all but those of its output layer.

    Layers are matched by name, so that both nets must have the same ones; each array must have the
    same shape.

    Args:
        model: As `build_model` returns it; its layers may be frozen.
        path: `initial_weights` of a configuration; None = the model stays as it was drawn.

    Returns:
        What was done, JSON-compatible: `initial_weights` with path, SHA-256 of the file and the
        layers taken over; empty if nothing was.

    Raises:
        ValueError: The file cannot be read, or is that of another net: one message about the first
            layer that differs.
    """
    if path is None:
        return {}
    file = find_weights(path)
    stored = {name: arrays for name, arrays in read_weights(file).items() if name != OUTPUT}
    layers = {
        layer.name: {variable.name: variable for variable in layer.weights}
        for layer in model.layers
        if layer.weights and layer.name != OUTPUT
    }
    if problem := _mismatch(stored, layers):
        raise ConfigError(f"initial_weights {path}: {problem}")
    for name, variables in layers.items():
        for array, variable in zip(
            _in_order(stored[name], variables), variables.values(), strict=True
        ):
            variable.assign(array)
    told = {"path": path, "sha256": file_digest(file), "layers": list(layers)}
    return {"initial_weights": told}


def _in_order(arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> list[np.ndarray]:
    """Return the arrays in the order of the variables, whether they have names or numbers."""
    if set(arrays) == set(variables):
        return [arrays[name] for name in variables]
    return [array for _, array in sorted(arrays.items(), key=lambda item: int(item[0]))]


def _mismatch(stored: Layers, layers: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return what keeps the stored weights from fitting, None if nothing does."""
    there, here = ", ".join(stored) or "none", ", ".join(layers) or "none"
    whole = f"Layers there: {there}; here: {here}."
    for name, variables in layers.items():
        if name not in stored:
            return f"layer {name} is not in it. {whole} Build both nets alike."
        names = [set(variables), {str(number) for number in range(len(variables))}]
        if set(stored[name]) not in names:
            found = ", ".join(sorted(stored[name]))
            return f"layer {name} has {found} there, {', '.join(variables)} here."
        for array, (variable, value) in zip(
            _in_order(stored[name], variables), variables.items(), strict=True
        ):
            if array.shape != tuple(value.shape):
                return (
                    f"{variable} of layer {name} has shape {array.shape} there, "
                    f"{tuple(value.shape)} here. Both nets must have the same layers, and the "
                    "same size of images if they are flattened before dense layers."
                )
    if extra := [name for name in stored if name not in layers]:
        return f"layer {extra[0]} has no place in this net. {whole} Build both nets alike."
    return None
