"""The files of a run that are made here from the record; names never change, so none piles up."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from sweeps.records.record import Record, SweepInfo

TRIALS_TABLE: Final = "trials.json"
TABLE_TAGS: Final = {
    "mlflow.loggedArtifacts": json.dumps([{"path": TRIALS_TABLE, "type": "table"}])
}
"""By this tag MLflow's UI and `load_table` know a file as a table."""


def trial_files(info: SweepInfo, record: Record, drawn: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every file of an attempt's run by name.

    Args:
        info: The sweep, for the diff of its code.
        record: The attempt.
        drawn: What the experiment drew (`loss_curves.png`, ...); kept as it is.
    """
    info = info.at(record.spec.slot)
    texts = {
        "config.json": _json(dict(record.spec.config)),
        "environment.json": _json(dict(record.environment)),
        "code.diff": str(record.environment.get("diff") or info.code.get("diff") or ""),
        "error.txt": record.error or "",
    }
    if record.result is not None:
        texts["history.csv"] = history_csv(record.result.history)
        texts["model_summary.txt"] = record.result.summary
    return {**{name: text.encode() for name, text in texts.items() if text}, **drawn}


def sweep_files(info: SweepInfo) -> dict[str, bytes]:
    """Return the files of a sweep's parent run that are fixed when a generation begins.

    `space.json` is the newest space; those of earlier generations lie beside it as `space-1.json`.
    """
    files = {"space.json": _json(dict(info.space)), "code.diff": str(info.code.get("diff") or "")}
    for earlier in info.generations[:-1]:
        files[f"space-{earlier.number}.json"] = _json(dict(earlier.space))
    return {name: text.encode() for name, text in files.items() if text}


def history_csv(history: Mapping[str, list[float]]) -> str:
    """Return per-epoch metrics as CSV: a column `epoch` (from 1), then one a metric."""
    rows = max((len(values) for values in history.values()), default=0)
    if not rows:
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["epoch", *history])
    for epoch in range(rows):
        cells = [values[epoch] if epoch < len(values) else "" for values in history.values()]
        writer.writerow([epoch + 1, *cells])
    return buffer.getvalue()


def table_json(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a table as MLflow's `log_table` writes it, which would append at each call."""
    cells = [
        [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
        for row in rows
    ]
    content = {"columns": list(columns), "data": cells}
    return json.dumps(content, ensure_ascii=False, default=str, separators=(",", ":")).encode()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below `folder`.

    Raises:
        ValueError: A name is absolute or leads out of the folder.
    """
    for name, content in files.items():
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name:
            raise ValueError(f"file name {name!r}: give a relative name without '..'")
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
