"""The page where a training is played again, epoch by epoch, alone or beside another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from digitexp.pages.page import pack, render
from digitexp.parameters import Scalar
from digitexp.trained import ShownTrial

__all__ = ["differences", "has_curve", "training_page"]

_FIRST: Final = ("learning_rate", "learning_rate_schedule", "batch_size")
"""Parameters that decide how a training converges; they stand first among the differences."""


def has_curve(trial: ShownTrial) -> bool:
    """Return whether there is an epoch to show."""
    return bool(len(trial.confusion) and len(trial.history.get("loss", ())))


def training_page(
    trial: ShownTrial, beside: ShownTrial | None = None, plotly: str | None = None
) -> str:
    """Return the page, self-contained HTML.

    Args:
        trial: The trial whose learning curve is shown.
        beside: Another trial on the same data, shown at the same epoch.
        plotly: See `digitexp.pages.page.render`.

    Raises:
        ValueError: A trial has no history.
    """
    trials = [trial] if beside is None else [trial, beside]
    for one in trials:
        if not has_curve(one):
            raise ValueError(f"{one.name} has no history: nothing was recorded of its epochs")
    data = {
        "classes": list(trial.class_names),
        "trials": [_curve(one) for one in trials],
        "epochs": max(len(one.confusion) for one in trials),
        "differences": [] if beside is None else differences(trial, beside),
    }
    names = " and ".join(one.name for one in trials)
    return render("training", f"Training, epoch by epoch: {names}", data, plotly)


def _curve(trial: ShownTrial) -> dict[str, Any]:
    largest = int(trial.confusion.max())
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    return {
        "name": trial.name,
        "description": trial.config.describe(),
        "penalised": trial.config.l2 > 0,
        "history": {name: [float(v) for v in values] for name, values in trial.history.items()},
        "confusion": pack(trial.confusion.astype(dtype)),
        "best_epoch": trial.best_epoch,
    }


def differences(trial: ShownTrial, beside: ShownTrial) -> list[dict[str, Any]]:
    """Return the parameters in which two trials differ, the learning rate first.

    Returns:
        For each parameter its flat `name`, and two `values` as text, None where a trial has none.
        The seed comes last.
    """
    one, other = trial.config.to_params(), beside.config.to_params()
    longer, shorter = sorted((one, other), key=len, reverse=True)
    middle = [name for name in {**longer, **shorter} if name not in (*_FIRST, "seed")]
    found = []
    for name in (*_FIRST, *middle, "seed"):
        values = [_text(params, name, ".4g") for params in (one, other)]
        if values[0] == values[1]:  # floats may differ in later digits
            values = [_text(params, name, ".17g") for params in (one, other)]
        if values[0] != values[1]:
            found.append({"name": name, "values": values})
    return found


def _text(params: Mapping[str, Scalar], name: str, digits: str) -> str | None:
    if name not in params:
        return None
    value = params[name]
    return format(value, digits) if isinstance(value, float) else str(value)
