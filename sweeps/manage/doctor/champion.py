"""MLflow's registry against records: the alias `champion` points to the best trial's model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sweeps.experiments.loading import recorded_experiment
from sweeps.experiments.verified_data import PreparedAgain
from sweeps.manage.doctor.evidence import Evidence, Problem, Repair
from sweeps.tracking.champion import FOLDER, Champion, model_name
from sweeps.tracking.registration import find_champion


def check(evidence: Evidence) -> Iterator[Problem]:
    """Yield what is wrong with the registered model of a sweep."""
    info = evidence.info
    load = partial(recorded_experiment, info, evidence.store.folder.parent)
    damaged: list[str] = []
    again = PreparedAgain(load)
    best = find_champion(evidence.store, info, evidence.records, again, damaged.append)
    yield from _compared(evidence, best)
    remedy = f"the champion is of no use until it is trained again: `sweeps finalize {info.name}`"
    for what in damaged:
        yield Problem("records", f"{what}; {remedy}", Repair.AS_SAID)


def _compared(evidence: Evidence, best: Champion | None) -> Iterator[Problem]:
    """Yield how the registered model differs from the champion's."""
    info, found = evidence.info, evidence.champion
    runs = {run.key: run for run in evidence.runs if not run.is_deleted}
    is_elsewhere = best is not None and best.confirmation is not None
    if evidence.away is not None or best is None or not (is_elsewhere or best.key in runs):
        return  # the runs' check says so
    if found is None or found.digest != best.digest:
        if best.files() is None:
            return  # nothing can be registered: it serves none, or the weights are gone
        points = f"points to trial {found.key}" if found else "is missing"
        what = f"the registered champion {points}; the best is trial {best.key}"
        yield Problem("mlflow", what, Repair.SEND)
    elif not is_elsewhere and (
        found.run_id != runs[best.key].run_id or FOLDER not in runs[best.key].files
    ):
        what = f"the registered champion's files are not in the run of trial {best.key}"
        yield Problem("mlflow", what, Repair.SEND)
    elif found.model != model_name(info):
        what = f"the registered model is called {found.model}; it is to be {model_name(info)}"
        yield Problem("mlflow", what, Repair.SEND)
    else:
        for key, versions in found.doubled.items():
            several = ", ".join(versions)
            what = f"the registered model has {len(versions)} versions of trial {key}: {several}"
            yield Problem("mlflow", what, Repair.SEND)
