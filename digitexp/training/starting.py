"""Gives a model the weights of an earlier training to start from, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digitexp.config import ConfigError
from digitexp.weights_files import Layers, file_digest, find_weights, read_weights

__all__ = ["OUTPUT", "start_from"]

OUTPUT = "output"
"""The layer that always starts anew: its weights belong to the classes of other data, and the same
number of classes does not make them the same classes."""


def start_from(model: Any, path: str | None) -> dict[str, Any]:
    """Give a built model the weights of a file, all but those of its output layer.

    Layers are matched by name. Both nets must have the same layers, with arrays of the same shapes.

    Args:
        model: As `build_model` returns it; its layers may be frozen.
        path: `initial_weights` of a configuration; None = the model stays as it was drawn.

    Returns:
        JSON-compatible facts: `initial_weights` with path, SHA-256 of the file and the layers taken
        over; empty without a path.

    Raises:
        ValueError: The file cannot be read, or belongs to another net; the message names the first
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
    """Return why the stored weights do not fit; None if they do."""
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
