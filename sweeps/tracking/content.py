"""The content of a run, made from a record alone: names, tags, parameters, metrics, status, times.

Everything is a function of sweep and record, times included, so that projecting a record twice
writes the same run.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import itertools
import json
import math
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, NamedTuple, TypeVar

from search_spaces.objectives import in_words
from sweeps.analysis.confusion import confusion_tags
from sweeps.journal.events import Outcome, Record
from sweeps.records.conclusions import confirmed_by
from sweeps.records.sweep import SweepInfo, data_in_words
from sweeps.wording import printable

MAX_KEY_CHARACTERS: Final = 250
"""This and the next four: from MLflow's REST API (`runs/log-batch`), `mlflow.utils.validation`."""
MAX_PARAM_CHARACTERS: Final = 6000
MAX_TAG_CHARACTERS: Final = 8000
MAX_METRICS_PER_BATCH: Final = 800
"""1000 entities (and 1000 metrics) fit a batch; the rest is for parameters and tags."""
MAX_PER_BATCH: Final = 100
"""Parameters, and tags."""

_MARK: Final = " ... [truncated]"
_Item = TypeVar("_Item")


@lru_cache(maxsize=4096)  # each epoch has the same few
def safe_key(key: str) -> str:
    """Return a key that MLflow accepts: other characters become `_`, too long ones are cut."""
    cleaned = re.sub(r"[^\w\-. :/]", "_", key)[:MAX_KEY_CHARACTERS] or "_"
    # MLflow reads a key as a path and refuses one that could be written in another way.
    if posixpath.normpath(cleaned) != cleaned or cleaned[0] in "./":
        cleaned = re.sub(r"[/.]", "_", cleaned)
    return cleaned


def fit(values: Mapping[str, str], max_characters: int) -> tuple[dict[str, str], list[str]]:
    """Return the values with safe keys and cut to length, and the keys of those that were cut."""
    cut = [safe_key(key) for key, value in values.items() if len(value) > max_characters]
    kept = max_characters - len(_MARK)
    # Half characters, which are no UTF-8 and cannot be sent, become `?`.
    values = {key: value.encode("utf-8", "replace").decode() for key, value in values.items()}
    fitted = {
        safe_key(key): value if len(value) <= max_characters else value[:kept] + _MARK
        for key, value in values.items()
    }
    return fitted, cut


def is_finite(value: object) -> bool:
    """Whether a metric may be sent: MLflow stores NaN as 0 and infinity as 1.8e308."""
    return isinstance(value, int | float) and math.isfinite(value)


def chunks(items: Iterable[_Item], size: int) -> Iterator[Sequence[_Item]]:
    """Yield the items in groups of at most `size`."""
    rest = iter(items)
    while group := list(itertools.islice(rest, size)):
        yield group


WHY_CHARACTERS: Final = 80
LABEL_CHARACTERS: Final = 9
"""MLflow's parallel coordinates cut words to this length, so that different ones may look equal."""
LABEL_SUFFIX: Final = "_label"


def why(record: Record) -> str:
    """Return why an attempt ended: `early stopping, epoch 12`, `ValueError: too deep`."""
    at = f", epoch {record.epochs}" if record.epochs else ""
    if record.outcome == "failed":
        lines = (line.strip() for line in (record.error or "").splitlines())
        message = next((line for line in lines if line), "")
        says_all = message and record.reason in {"error", "invalid"}
        text = message if says_all else f"{record.reason} {message}"
        clean = "".join(c if c.isprintable() else "?" for c in text.strip())
        return clean if len(clean) <= WHY_CHARACTERS else f"{clean[: WHY_CHARACTERS - 3]}..."
    return f"{record.reason.replace('_', ' ')}{at}"


def label_params(record: Record) -> dict[str, str]:
    """Return `<name>_label` for each parameter that has choices too long for a chart of the UI."""
    labels = {}
    for name, text in record.distributions.items():
        attributes = json.loads(text).get("attributes", {})
        choices = [str(choice) for choice in attributes.get("choices", [])]
        chosen = str(record.params.get(name))
        if all(len(choice) <= LABEL_CHARACTERS for choice in choices) or chosen not in choices:
            continue
        plain = [c.strip("[]()").replace(", ", "-") for c in choices]  # [64, 32] is 64-32
        # All different: `cate~ropy` and `cate~inge`.
        short = [c if len(c) <= LABEL_CHARACTERS else f"{c[:4]}~{c[-4:]}" for c in plain]
        number = choices.index(chosen)
        label = short[number]
        is_taken = short.count(label) > 1
        labels[f"{name}{LABEL_SUFFIX}"] = f"{label[:6]}~{number}" if is_taken else label
    return labels


