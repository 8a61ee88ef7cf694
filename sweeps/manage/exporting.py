"""`sweeps export`: writes a trial's model as files that do not need this framework."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from search_spaces.objectives import is_script
from sweeps.capabilities import SupportsExport, SupportsVerification
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.code import PreparedAgain, load_same
from sweeps.experiments.folds import REFIT_EPOCHS
from sweeps.experiments.loading import experiment_folder
from sweeps.experiments.script import CHECKPOINT, OUTPUT_VARIABLE
from sweeps.experiments.script_checkpoint import CHECKPOINT_VARIABLE
from sweeps.home import Home
from sweeps.records import Conclusions, Record, SweepInfo
from sweeps.render.answer import in_short

TOLERANCE: Final = 1e-3
"""How far logits of the rebuilt model may differ from the recorded ones, relative to the largest.
Another engine or processor rounds differently; another network differs by far more."""

AGAIN: Final = "again"
"""The folder into which the exported command of a script writes."""


def export_trial(
    home: Home,
    info: SweepInfo,
    record: Record,
    *,
    folder: Path,
    source: str | None = None,
    champion_of: SweepInfo | None = None,
) -> list[Path]:
    """Write a trial's model, its configuration, and a README that says how to use them.

    For a script's trial, the files that it wrote, its output and its command are written in place
    of a model. The folder appears whole or not at all.

    Args:
        home: The home.
        info: The sweep of the trial.
        record: The record of a trial whose weights are kept, with its arrays.
        folder: The folder to write; it must not exist, or be empty.
        source: The source of the data that the trial was trained on; None for the experiment's own.
            The answers of the rebuilt model are compared on these data.
        champion_of: The sweep that it is the champion of, which has another sweep train it: the
            README begins with what its confirmation found.

    Returns:
        The files that were written.

    Raises:
        UsageError: The folder is taken, the experiment exports nothing, its code has changed, the
            weights were dropped, or the rebuilt model gives other answers than the trained one.
        RecordError: The trial's weights are damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; give another folder, nothing was written")
    store = home.store(info.id)
    experiment: Any = load_same(store, info, record)
    facts = _facts(info, record)
    head = _Head(
        f"{info.name}, trial {record.key}",
        f"Exported from sweep `{info.id}`.",
        "Measured on the validation set, by which the trial may have been chosen: on new data, "
        "expect slightly worse values.",
    )
    if champion_of is not None:
        can_refit = REFIT_EPOCHS in experiment.parameters
        head = _head_of_champion(facts, home, champion_of, can_refit=can_refit)
    if is_script(info.experiment):
        facts["command"] = shlex.join(
            experiment.command(record.spec(info.id), record.data["info"], AGAIN)
        )
        where = experiment_folder(info, home.sweeps_folder)
        with _appearing(folder) as part:
            _write_script(part, store.files(record), facts, head, where=where)
    elif hasattr(experiment, "export"):
        weights = store.weights(record)
        facts["checked"] = _verify(experiment, record, weights, source=source)
        with _appearing(folder) as part:
            code = cast(SupportsExport, experiment).export(
                record.config, weights, record.model_info, part
            )
            _describe(part, facts, head, code=code, last=facts["checked"], language="python")
    else:
        raise UsageError(
            f"experiment {info.experiment!r} exports nothing; give it a method `export` "
            "(see sweeps/capabilities.py)"
        )
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; move it to its place once it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_script(
    part: Path,
    files: Mapping[str, bytes],
    facts: Mapping[str, Any],
    head: _Head,
    *,
    where: Path | None,
) -> None:
    """Write the files of a script's trial, and how its command is run again."""
    for name, content in files.items():
        (part / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).write_bytes(content)
    made, variables = AGAIN, f"{OUTPUT_VARIABLE}={AGAIN}"
    state = f"{AGAIN}/{CHECKPOINT}"
    if state in facts["command"]:
        made, variables = state, f"{variables} {CHECKPOINT_VARIABLE}={state}"
    wrote = "What it wrote into `{output}` lies in `output/`"
    if not (part / "output").exists():
        wrote = "It wrote nothing into `{output}`: its model, if it keeps one, lies elsewhere"
    last = (
        f"{wrote}; what it printed, beside this file. The command runs it again, in "
        f"the folder where the script lies, which was `{where}`."
    )
    code = f"mkdir -p {made}\n{variables} {facts['command']}"
    _describe(part, facts, head, code=code, last=last, language="sh")


