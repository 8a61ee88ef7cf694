"""A run as the command that would repeat it, with changes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digitexp.config import TrialConfig
from digitexp.trained_run import TrainedRun

__all__ = ["training_command"]

OPTIONS = ("learning_rate", "batch_size", "dropout", "l2", "epochs", "seed")
"""What `digitexp train` has an option for; the rest goes through --set."""

COUNTS = {"hidden_layers": "units_", "conv_blocks": "filters_"}
"""What says how many values a series has, and how their names begin."""


def training_command(run: TrainedRun, changes: Mapping[str, Any]) -> str:
    """Return the `digitexp train` that repeats a run with some parameters changed.

    Only what differs from the defaults is written. A changed learning rate below
    `min_learning_rate` takes that along, and `dropout` replaces that of single layers.

    Raises:
        ConfigError: The changes make no valid configuration.
    """
    params = {**run.config.to_params(), **changes}
    if "dropout" in changes:
        params = {k: v for k, v in params.items() if not k.startswith("dropout_")}
    params["min_learning_rate"] = min(params["min_learning_rate"], params["learning_rate"])
    params = TrialConfig.from_params(params).to_params()
    words = ["digitexp", "train", "--output", str(_next_folder(run.folder))]
    if run.source != "digits20":
        words += ["--data", run.source]
    if run.about["split_seed"]:
        words += ["--split-seed", str(run.about["split_seed"])]
    return shlex.join([*words, *_options(params)])


def _options(params: Mapping[str, Any]) -> list[str]:
    usual = TrialConfig().to_params() | {
        name: value
        for name, value in TrialConfig(architecture="cnn").to_params().items()
        if name != "architecture"
    }
    words = _series(params, usual)
    for name, value in params.items():
        in_series = name in COUNTS or name.startswith(tuple(COUNTS.values()))
        if in_series or value == usual.get(name, ...):
            continue
        text = "none" if value is None else str(value)
        if name in OPTIONS:
            words += [f"--{name.replace('_', '-')}", text]
        else:
            words += ["--set", f"{name}={text}"]
    return words


def _series(params: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Return layers and blocks, each whole or not at all."""
    words = []
    for count, prefix in COUNTS.items():
        mine, others = (
            {name: value for name, value in one.items() if name.startswith(prefix)}
            for one in (params, usual)
        )
        if count not in params or mine == others:
            continue
        if prefix == "units_" and mine:
            words += ["--units", ",".join(map(str, mine.values()))]
            continue
        given = {count: params[count], **mine}
        words += [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    return words


def _next_folder(folder: Path) -> Path:
    """Return a name that is free: `first-2` for `first`."""
    number = 2
    while (new := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return new
