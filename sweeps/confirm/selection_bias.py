"""The winner's curse: how much of the best score of a search was selection bias, and of which kind.

The best of many trials was picked by what it is measured on. Its score minus its mean on fresh
folds is that bias; part of it is its seed (the same configuration, trained on the search's own
split with other seeds), part the choice of the epoch (which is made by the images that score it),
and the rest the images themselves, the search's validation set, that happened to suit it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.config.options import RunOptions
from sweeps.confirm.comparison import Comparison, Standing
from sweeps.confirm.finalists import CONTROL, SCORE, Finalist, choose_best
from sweeps.confirm.intervals import critical_value
from sweeps.confirm.planning import CONTROL_FOLDER, HowToTrain, Ran, name_for
from sweeps.home import Home
from sweeps.launch import run_options
from sweeps.records import Record, SweepInfo
from sweeps.workspace.files import make_folder, write_atomically


@dataclass(frozen=True)
class Part:
    """A part of the selection bias, as a share, with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SelectionBias:
    """What the search's best owed to selection bias.

    Attributes:
        standing: The search's best, as fresh folds have it.
        total: Its score in the search minus its mean on fresh folds.
        parts: What that consists of; empty where it was not trained again on the search's split.
    """

    standing: Standing
    total: Part
    parts: Sequence[Part]


@dataclass(frozen=True)
class _Mean:
    value: float
    error: float
    freedom: float

    def part(self, name: str) -> Part:
        half = critical_value(2, max(self.freedom, 1.0)) * self.error
        return Part(name, self.value, self.value - half, self.value + half)


def measure_selection_bias(comparison: Comparison, again: Sequence[Record]) -> SelectionBias | None:
    """Return what the search's best owed to selection bias; None where its score was no accuracy.

    Args:
        comparison: The confirmation.
        again: Trainings of the search's best on the search's split, with other seeds.
    """
    standing = next((s for s in comparison.verdict.standings if s.finalist.place == 1), None)
    if standing is None or standing.finalist.searched is None:
        return None
    searched, fresh = standing.finalist.searched, standing.mean
    total = _Mean(searched - fresh.value, fresh.error, fresh.freedom)
    scores = [r.result.metrics[SCORE] for r in again if r.result and SCORE in r.result.metrics]
    if len(scores) < 2:
        return SelectionBias(standing, total.part("all of it"), ())
    own = _mean(scores)
    seed = _Mean(searched - own.value, own.error, own.freedom)
    inner, gaps = _inner(comparison, standing.finalist.label)
    epoch = _mean(gaps)
    # What is left, own - fresh - epoch: the fold's own images cancel out of it.
    stopped = _mean(inner)
    error = math.hypot(own.error, stopped.error)
    images = _Mean(own.value - stopped.value, error, min(own.freedom, stopped.freedom))
    parts = [
        seed.part("its seed"),
        epoch.part("the choice of its epoch"),
        images.part("the images that scored it"),
    ]
    return SelectionBias(standing, total.part("all of it"), parts)


def _inner(comparison: Comparison, label: str) -> tuple[list[float], list[float]]:
    """Return its accuracies on the images that chose the epoch, and by how much others are worse.

    Fold by fold; the others are the images that the fold evaluates on.
    """
    results = [comparison.trainings.found[fold, label].result for fold in comparison.folds]
    metrics = [r.metrics for r in results if r is not None and SCORE in r.metrics]
    gaps = [m[SCORE] - m["block_accuracy"] for m in metrics]
    return [m[SCORE] for m in metrics], gaps


def _mean(values: Sequence[float]) -> _Mean:
    if len(values) < 2:
        return _Mean(float(np.mean(values)) if values else 0.0, 0.0, 1.0)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _Mean(float(np.mean(values)), error, len(values) - 1)


# Does searching pay? As many random trials of the same space, whose best is confirmed as well.


@dataclass(frozen=True)
class Control:
    """The random trials, and the best of them; None if none is complete."""

    ran: Ran
    finalist: Finalist | None


def run_control(home: Home, info: SweepInfo, trials: int, how: HowToTrain) -> Control:
    """Run random trials of a sweep's space, as a sweep of its own without baselines.

    Its proposals and the seeds of its trainings are others than the sweep's.
    """
    folder = home.store(info.id).folder / CONTROL_FOLDER
    file = folder / "control.json"
    make_folder(folder)
    space = {**info.space, "baselines": []}
    write_atomically(file, json.dumps(space, indent=1).encode(), "conclusion")
    seed = int(info.fingerprint.get("seed", 0)) + 1
    asked = RunOptions(
        str(file), name=name_for(home, folder, f"{info.name}-control"), trials=trials, seed=seed,
        sampler="random", pruner="none", home=home.path, storage=home.storage,
        workers=how.workers, check_determinism=False,
        tracking_uri=how.tracking_uri, data=how.data,
    )  # fmt: skip
    result = run_options(asked, progress=how.progress)
    records = home.store(result.info.id).read_all()
    best = choose_best(result.info, [r for r in records if r.spec.trial < trials])
    finalist = None if best is None else Finalist(
        f"{CONTROL}{best.trial}", best.trial, best.config, best.searched, 0
    )  # fmt: skip
    summary = result.summary
    return Control(Ran(result.info, summary.stopped_by, summary.tracking_pending), finalist)
