"""Measures the selection bias of a search's best score (the winner's curse), and its parts.

The best of many trials was selected by the same score that it reports. Its score minus its mean on
fresh folds is the selection bias. One part is due to its seed: the same configuration is trained on
the search's own split with other seeds. One part is due to the choice of the epoch, which is made
by the samples that score it. The rest is due to the samples: the search's validation set happened
to suit it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.config.options import RunOptions
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.finalists import CONTROL, SCORE, Finalist, Scored, choose_best
from sweeps.confirm.intervals import Estimate
from sweeps.confirm.planning import (
    CONTROL_FOLDER,
    HowToTrain,
    Ran,
    begun_in,
    ended_trials,
    name_for,
)
from sweeps.home import Home
from sweeps.launch import run_options
from sweeps.records import ConfirmationRecord, Record, SweepInfo
from sweeps.records.conclusions import Part, SelectionBiasConclusion
from sweeps.workspace.files import make_folder, write_atomically


def measure_selection_bias(
    comparison: Comparison, again: Sequence[Record], why_no_parts: str = ""
) -> SelectionBiasConclusion | None:
    """Return the selection bias of the search's best.

    Args:
        comparison: The confirmation.
        again: Trainings of the search's best on the search's split, with other seeds.
        why_no_parts: Explanation to keep if `again` has fewer than two scores, and so no parts.

    Returns:
        The conclusion; None if the best takes no part, or its score was of another metric.
    """
    standing = next((s for s in comparison.verdict.standings if s.finalist.place == 1), None)
    if standing is None or standing.finalist.searched is None:
        return None
    scored = comparison.verdict.scored
    label, fresh = standing.finalist.label, standing.mean
    searched = scored.sign * standing.finalist.searched
    total = scored.difference(dataclasses.replace(fresh, value=searched - fresh.value).interval())
    of_both = standing.finalist.searched, scored.sign * fresh.value
    scores = [r.result.metrics[SCORE] for r in again if r.result and SCORE in r.result.metrics]
    if len(scores) < 2:
        return SelectionBiasConclusion("selection_bias", label, *of_both, total, {}, why_no_parts)
    own = _mean(scores)
    seed = dataclasses.replace(own, value=searched - own.value)
    inner, gaps = _inner(comparison, label)
    epoch = _mean(gaps)
    # The rest is own - fresh - epoch; the samples that a fold evaluates cancel out of it.
    stopped = _mean(inner)
    freedom = min(own.freedom, stopped.freedom)
    # The samples that stop a training recur from fold to fold, so that those of all folds together
    # are no better known than the pool is.
    of_seeds = own.of_folds + stopped.of_folds
    samples = Estimate(own.value - stopped.value, fresh.of_samples, of_seeds, freedom)
    found: dict[Part, Estimate] = {"seed": seed, "epoch": epoch, "samples": samples}
    parts = {name: part.interval() for name, part in found.items()}
    return SelectionBiasConclusion("selection_bias", label, *of_both, total, parts)


def _inner(comparison: Comparison, label: str) -> tuple[list[float], list[float]]:
    """Return two figures a fold: the accuracy on the samples that chose the epoch, and its lead.

    The lead is that accuracy minus the one on the samples that the fold evaluates.
    """
    records = (comparison.trainings.found.get((fold, label)) for fold in comparison.folds)
    results = [record.result for record in records if record is not None]
    metrics = [r.metrics for r in results if r is not None and SCORE in r.metrics]
    gaps = [m[SCORE] - m[comparison.verdict.scored.metric] for m in metrics]
    return [m[SCORE] for m in metrics], gaps


def _mean(values: Sequence[float]) -> Estimate:
    if len(values) < 2:
        return Estimate(float(np.mean(values)) if values else 0.0, 0.0, 0.0, 1.0)
    variance = float(np.var(values, ddof=1)) / len(values)
    return Estimate(float(np.mean(values)), 0.0, variance, len(values) - 1)


# The control: random trials of the same space, whose best is confirmed too. Did searching pay?


@dataclass(frozen=True)
class Control:
    """The random searches, and the best of each; None for one without a complete trial."""

    ran: Ran
    finalists: Sequence[Finalist | None]


def run_control(
    home: Home, info: SweepInfo, trials: int, searches: int, how: HowToTrain, scored: Scored
) -> Control:
    """Run random searches of a sweep's space, one after another in one sweep without baselines.

    Its seed differs from the sweep's, and so do its proposals and the seeds of its trainings.
    Random trials know nothing of each other, so that each `trials` of them are a search.
    """
    folder = home.store(info.id).folder / CONTROL_FOLDER
    whole = begun_in(home, folder)
    asked_for = trials * searches
    if whole is not None and ended_trials(home, whole) >= asked_for:
        return Control(Ran(whole), _best_of_each(home, whole, trials, searches, scored))
    file = folder / "control.json"
    make_folder(folder)
    space = {**info.space, "baselines": []}
    write_atomically(file, json.dumps(space, indent=1).encode(), "conclusion")
    seed = int(info.fingerprint.get("seed", 0)) + 1
    asked = RunOptions(
        str(file), name=name_for(home, folder, f"{info.name}-control"), trials=asked_for, seed=seed,
        sampler="random", pruner="none", home=home.path, storage=home.storage,
        workers=how.workers, check_determinism=False,
        tracking_uri=how.tracking_uri, data=how.data,
    )  # fmt: skip
    result = run_options(asked, progress=how.progress)
    finalists = _best_of_each(home, result.info, trials, searches, scored)
    summary = result.summary
    return Control(Ran(result.info, summary.stopped_by, summary.tracking_pending), finalists)


def _best_of_each(
    home: Home, control: SweepInfo, trials: int, searches: int, scored: Scored
) -> list[Finalist | None]:
    records = home.store(control.id).read_all()
    found = [
        choose_best(control, [r for r in records if r.spec.trial // trials == number], scored)
        for number in range(searches)
    ]
    return [
        best and Finalist(f"{CONTROL}{best.trial}", best.trial, best.config, best.searched, 0)
        for best in found
    ]


def control_of(
    home: Home, info: SweepInfo, before: ConfirmationRecord | None, scored: Scored
) -> tuple[int, int, list[Finalist]]:
    """Return the random searches of a confirmation: trials of each, how many, the best of each.

    Without random trials, or if they are gone, these are 0, 1 and nobody.
    """
    verdict = before.verdict if before else None
    control = begun_in(home, home.store(info.id).folder / CONTROL_FOLDER)
    if verdict is None or control is None or not verdict.control_searches:
        return 0, 1, []
    searches = verdict.control_searches
    trials = verdict.control_trials or home.store(control.id).asked() or 0
    found = _best_of_each(home, control, trials, searches, scored) if trials else [None]
    best = [one for one in found if one is not None]
    return (trials, searches, best) if len(best) == searches else (0, 1, [])
