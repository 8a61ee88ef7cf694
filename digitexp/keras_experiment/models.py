"""What a user's function built: checked, described, its weights taken and given.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from digitexp.keras_experiment.data import Tasks, tasks_of
from digitexp.keras_experiment.structures import arrays_of
from digitexp.training.tensorflow_setup import known_warnings_ignored

__all__ = ["check_fits", "checked", "give_weights", "named_weights", "summary_of"]


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


def check_fits(model: Any, inputs: Any, targets: Any, task: Tasks) -> None:
    """Refuse a model that takes or gives something else than the data.

    Args:
        model: Of a subclass of `keras.Model`, it does not say what it takes: then nothing is known.
        inputs: As a part or a dataset has them, or their description.
        targets: The same.
        task: What is learnt, by output.

    Raises:
        ValueError: Says what does not fit.
    """
    takes = [one.name for one in getattr(model, "inputs", None) or ()]
    if takes:
        is_by_name = len(takes) > 1 and isinstance(model.input, Mapping)
        _check_inputs(takes, inputs, by_name=is_by_name)
    if isinstance(model, keras.Sequential):
        gives = [model.layers[-1].name]
    else:
        gives = [*(getattr(model, "output_names", None) or ())]
    names = tasks_of(task)
    if not gives or (len(gives) == 1 and not isinstance(task, Mapping)):
        return
    if not isinstance(task, Mapping):
        example = ", ".join(f"{name!r}: 'classification'" for name in gives)
        raise ValueError(  # noqa: TRY004 - mistakes of the user are ValueErrors
            f"the model has the outputs {_listed(gives)}, the data targets of one; give a dict of "
            f"targets, and say what each is: KerasExperiment(..., task={{{example}}})"
        )
    has_names = isinstance(targets, Mapping)
    if set(names) != set(gives) if has_names else [*names] != gives:
        order = "" if has_names else ", in this order, as its targets are a list"
        raise ValueError(
            f"the model has the outputs {_listed(gives)}, `task` names {_listed([*names])}: give "
            f"both the same names{order}; an output has the name of its layer"
        )


def _check_inputs(takes: Sequence[str], inputs: Any, *, by_name: bool) -> None:
    given = arrays_of(inputs)
    if isinstance(inputs, Mapping):
        fits = len(takes) == len(given) == 1 or not set(takes) - given.keys()
    else:
        fits = len(takes) == len(given) and not by_name
    if not fits:
        names = _listed([*given]) if isinstance(inputs, Mapping) else str(len(given) or "none")
        raise ValueError(
            f"the model takes the inputs {_listed(takes)}, the data have {names}; give x as a dict "
            "of arrays by the names of keras.layers.Input(shape, name=...)"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


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
