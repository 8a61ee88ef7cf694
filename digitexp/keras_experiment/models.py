"""What a user's function built: checked, described, its weights taken and given.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from digitexp.training.tensorflow_setup import known_warnings_ignored

__all__ = ["checked", "give_weights", "named_weights", "summary_of"]


def checked(model: Any) -> Any:
    """Return a model that can be trained.

    Raises:
        ValueError: It is no model, not compiled, or has no weights yet.
    """
    if not isinstance(model, keras.Model):
        kind = type(model).__name__
        raise ValueError(f"build() returned {kind}, not a keras.Model")  # noqa: TRY004 - see above
    if getattr(model, "optimizer", None) is None:
        raise ValueError("build() returned a model that is not compiled; call model.compile")
    if not model.built:
        raise ValueError(
            "build() returned a model without weights yet; begin it with keras.layers.Input(shape)"
        )
    return model


def named_weights(model: Any) -> dict[str, np.ndarray]:
    """Return every weight, named so that sorting the names gives Keras's order."""
    with known_warnings_ignored():
        arrays = model.get_weights()
    return {
        f"{number:04d} {variable.path.replace('/', '.')}": np.asarray(array)
        for number, (variable, array) in enumerate(zip(model.weights, arrays, strict=True))
    }


def give_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Set every weight of a model to those of another one that was built alike.

    Raises:
        ValueError: Their shapes differ.
    """
    stored = [weights[name] for name in sorted(weights)]
    shapes = [tuple(variable.shape) for variable in model.weights]
    if shapes != [array.shape for array in stored]:
        raise ValueError(
            f"build() makes a model with weights of shapes {shapes}, the trial's are "
            f"{[array.shape for array in stored]}: was the function changed?"
        )
    model.set_weights(stored)


def summary_of(model: Any) -> str:
    """Return Keras's table of the layers."""
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=90)
    return "\n".join(lines)
