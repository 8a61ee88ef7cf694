"""Measures the selection bias of a search's best score (the winner's curse).

The best of many trials was selected by the same score that it reports. Its score minus its mean on
fresh folds is the selection bias.
"""

from __future__ import annotations

import dataclasses
import json

from sweeps.config.options import RunOptions
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.finalists import CONTROL, Finalist, Scored, choose_best
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
from sweeps.records import ConfirmationRecord, SweepInfo
from sweeps.records.conclusions import SelectionBiasConclusion
from sweeps.workspace.files import make_folder, write_atomically


def measure_selection_bias(comparison: Comparison) -> SelectionBiasConclusion | None:
    """Return the selection bias of the search's best.

    None if the best takes no part, or its score was of another metric.
    """
    standing = next((s for s in comparison.verdict.standings if s.finalist.place == 1), None)
    if standing is None or standing.finalist.searched is None:
        return None
    scored = comparison.verdict.scored
    label, fresh = standing.finalist.label, standing.mean
    searched = scored.sign * standing.finalist.searched
    total = scored.difference(dataclasses.replace(fresh, value=searched - fresh.value).interval())
    of_both = standing.finalist.searched, scored.sign * fresh.value
    return SelectionBiasConclusion("selection_bias", label, *of_both, total)


# The control: random trials of the same space, whose best is confirmed too. Did searching pay?


def run_control(
    home: Home, info: SweepInfo, trials: int, how: HowToTrain, scored: Scored
) -> tuple[Ran, Finalist | None]:
    """Run a random search of a sweep's space, without baselines; return it and its best.

    Its seed differs from the sweep's, and so do its proposals and the seeds of its trainings. The
    best is None if no trial is complete.
    """
    folder = home.store(info.id).folder / CONTROL_FOLDER
    whole = begun_in(home, folder)
    if whole is not None and ended_trials(home, whole) >= trials:
        return Ran(whole), _best(home, whole, trials, scored)
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
    summary = result.summary
    ran = Ran(result.info, summary.stopped_by, summary.tracking_pending)
    return ran, _best(home, result.info, trials, scored)


def _best(home: Home, control: SweepInfo, trials: int, scored: Scored) -> Finalist | None:
    records = [r for r in home.store(control.id).read_all() if r.spec.trial < trials]
    best = choose_best(control, records, scored)
    return best and Finalist(f"{CONTROL}{best.trial}", best.trial, best.config, best.searched, 0)


def control_of(
    home: Home, info: SweepInfo, before: ConfirmationRecord | None, scored: Scored
) -> tuple[int, Finalist | None]:
    """Return the random search of a confirmation: its trials, and its best.

    Without random trials, or if they are gone, these are 0 and nobody.
    """
    verdict = before.verdict if before else None
    control = begun_in(home, home.store(info.id).folder / CONTROL_FOLDER)
    if verdict is None or control is None or not verdict.controls:
        return 0, None
    trials = verdict.control_trials or home.store(control.id).asked() or 0
    best = _best(home, control, trials, scored) if trials else None
    return (trials, best) if best is not None else (0, None)