CONTEXT: Final = "training"
_DIGEST_CHARACTERS: Final = 36
_NAME_CHARACTERS: Final = 500


def dataset_key(data: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and digest of a dataset in MLflow.

    MLflow keeps one dataset per name and digest in an experiment, as it was logged first. The
    digest therefore covers the data and their split.
    """
    digests = [str(data.get(key) or "")[:16] for key in ("digest", "split_digest")]
    digest = "-".join(filter(None, digests))[:_DIGEST_CHARACTERS]
    return str(data.get("name") or "data")[:_NAME_CHARACTERS], digest or "unknown"


Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

_ENDING: Final[Mapping[Outcome, tuple[Status, str]]] = {
    "complete": ("FINISHED", "COMPLETE"),
    "pruned": ("FINISHED", "PRUNED"),
    "diverged": ("FAILED", "FAILED"),
    "failed": ("FAILED", "FAILED"),
    "interrupted": ("KILLED", "INTERRUPTED"),
}
_ERROR_CHARACTERS: Final = 500


NOTE: Final = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run."""


class Measured(NamedTuple):
    """One value of a metric; the timestamp in milliseconds since the epoch (UTC)."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class SweepNote:
    """Values that a start of a sweep adds to its parent run, beside those fixed in `SweepInfo`.

    Attributes:
        tags: More tags of the parent, such as how many trials were asked for.
        is_running: Whether a process runs the sweep; the parent run is then RUNNING.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    is_running: bool = True


@dataclass(frozen=True)
class RunContent:
    """One MLflow run, ready to be written."""

    name: str
    status: Status
    start_time: int
    end_time: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[Measured, ...]


def as_typed(note: str) -> str:
    """Return a note as Markdown that loads nothing: without HTML and without pictures.

    The sweep may have been imported, with notes that a stranger wrote.
    """
    return html.escape(note, quote=False).replace("![", "!\\[")


EXPERIMENT_KEY: Final = "mlflow.sweepsKey"
"""Tag by which an MLflow experiment is found, whatever its name is; the UI shows none that begins
like this."""
_EXPERIMENT_CHARACTERS: Final = 200


def former_experiment_name(info: SweepInfo) -> str:
    """Return the name of the MLflow experiment of a sweep that an earlier version sent."""
    parts = [info.experiment_name, info.data.get("name", ""), _digest(info.data)[:8]]
    return "-".join(safe_key(str(part)).replace("/", "_") for part in parts if part)


def experiment_names(info: SweepInfo) -> Iterator[str]:
    """Yield names for the MLflow experiment of a sweep, the best first; the first free one counts.

    It is named after data and space (`Handwritten digits: mlp`). Data of equal name are told apart
    by their digest.
    """
    facts = info.data.get("info")  # in the words of the experiment, if it has any
    title = facts.get("title") if isinstance(facts, Mapping) else None
    data = printable(str(title or info.data.get("name") or "data")).replace("\n", " ").strip()
    name = f"{data or 'data'}: {_space_name(info)}"[:_EXPERIMENT_CHARACTERS]
    digest = _digest(info.data)[:8]
    yield name
    if digest:
        yield f"{name} ({digest})"
    kind = printable(info.experiment_name)[:_EXPERIMENT_CHARACTERS]
    yield from (f"{name} ({kind}, {digest or 'data'} {number})" for number in itertools.count(1))


def experiment_tags(info: SweepInfo) -> dict[str, str]:
    """Return the tags of an MLflow experiment: which sweeps share it, and their data."""
    space, data, digest = _space_name(info), str(info.data.get("name", "")), _digest(info.data)
    parts = (info.experiment_name, space, digest)
    tags = {
        EXPERIMENT_KEY: hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16],
        "data": data,
        "data_digest": digest,
        "space": space,
        NOTE: f"Sweeps: {space}, on {printable(data_in_words(info.experiment, info.data))}",
    }
    return {name: value for name, value in tags.items() if value}


def _space_name(info: SweepInfo) -> str:
    if confirmed_by(info.directory):
        return "confirmations"
    return printable(str(info.at(0).space.get("name") or info.name)).replace("\n", " ")


