"""`sweeps export`: a trial's model as files that need nothing of this framework."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweeps.abilities import Exports
from sweeps.errors import UsageError
from sweeps.experiment_loading import load_experiment

if TYPE_CHECKING:
    from sweeps.trial import Trial


def export_trial(trial: Trial, folder: Path) -> list[Path]:
    """Write a trial's model, configuration and a README that says how to use them.

    The folder appears whole or not at all.

    Args:
        trial: One whose weights are kept.
        folder: Must not exist, or be empty.

    Returns:
        What was written.

    Raises:
        UsageError: The folder is taken, or the experiment exports nothing.
        RecordError: The trial's weights were dropped, or are damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; give another folder, nothing was written")
    sweep, record = trial.sweep, trial.record
    experiment = load_experiment(sweep.info.experiment, sweep.directory)
    if sweep.info.experiment.startswith("script:"):
        raise UsageError("a script keeps its own models: look where it saved them")
    if not hasattr(experiment, "export"):
        raise UsageError(
            f"experiment {sweep.info.experiment!r} exports nothing; give it a method `export` "
            "(see sweeps/abilities.py)"
        )
    weights = sweep.home.store(sweep.info.id).weights(record)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        code = cast(Exports, experiment).export(
            record.spec.config, weights, record.model_info, part
        )
        facts = _facts(trial)
        (part / "config.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        (part / "README.md").write_text(_readme(facts, code), encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _facts(trial: Trial) -> dict[str, Any]:
    info, record = trial.sweep.info, trial.record
    return {
        "sweep": info.name,
        "sweep_id": info.id,
        "trial": record.spec.key,
        "seed": record.spec.seed,
        "experiment": info.experiment,
        "config": dict(record.spec.config),
        "metrics": trial.metrics,
        "data": record.data,
        "versions": record.environment.get("versions", {}),
    }


def _readme(facts: Mapping[str, Any], code: str) -> str:
    metrics = "".join(f"| {name} | {value:.6g} |\n" for name, value in facts["metrics"].items())
    return (
        f"# {facts['sweep']}, trial {facts['trial']}\n\n"
        f"Exported from sweep `{facts['sweep_id']}`; its configuration, seed and versions are in "
        "`config.json`.\n\n"
        f"```python\n{code.strip()}\n```\n\n"
        "Measured on the validation part, by which the trial may have been chosen: on new data, "
        "expect a little less.\n\n"
        f"| metric | value |\n|---|---|\n{metrics}"
    )
