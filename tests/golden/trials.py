"""Makes the golden trials: those that a seed gave with the code of one commit.

    python -m tests.golden.trials

writes `trials.json` beside this file: which trials every later code is to give. It is made anew
only with another version of a library that samples, or for a variant that is added, and then by a
commit that gives the trials of the former file; never because the trials have changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_info

import sweeps

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = Path(__file__).with_name("trials.json")
NAME: Final = "arithmetic"
TRIALS: Final = 40
HALF: Final = 20
SEED: Final = 7
LIBRARIES: Final = ("optuna", "numpy", "scipy", "cmaes")
"""Whose version may change the trials."""

_SPACE: Final = """
experiment: tests.golden.arithmetic_experiment:experiment
objective: {objective}
parameters:
{parameters}
fixed: {{epochs: 8}}
baselines: {{first: {first}}}
defaults: {{sampler: {sampler}, pruner: {pruner}, ask_ahead: 4}}
"""
_ONE: Final = "{metric: score, direction: maximize}"
_TWO: Final = f"[{_ONE}, {{metric: cost, direction: minimize}}]"
_FLAT: Final = """\
  rate: {type: float, low: 0.0001, high: 1.0, log: true}
  momentum: {type: float, low: 0.0, high: 0.95}
  units: {type: int, low: 4, high: 128, log: true}
  gain: {type: float, low: 0.5, high: 2.5, step: 0.25}
  kind: {type: categorical, choices: [plain, wide, deep]}
"""
_FLAT_FIRST: Final = "{rate: 0.001, momentum: 0.5, units: 16, gain: 1.0, kind: plain}"
_WIDER: Final = _FLAT.replace("high: 128", "high: 256").replace("low: 0.0,", "low: 0.2,")
_FINITE: Final = """\
  rate: {type: categorical, choices: [0.001, 0.01, 0.1, 1.0]}
  momentum: {type: float, low: 0.0, high: 1.0, step: 0.25}
  units: {type: int, low: 8, high: 24, step: 8}
"""
_FINITE_FIRST: Final = "{rate: 0.01, momentum: 0.5, units: 8}"
_CONDITIONAL: Final = """\
  rate: {type: float, low: 0.0001, high: 1.0, log: true}
  kind: {type: categorical, choices: [plain, wide, deep]}
  gain: {type: float, low: 0.5, high: 2.5, when: kind == wide}
  momentum: {type: float, low: 0.0, high: 0.95, when: kind != plain}
  units: {type: int, low: 4, high: 128, log: true}
  depth: {type: int, low: 0, high: 2}
  width: {type: int, low: 4, high: 32, repeat: depth}
"""
_CONDITIONAL_FIRST: Final = "{rate: 0.001, kind: plain, units: 16, depth: 1, width_1: 8}"
_FINITE_CONDITIONAL: Final = """\
  rate: {type: categorical, choices: [0.001, 0.01, 1.0]}
  kind: {type: categorical, choices: [plain, wide]}
  gain: {type: float, low: 0.5, high: 1.5, step: 0.5, when: kind == wide}
  depth: {type: int, low: 0, high: 1}
  width: {type: categorical, choices: [8, 12], repeat: depth}
