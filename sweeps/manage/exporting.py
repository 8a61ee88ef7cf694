"""`sweeps export`: writes a trial's model as files that do not need this framework."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from search_spaces.objectives import is_script
from sweeps.confirm.verifying import verify
from sweeps.errors import UsageError
from sweeps.experiments.code import PreparedAgain, load_same
from sweeps.experiments.folds import REFIT_EPOCHS
from sweeps.experiments.loading import experiment_folder
from sweeps.experiments.script import CHECKPOINT, OUTPUT_VARIABLE
from sweeps.experiments.script_checkpoint import CHECKPOINT_VARIABLE
from sweeps.home import Home
from sweeps.records import Conclusions, Record, SweepInfo
from sweeps.records.conclusions import VerificationConclusion, newest
from sweeps.render.answer import in_short

AGAIN: Final = "again"
"""The folder into which the exported command of a script writes."""


_Head = tuple[str, str, str]
"""Title and beginning of a README, and what it says of the metrics."""


def export_trial(
    home: Home,
    info: SweepInfo,
    record: Record,
    *,
    folder: Path,
    source: str | None = None,
    champion_of: SweepInfo | None = None,
) -> list[Path]:
    """Write a trial's model, its configuration and how to use them; return the files.

    For a script's trial, the files that it wrote, its output and its command are written in place
    of a model. The folder appears whole or not at all.

    Args:
        home: The home.
        info: The sweep of the trial.
        record: The trial, with its arrays; its weights are kept.
        folder: The folder to write; it must not exist, or be empty.
        source: The source of the data on which the answers of the rebuilt model are compared; None
            for the experiment's own.
        champion_of: The sweep that it is the champion of, if another one trained it: the README
            begins with what its confirmation found.

    Raises:
        UsageError: The folder is taken, the experiment exports nothing, its code has changed, the
            weights were dropped, or the rebuilt model gives other answers than the trained one.
        RecordError: The trial's weights are damaged.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; give another folder, nothing was written")
    store = home.store(info.id)
    experiment: Any = load_same(store, info, record)
    facts: dict[str, Any] = {
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
    head = (
        f"{info.name}, trial {record.key}",
        f"Exported from sweep `{info.id}`.",
        "Measured on the validation set, by which the trial may have been chosen: on new data, "
        "expect slightly worse values.",
    )
    if champion_of is not None:
        which = f"trial {record.key} of sweep `{info.name}`"
        can_refit = REFIT_EPOCHS in experiment.parameters
        head = _head_of_champion(home, champion_of, which, can_refit=can_refit)
    if is_script(info.experiment):
        command = experiment.command(record.spec(info.id), record.data["info"], AGAIN)
        facts["command"] = shlex.join(command)
        with _appearing(folder) as part:
            for name, content in store.files(record).items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (part / name).write_bytes(content)
            where = experiment_folder(info, home.sweeps_folder)
            _describe(part, facts, head, *_run_again(part, facts["command"], where), "sh")
    elif hasattr(experiment, "export"):
        weights = store.weights(record)
        again = PreparedAgain(lambda: experiment, source=source)
        facts["checked"] = _checked(
            home, record, champion_of, verify(experiment, record, weights, again)[0]
        )
        with _appearing(folder) as part:
            code = experiment.export(record.config, weights, record.model_info, part)
            _describe(part, facts, head, code.strip(), facts["checked"], "python")
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


def _run_again(part: Path, command: str, where: Path | None) -> tuple[str, str]:
    """Return the shell code that runs a script again, and a sentence about its files."""
    made, variables = AGAIN, f"{OUTPUT_VARIABLE}={AGAIN}"
    if (state := f"{AGAIN}/{CHECKPOINT}") in command:
        made, variables = state, f"{variables} {CHECKPOINT_VARIABLE}={state}"
    wrote = "What it wrote into `{output}` lies in `output/`"
    if not (part / "output").exists():
        wrote = "It wrote nothing into `{output}`: its model, if it keeps one, lies elsewhere"
    return f"mkdir -p {made}\n{variables} {command}", (
        f"{wrote}; what it printed, beside this file. The command runs it again, in "
        f"the folder where the script lies, which was `{where}`."
    )


def _checked(
    home: Home, record: Record, champion_of: SweepInfo | None, found: VerificationConclusion
) -> str:
    """Say in a sentence what a verification has found.

    Raises:
        UsageError: The answers differ; or they cannot be compared, and those of the champion
            differed when its sweep was confirmed.
    """
    of_champion = Conclusions(home.store(champion_of.id)).all() if champion_of else ()
    known = newest(of_champion, VerificationConclusion)
    if found.found == "unchecked" and known is not None and known.found == "unverified":
        found = known
    if found.found == "unverified":
        raise UsageError(
            f"the model rebuilt from trial {record.trial} is not the one that was trained: "
            f"{found.reason}. Nothing was written"
        )
    if found.found == "unchecked":
        return f"Unchecked: {found.reason}."
    return f"Its answers to {found.samples} samples equal those of the model that was trained."


def _head_of_champion(home: Home, info: SweepInfo, where: str, *, can_refit: bool) -> _Head:
    conclusions = Conclusions(home.store(info.id))
    confirmed = conclusions.confirmed()
    assert confirmed is not None
    said = " ".join(in_short(conclusions.all()))
    if confirmed.trained_in == confirmed.confirmation:
        which = f"The model is one training of this configuration, on one fold ({where})."
        again = f"`sweeps confirm {shlex.quote(info.name)} --refit`"
        which += f" {again} trains one on all but the test set." if can_refit else ""
    else:
        which = (
            f"The model was trained on all but the test set ({where}). The figure is that of "
            "trainings on folds, which had less data: no sample is left to score this one."
        )
    return (
        f"{info.name}, champion {confirmed.finalist}",
        f"{said}\n\n{which}".lstrip(),
        "Measured by that training alone: the figure to quote is the one above.",
    )


def _describe(
    folder: Path, facts: Mapping[str, Any], head: _Head, code: str, last: str, language: str
) -> None:
    """Write configuration and README."""
    title, lead, measured = head
    config = json.dumps(facts, indent=1) + "\n"
    (folder / "config.json").write_text(config, encoding="utf-8")
    metrics = "".join(f"| {name} | {value:.6g} |\n" for name, value in facts["metrics"].items())
    readme = (
        f"# {title}\n\n{lead} Its configuration, seed and versions are in "
        f"`config.json`.\n\n```{language}\n{code}\n```\n\n{measured}\n\n"
        f"| metric | value |\n|---|---|\n{metrics}\n{last}\n"
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