def _facts(info: SweepInfo, record: Record) -> dict[str, Any]:
    return {
        "sweep": info.name,
        "sweep_id": info.id,
        "trial": record.key,
        "seed": record.seed,
        "experiment": info.experiment,
        "config": dict(record.config),
        "metrics": dict(record.result.metrics) if record.result else {},
        "data": record.data,
        "versions": {
            "python": record.environment.get("python", ""),
            **record.environment.get("packages", {}),
        },
    }


def _verify(
    experiment: Experiment,
    record: Record,
    weights: Mapping[str, np.ndarray],
    *,
    source: str | None,
) -> str:
    """Compare the answers of the rebuilt model with the recorded ones.

    Returns:
        A sentence about the comparison, or about why there was none.

    Raises:
        UsageError: The answers differ.
    """
    recorded = record.result.arrays if record.result else {}
    if not isinstance(experiment, SupportsVerification):
        return "Unchecked: its experiment cannot recompute what was recorded."
    try:
        data = PreparedAgain(lambda: experiment, source=source).of(record)
    except UsageError as error:
        return f"Unchecked: {error}."
    model = experiment.load_model(record.config, weights, record.model_info)
    now = experiment.recomputed(model, record.config, data)
    compared = [name for name in now if name in recorded]
    if not compared:
        return "Unchecked: the trial kept no answers that could be compared."
    for name in compared:
        before = np.asarray(recorded[name], np.float64)
        off = np.abs(before - now[name]).max() if before.shape == now[name].shape else np.inf
        if not off <= TOLERANCE * max(1.0, float(np.abs(before).max())):
            raise UsageError(
                f"the model rebuilt from trial {record.trial} is not the one that was "
                f"trained: its {name} are off by up to {off:.3g}. Nothing was written"
            )
    samples = len(recorded[compared[0]])
    samples = min(samples, data.info.get("n_validation", samples))  # some have several answers
    return f"Its answers to {samples} samples equal those of the model that was trained."


@dataclass(frozen=True)
class _Head:
    """What a README begins with, and what it says above the metrics."""

    title: str
    lead: str
    measured: str


def _head_of_champion(
    facts: Mapping[str, Any], home: Home, info: SweepInfo, *, can_refit: bool
) -> _Head:
    conclusions = Conclusions(home.store(info.id))
    confirmed = conclusions.confirmed()
    assert confirmed is not None
    said = " ".join(in_short(conclusions.all()))
    where = f"trial {facts['trial']} of sweep `{facts['sweep']}`"
    if confirmed.trained_in == confirmed.confirmation:
        which = f"The model is one training of this configuration, on one fold ({where})."
        again = f"`sweeps confirm {shlex.quote(info.name)} --refit`"
        which += f" {again} trains one on all but the test set." if can_refit else ""
    else:
        which = (
            f"The model was trained on all but the test set ({where}). The figure is that of "
            "trainings on folds, which had less data: no sample is left to score this one."
        )
    return _Head(
        f"{info.name}, champion {confirmed.finalist}",
        f"{said}\n\n{which}".lstrip(),
        "Measured by that training alone: the figure to quote is the one above.",
    )


def _describe(
    folder: Path, facts: Mapping[str, Any], head: _Head, *, code: str, last: str, language: str
) -> None:
    """Write configuration and README."""
    config = json.dumps(facts, indent=1) + "\n"
    (folder / "config.json").write_text(config, encoding="utf-8")
    metrics = "".join(f"| {name} | {value:.6g} |\n" for name, value in facts["metrics"].items())
    readme = (
        f"# {head.title}\n\n{head.lead} Its configuration, seed and versions are in "
        f"`config.json`.\n\n```{language}\n{code.strip()}\n```\n\n{head.measured}\n\n"
        f"| metric | value |\n|---|---|\n{metrics}\n{last}\n"
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
