"""`sweeps export`: writes a trial's model as files that do not need this framework."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_spaces.objectives import is_script
from sweeps.confirm.ensemble import Selected, how_to_restore, select_ensemble
from sweeps.confirm.verifying import TOLERANCE, verify
from sweeps.errors import UsageError
from sweeps.experiments.code import PreparedAgain, load_same
from sweeps.experiments.folds import REFIT_EPOCHS
from sweeps.experiments.loading import experiment_folder, recorded_experiment
from sweeps.experiments.script import CHECKPOINT, OUTPUT_VARIABLE
from sweeps.experiments.script_checkpoint import CHECKPOINT_VARIABLE
from sweeps.home import Home
from sweeps.records import Conclusions, Record, SweepInfo
from sweeps.records.conclusions import EnsembleConclusion, VerificationConclusion, newest
from sweeps.render.answer import in_short
from sweeps.render.sections.confirmed import put_in_words
from sweeps.tracking.champion import ALIAS, model_name
from sweeps.wording import counted

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
    _check_empty(folder)
    store = home.store(info.id)
    experiment: Any = load_same(store, info, record)
    facts = _facts(info, record)
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
        weights, again = store.weights(record), PreparedAgain(lambda: experiment, source=source)
        found, _ = verify(experiment, record, weights, again)
        facts["checked"] = _checked(home, record, champion_of, found)
        with _appearing(folder) as part:
            code = experiment.export(record.config, weights, record.model_info, part)
            served = _served(experiment, champion_of or info)
            _describe(part, facts, head, code.strip(), facts["checked"] + served, "python")
    else:
        raise _exports_nothing(info)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def export_ensemble(
    home: Home, info: SweepInfo, *, folder: Path, source: str | None = None
) -> tuple[EnsembleConclusion, list[Path]]:
    """Write an ensemble of a sweep's trials; return what it is worth, and the files.

    It is one model if the experiment can combine its models, else each member, with code that
    returns the mean of what they predict. For the arguments see `export_trial`.

    Raises:
        UsageError: There is no ensemble, weights are gone, or see `export_trial`.
    """
    _check_empty(folder)
    chosen, store = select_ensemble(home, info, source), home.store(info.id)
    found = chosen.conclusion
    if gone := chosen.gone(store):
        raise UsageError(f"{how_to_restore(info.name, gone)}; nothing was written")
    experiment: Any = recorded_experiment(info, home.sweeps_folder)
    for record in chosen.records:
        load_same(store, info, record)  # raises if it would build another model
    if not hasattr(experiment, "export"):
        raise _exports_nothing(info)
    members = {one.trial: one.weight for one in found.members}
    again = PreparedAgain(lambda: experiment, source=source)
    with _appearing(folder) as part:
        if hasattr(experiment, "export_ensemble"):
            first, load = chosen.records[0], experiment.load_model
            models = [load(r.config, store.weights(r), r.model_info) for r in chosen.records]
            weights = list(members.values())
            data = again.of(first)
            code, now = experiment.export_ensemble(models, weights, first.model_info, data, part)
            recorded, now = chosen.predictions, now[: len(chosen.predictions)]
            within = TOLERANCE * max(1.0, float(np.abs(recorded).max()))
            if now.shape != recorded.shape or not np.allclose(now, recorded, 0, within):
                why = "the ensemble predicts otherwise than its members have recorded"
                raise UsageError(f"{why}. Nothing was written")
            checked = f"Its predictions of {len(recorded)} samples are the mean of what its "
            checked += "members have recorded."
        else:
            code, checked = _export_members(home, info, chosen, again, part)
        facts = _facts(info, chosen.records[0]) | {
            "trial": None, "seed": None, "config": {}, "checked": checked,
            "metrics": {found.metric: found.accuracy.value},
            "members": [
                {"trial": one.key, "weight": members[one.trial], "config": dict(one.config)}
                for one in chosen.records
            ],
        }  # fmt: skip
        head = (
            f"{info.name}, an ensemble of {counted(len(members), 'trial')}",
            f"Exported from sweep `{info.id}`. {put_in_words(found).lead}",
            "The figure is cross-fitted on the validation set: on new data, expect slightly worse.",
        )
        _describe(part, facts, head, code.strip(), checked, "python")
    return found, sorted(path for path in folder.rglob("*") if path.is_file())


_PREDICT: Final = """\
import contextlib, io, runpy
import numpy as np

def predict(inputs):
    total = 0
    for name, weight in MEMBERS.items():
        with contextlib.chdir(name), contextlib.redirect_stdout(io.StringIO()):
            model = runpy.run_path("use.py")["model"]
        answer = getattr(model, "predict_proba", model.predict)
        total = total + weight * np.asarray(answer(inputs))
    return total
"""


def _export_members(
    home: Home, info: SweepInfo, chosen: Selected, again: PreparedAgain, part: Path
) -> tuple[str, str]:
    """Export each member into a folder of its own; return code that predicts, and what is checked.

    Raises:
        UsageError: See `_checked`; or the code of an export does not leave its `model`.
    """
    store, said, names = home.store(info.id), "", {}
    experiment: Any = again.load()
    for record, member in zip(chosen.records, chosen.conclusion.members, strict=True):
        weights, name = store.weights(record), f"trial-{record.trial}"
        said = _checked(home, record, None, verify(experiment, record, weights, again)[0])
        (part / name).mkdir()
        code = experiment.export(record.config, weights, record.model_info, part / name)
        if not re.search(r"^model\b[^=\n]*=[^=]", code, re.MULTILINE):
            raise UsageError(
                f"experiment {info.experiment!r}: the lines that `export` returns are to leave the "
                "loaded model in `model`, so that an ensemble can call it. Nothing was written"
            )
        (part / name / "use.py").write_text(code.strip() + "\n", encoding="utf-8")
        names[name] = member.weight
    predict = _PREDICT.replace("MEMBERS", repr(names))
    (part / "predict.py").write_text(predict, encoding="utf-8")
    return predict, f"Of each member: {said[:1].lower()}{said[1:]}"


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; give another folder, nothing was written")


def _exports_nothing(info: SweepInfo) -> UsageError:
    return UsageError(
        f"experiment {info.experiment!r} exports nothing; give it a method `export` "
        "(see sweeps/capabilities.py)"
    )


def _facts(info: SweepInfo, record: Record) -> dict[str, Any]:
    """Return what `config.json` says of a trial."""
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


def _served(experiment: object, searched: SweepInfo) -> str:
    """Return what MLflow makes of the champion that is registered; empty if none can be."""
    if not (hasattr(experiment, "signature") and hasattr(experiment, "predict")):
        return ""
    model = f"models:/{model_name(searched)}@{ALIAS}"
    return (
        f"\n\nMLflow registers the champion as `{model}`. `mlflow models "
        f"generate-dockerfile -m {model} --output-directory image` writes a Dockerfile that serves "
        "it (`MLFLOW_TRACKING_URI` says where it is); the image needs this package and the code of "
        "the experiment beside what its requirements name."
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