def sweep_tags(info: SweepInfo, note: SweepNote) -> dict[str, str]:
    """Return the tags of a sweep's parent run."""
    tags = _shared_tags(info, info.code)
    tags |= {
        "kind": "sweep",
        "metric": info.metric,
        "direction": info.direction,
        "objectives": in_words(info.objectives) if info.has_front else "",
        "baselines": ", ".join(info.baselines),
        "fingerprint": _json(info.fingerprint),
    }
    from sweeps.study.samplers import options_given  # imports Optuna, which no completion needs

    for name in ("seed", "sampler", "pruner", "ask_ahead", "order", "learn_from"):
        value = info.fingerprint.get(name, "")
        is_choice = isinstance(value, Mapping) and "name" in value and not options_given(value)
        tags[name] = str(value["name"]) if is_choice else _text(value)  # `tpe`, without own options
    if info.generation > 1:
        tags["generations"] = str(info.generation)
        tags["first_trials"] = ", ".join(str(g.first_trial) for g in info.generations)
    return _fitted_tags({**tags, **note.tags}, [])


def best_tags(best: Record | None) -> dict[str, str]:
    """Return the tags of a parent run about the best attempt."""
    return {"best_trial": best.key, "best_value": str(best.objective)} if best else {}


def trial_run(info: SweepInfo, record: Record, parent_run_id: str) -> RunContent:
    """Return the child run of one attempt; epochs are steps and count from 1."""
    info = info.at(record.trial)  # an extension changes nothing about earlier runs
    status, retried = run_status(record)
    history = record.result.history if record.result else {}
    epochs = max((len(values) for values in history.values()), default=1)
    varied = varied_params(info, record)
    texts = {**label_params(record), **{k: _text(v) for k, v in varied.items()}}
    params, cut = fit(texts, MAX_PARAM_CHARACTERS)
    tags = {
        **_shared_tags(info, record.environment),
        "kind": "trial",
        "trial": record.key,
        "trial_number": str(record.trial),
        "attempt": str(record.attempt),
        "resumed_from": "" if record.resumed_from is None else str(record.resumed_from),
        "generation": str(info.generation) if info.generation > 1 else "",
        "state": _ENDING[record.outcome][1],
        "reason": record.reason,
        "why": why(record),
        **confusion_tags(record),
        "seed": str(record.seed),
        "origin": record.origin,
        "engine": record.result.engine if record.result else "",
        "engine_reason": record.result.engine_reason if record.result else "",
        "constants": _json({k: v for k, v in record.config.items() if k not in varied}),
        "versions": _json(record.environment.get("packages", {})),
        "error": (record.error or "")[:_ERROR_CHARACTERS],
        "diverged_epoch": str(epochs) if record.result and record.outcome == "diverged" else "",
        **retried,
        "mlflow.parentRunId": parent_run_id,
    }
    duration = record.finished_at - record.started_at
    points = [
        # The record has no time per epoch; evenly spread, they never change.
        Measured(
            safe_key(key), float(value), record.started_at + duration * epoch // len(values), epoch
        )
        for key, values in history.items()
        for epoch, value in enumerate(values, 1)
        if is_finite(value)
    ]
    return RunContent(
        name=run_name(record),
        status=status,
        start_time=record.started_at,
        end_time=record.finished_at,
        tags=_fitted_tags(tags, [f"param {key}" for key in cut]),
        params=params,
        metrics=(*points, *headline_points(record)),
    )


def run_status(record: Record) -> tuple[Status, dict[str, str]]:
    """Return the status that the run of an attempt ends with, and a tag if it was tried again."""
    is_retried = record.outcome == "failed" and not record.ends_trial
    return _ENDING[record.outcome][0], {"retried": "true"} if is_retried else {}


def run_name(record: Record) -> str:
    """Return a name that sorts: `0007`, with attempt (from the second on) and baseline's name."""
    key = f"{record.trial:04d}" if record.attempt == 1 else record.key
    kind, _, name = record.origin.partition(" ")
    return f"{key} {name}" if kind == "baseline" and name else key


def varied_params(info: SweepInfo, record: Record) -> dict[str, Any]:
    """Return the parameters that a reader compares: sampled ones, and those they are expanded to.

    Constants of the space are left out: a hundred equal columns hide the eight that differ.
    """
    fixed = info.space.get("fixed")
    config = record.config
    expanded = {} if fixed is None else {k: v for k, v in config.items() if k not in fixed}
    return {**expanded, **record.params}


