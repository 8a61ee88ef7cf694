"""What `digitexp train` leaves in its folder and prints at the end."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.config import TrialConfig
from digitexp.training.outcome import TrainingOutcome

__all__ = ["check_output_folder", "print_outcome", "write_outcome"]


def check_output_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that cannot be filled, before anything slow is done; creates nothing.

    Raises:
        ValueError: It is a file, or not empty and `overwrite` is not set.
        PermissionError: Nothing may be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; give the name of a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ValueError(f"--output {folder} is not empty; choose another or add --overwrite.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise ValueError(f"--output {folder}: {nearest} is a file, not a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"--output {folder}: no permission to write into {nearest}.")


def write_outcome(
    folder: Path,
    config: TrialConfig,
    outcome: TrainingOutcome,
    class_names: Sequence[str],
    about_data: dict[str, Any],
) -> None:
    """Write everything a training left; files of an earlier training are replaced.

    Files: config.json (parameters and data), metrics.json (with outcome and timings),
    history.csv, model_summary.txt, loss_curves.png, and unless training diverged in its first
    epoch weights.npz, confusion_matrix.png and confusion_matrix.json.
    """
    from digitexp.plots.trial import draw_trial

    best = outcome.metrics.get("best_epoch")
    files = draw_trial(
        outcome.history,
        outcome.confusion,
        class_names,
        None if best is None else int(best),
        f"{config.describe()}  ·  {outcome.stop_reason.replace('_', ' ')}",
    )
    files["config.json"] = _json({"parameters": config.to_params(), "data": about_data})
    files["metrics.json"] = _json(
        {
            "outcome": outcome.outcome,
            "stop_reason": outcome.stop_reason,
            "engine": outcome.engine,
            "metrics": dict(outcome.metrics),
            "timings": dict(outcome.timings),
            **({"info": dict(outcome.info)} if outcome.info else {}),
        }
    )
    files["history.csv"] = _history_csv(outcome).encode()
    files["model_summary.txt"] = outcome.summary.encode()
    if outcome.weights is not None:
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **outcome.weights)
        files["weights.npz"] = stream.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in ("weights.npz", "confusion_matrix.png", "confusion_matrix.json"):
        (folder / leftover).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _history_csv(outcome: TrainingOutcome) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["epoch", *outcome.history])
    columns = zip(*outcome.history.values(), strict=True)
    writer.writerows([epoch, *values] for epoch, values in enumerate(columns, 1))
    return stream.getvalue()


def print_outcome(folder: Path, outcome: TrainingOutcome, class_names: Sequence[str]) -> None:
    """Print accuracy, confusion matrix and where the files are."""
    metrics = outcome.metrics
    if outcome.outcome == "diverged":
        epochs = len(outcome.history["loss"])
        print(f"Diverged in epoch {epochs}: the loss is no longer a finite number.")
    if metrics:
        best = int(metrics["best_epoch"])
        _print_confusion(outcome.confusion[best - 1], class_names)
        print(
            f"Best epoch {best} of {int(metrics['epochs'])} "
            f"({outcome.stop_reason.replace('_', ' ')}, {metrics['train_seconds']:.1f} s): "
            f"validation accuracy {metrics['best_val_accuracy']:.2%}, "
            f"training accuracy {metrics['train_accuracy']:.2%}."
        )
    print(f"Written to {folder}")


def _print_confusion(counts: np.ndarray, class_names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    print("\nTrue class in rows, predicted class in columns:")
    table = Table(box=None, padding=(0, 1))
    table.add_column("", style="bold")
    for name in class_names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for true, row in enumerate(counts):
        cells = [
            Text(str(count) if count else "·", style=_cell_style(true == said, count))
            for said, count in enumerate(row)
        ]
        table.add_row(Text(class_names[true]), *cells)
    Console(highlight=False).print(table)
    print()


def _cell_style(right: bool, count: int) -> str:
    if right:
        return "bold blue"
    return "yellow" if count else "dim"
