"""Records -> pandas: per-epoch metrics in long form, confusion counts. Columns stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeps.errors import UsageError
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names

if TYPE_CHECKING:
    import pandas as pd

HISTORY_COLUMNS = ("slot", "epoch", "metric", "value")


def history_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each trial, epoch and per-epoch metric.

    Columns: `slot` (Int64), `epoch` (Int64, from 1), `metric` (category), `value` (float64). Only
    attempts that decided their slot.
    """
    import pandas as pd

    rows = [
        (record.spec.slot, epoch, metric, value)
        for record in records
        if record.ends_slot and record.result is not None
        for metric, values in record.result.history.items()
        for epoch, value in enumerate(values, 1)
    ]
    frame = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    return frame.astype(
        {"slot": "Int64", "epoch": "Int64", "metric": "category", "value": "float64"}
    )


def confusion_frame(record: Record, epoch: int | None = None) -> pd.DataFrame:
    """Return how often each class was taken for each, of validation samples.

    Args:
        record: A trial with its arrays.
        epoch: From 1; None for the best one.

    Returns:
        int64; rows are the actual classes (index `actual`), columns the predicted ones
        (`predicted`), by name in the order of the labels.

    Raises:
        UsageError: The trial has no confusion counts, or not that epoch.
    """
    import pandas as pd

    slot = record.spec.slot
    counts = best_confusion(record)
    if counts is None or record.result is None:
        raise UsageError(f"trial {slot} has no confusion counts: it does not classify, or failed")
    if epoch is not None:
        of_epochs = record.result.arrays["confusion"]
        if not 1 <= epoch <= len(of_epochs):
            raise UsageError(f"trial {slot} has epochs 1 to {len(of_epochs)}, not {epoch}")
        counts = of_epochs[epoch - 1].astype("int64")
    names = class_names(record, len(counts))
    return pd.DataFrame(
        counts,
        index=pd.Index(names, name="actual"),
        columns=pd.Index(names, name="predicted"),
    )