"""
"""36 points: the sweep ends before its 40 trials."""
_FINITE_CONDITIONAL_FIRST: Final = "{rate: 0.01, kind: plain, depth: 0}"
_NSGA2: Final = "{name: optuna.samplers.NSGAIISampler, options: {population_size: 8}}"
_ASHA: Final = "{name: asha, options: {min_resource: 1, reduction_factor: 2}}"
_HYPERBAND: Final = "{name: hyperband, options: {min_resource: 1, max_resource: 8}}"


_POINTS: Final = (
    {"params": {"rate": 0.02, "momentum": 0.6, "units": 100, "gain": 1.5, "kind": "wide"}},
    {"params": {"rate": 0.9, "momentum": 0.1, "units": 5, "gain": 0.5, "kind": "deep"}},
    {"like": 0, "params": {"units": 32}},
    {"more_epochs": 4, "top": 2},
)


@dataclass(frozen=True)
class Variant:
    """A sweep of 40 trials.

    Attributes:
        sampler: Its sampler, as the space file has it.
        parameters: Its parameters, as the space file has them.
        first: Its baseline.
        objective: Its objectives.
        pruner: Its pruner.
        wider: The parameters with which it goes on after half of the trials; None: as before.
        enqueued: What is enqueued after half of the trials.
        has_learned: Whether it tries first what was good in another sweep, on other data.
    """

    sampler: str
    parameters: str = _FLAT
    first: str = _FLAT_FIRST
    objective: str = _ONE
    pruner: str = "none"
    wider: str | None = None
    enqueued: tuple[Mapping[str, Any], ...] = ()
    has_learned: bool = False

    def write_space(self, folder: Path, parameters: str | None = None) -> str:
        """Write its space file, or that with other parameters, into a folder; return its path."""
        file = folder / f"{NAME}.yaml"
        text = _SPACE.format(
            objective=self.objective,
            parameters=(parameters or self.parameters).rstrip(),
            first=self.first,
            sampler=self.sampler,
            pruner=self.pruner,
        )
        file.write_text(text, encoding="utf-8")
        return str(file)


VARIANTS: Final[Mapping[str, Variant]] = {
    "tpe": Variant("tpe"),
    "gp": Variant("gp"),
    "cmaes": Variant("cmaes"),
    "random": Variant("random"),
    "qmc": Variant("qmc"),
    "grid": Variant("grid", _FINITE, _FINITE_FIRST),
    "tpe, conditional": Variant("tpe", _CONDITIONAL, _CONDITIONAL_FIRST),
    "gp, conditional": Variant("gp", _CONDITIONAL, _CONDITIONAL_FIRST),
    "cmaes, conditional": Variant("cmaes", _CONDITIONAL, _CONDITIONAL_FIRST),
    "random, conditional": Variant("random", _CONDITIONAL, _CONDITIONAL_FIRST),
    "qmc, conditional": Variant("qmc", _CONDITIONAL, _CONDITIONAL_FIRST),
    "grid, conditional": Variant("grid", _FINITE_CONDITIONAL, _FINITE_CONDITIONAL_FIRST),
    "tpe, two objectives": Variant("tpe", objective=_TWO),
    "nsga2, two objectives": Variant(_NSGA2, objective=_TWO),
    "tpe, median": Variant("tpe", pruner="median"),
    "tpe, hyperband": Variant("tpe", pruner=_HYPERBAND),
    "random, asha": Variant("random", pruner=_ASHA),
    "tpe, extended": Variant("tpe", wider=_WIDER),
    "cmaes, extended": Variant("cmaes", wider=_WIDER),
    "qmc, extended": Variant("qmc", wider=_WIDER),
    "tpe, enqueued": Variant("tpe", enqueued=_POINTS),
    "tpe, learned": Variant("tpe", has_learned=True),
}


def run(variant: Variant, folder: Path, home: Path, workers: int = 0) -> sweeps.Sweep:
    """Run the sweep of a variant, or go on with it, and return it.

    Args:
        variant: The variant.
        folder: Where its space file is written.
        home: Where the sweep is kept.
        workers: Number of worker processes.
    """
    space = variant.write_space(folder)
    options: dict[str, Any] = {"home": home, "seed": SEED, "workers": workers, "progress": "quiet"}
    if variant.has_learned:
        other = {"name": "source", "data": "other", "sampler": "random", "trials": HALF}
        sweeps.run(space, **options, **other)
        options["learn_from"] = "source"
    if variant.wider is not None or variant.enqueued:
        sweeps.run(space, trials=HALF, **options)
    for point in variant.enqueued:
        sweeps.enqueue(NAME, home=home, **point)
    if variant.wider is not None:
        space = variant.write_space(folder, variant.wider)
        options["extend"] = True
    return sweeps.run(space, trials=TRIALS, **options)


def trials_of(sweep: sweeps.Sweep) -> list[list[Any]]:
    """Return its trials: number, origin, seed, parameters, state, reason, epochs and values."""
    found = []
    for row in sweep.rows():
        values = row.values(sweep.info.objectives)
        ended = [row.state, row.reason, row.epochs, values and list(values)]
        found.append([row.trial, row.origin, row.seed, dict(row.params), *ended])
    return found


def processor() -> dict[str, list[str]]:
    """Return what decides how functions of this processor round: instructions, kind of BLAS."""
    found: Any = np.show_config(mode="dicts")
    kinds = {pool["architecture"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {"instructions": found["SIMD Extensions"].get("found", []), "blas": sorted(kinds)}


def write() -> None:
    """Write the golden file: a line a trial."""
    command = ["git", "log", "-1", "--format=%H", "--", "search_spaces", "sweeps"]
    commit = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    made_by = {
        "commit": commit.stdout.strip(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "processor": processor(),
    }
    variants = []
    for name, variant in VARIANTS.items():
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            sweep = run(variant, Path(folder), Path(folder, "home"))
            lines = ",\n".join(f"  {json.dumps(trial)}" for trial in trials_of(sweep))
        variants.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    trials = ",\n".join(variants)
    text = f'{{\n"made_by": {json.dumps(made_by)},\n"trials": {{\n{trials}\n}}\n}}\n'
    GOLDEN.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ["SWEEPS_STATE"] = "off"
    write()