def headline_points(record: Record) -> Iterator[Measured]:
    """Yield the finite headline metrics of a record, timed at its end."""
    for key, value in (record.result.metrics if record.result else {}).items():
        if is_finite(value):
            yield Measured(safe_key(key), float(value), record.finished_at, 0)


def _shared_tags(info: SweepInfo, code: Mapping[str, Any]) -> dict[str, str]:
    commit = code.get("commit") or info.code.get("commit") or ""
    return {
        "sweep": info.name,
        "sweep_id": info.id,
        "experiment": info.experiment,
        "data": str(info.data.get("name", "")),
        "data_digest": _digest(info.data),
        "split_digest": _text(info.data.get("split_digest", info.fingerprint.get("split", ""))),
        "space_digest": _text(info.fingerprint.get("space", "")),
        "git_commit": commit,
        "mlflow.source.name": f"sweeps run {info.name}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": commit,
    }


def _fitted_tags(tags: Mapping[str, str], cut: list[str]) -> dict[str, str]:
    """Leave out empty tags, cut long ones, and say in a tag what was cut."""
    fitted, cut_tags = fit({k: v for k, v in tags.items() if v}, MAX_TAG_CHARACTERS)
    cut = [*cut, *(f"tag {key}" for key in cut_tags)]
    return fitted | ({"truncated": ", ".join(cut)[:MAX_TAG_CHARACTERS]} if cut else {})


def _digest(data: Mapping[str, Any]) -> str:
    return str(data.get("digest", ""))


def _text(value: Any) -> str:
    return _json(value) if isinstance(value, Mapping | list | tuple) else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


TRIALS_TABLE: Final = "trials.json"
TABLE_TAGS: Final = {
    "mlflow.loggedArtifacts": json.dumps([{"path": TRIALS_TABLE, "type": "table"}])
}
"""This tag tells MLflow's UI and `load_table` that the file is a table."""


def trial_files(info: SweepInfo, record: Record, drawn: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every file of an attempt's run by name, with those that the experiment drew."""
    info = info.at(record.trial)
    texts = {
        "config.json": _as_json(dict(record.config)),
        "environment.json": _as_json(dict(record.environment)),
        "code.diff": str(record.environment.get("diff") or info.code.get("diff") or ""),
        "error.txt": record.error or "",
    }
    if record.result is not None:
        texts["history.csv"] = history_csv(record.result.history)
        texts["model_summary.txt"] = record.result.summary
    return {**_encoded(texts), **drawn}


def sweep_files(info: SweepInfo) -> dict[str, bytes]:
    """Return the files of a sweep's parent run that are fixed when a generation begins.

    `space.json` is the newest space; those of earlier generations lie beside it as `space-1.json`.
    """
    files = {
        "space.json": _as_json(dict(info.space)),
        "code.diff": str(info.code.get("diff") or ""),
    }
    for earlier in info.generations[:-1]:
        files[f"space-{earlier.number}.json"] = _as_json(dict(earlier.space))
    return _encoded(files)


def _encoded(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode("utf-8", "replace") for name, text in texts.items() if text}


def history_csv(history: Mapping[str, list[float]]) -> str:
    """Return per-epoch metrics as CSV: a column `epoch` (from 1), then one per metric."""
    if not any(history.values()):
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["epoch", *history])
    rows = itertools.zip_longest(*history.values(), fillvalue="")
    writer.writerows([epoch, *cells] for epoch, cells in enumerate(rows, 1))
    return buffer.getvalue()


def table_json(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a table in the format of MLflow's `log_table`, which itself appends at each call."""
    cells = [
        [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
        for row in rows
    ]
    content = {"columns": list(columns), "data": cells}
    text = json.dumps(content, ensure_ascii=False, default=str, separators=(",", ":"))
    return text.encode("utf-8", "replace")


HALF_COPIED: Final = ".artifact.uploading."
"""How the name of a file begins while it is written, as MLflow names it."""


def write_files(
    folder: Path, files: Mapping[str, bytes], check: Callable[[], object] = lambda: None
) -> None:
    """Write files below `folder`, each whole or not at all; `check` is called before each.

    Raises:
        ValueError: A name is absolute or leads out of the folder.
    """
    made: set[Path] = set()
    for name, content in files.items():
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name:
            raise ValueError(f"file name {name!r}: give a relative name without '..'")
        check()
        path = folder.joinpath(*parts)
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        half = path.with_name(f"{HALF_COPIED}{os.getpid()}")
        half.write_bytes(content)
        half.replace(path)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
