"""Rows of trials -> one flat table with stable column names, and pandas frames.

Columns: `trial, state, reason, attempts, origin, seed`, the parameters in the order of the space,
the headline metrics with the objectives first, `on_front` if there are several objectives,
`seconds`, `error` (its first line). A cell is None (empty in CSV, missing in pandas) where a
conditional parameter is inactive or switched off, or a trial has no such metric. A parameter named
like a column before it becomes `param.<name>`, a metric `metric.<name>`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from sweeps.analysis.confusion import best_confusion, class_names
from sweeps.analysis.rows import STATES, TrialRow, front_rows
from sweeps.errors import UsageError
from sweeps.records import Record
from sweeps.wording import first_line, plain_numbers

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.objectives import Objective
    from search_spaces.parameters import Value


HISTORY_COLUMNS = ("trial", "epoch", "metric", "value")


def history_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each trial, epoch and per-epoch metric.

    Columns: `trial` (Int64), `epoch` (Int64, from 1), `metric` (category), `value` (float64). Only
    attempts that decided their trial have rows.
    """
    import pandas as pd

    rows = [
        (record.trial, epoch, metric, value)
        for record in records
        if record.ends_trial and record.result is not None
        for metric, values in record.result.history.items()
        for epoch, value in enumerate(values, 1)
    ]
    frame = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    return frame.astype(
        {"trial": "Int64", "epoch": "Int64", "metric": "category", "value": "float64"}
    )


def confusion_frame(record: Record, epoch: int | None = None) -> pd.DataFrame:
    """Return the confusion counts of a trial on the validation samples.

    Args:
        record: A trial with its arrays.
        epoch: The epoch, from 1; None for the best one.

    Returns:
        int64; rows are the actual classes (index `actual`), columns the predicted ones
        (`predicted`), by name in the order of the labels.

    Raises:
        UsageError: The trial has no confusion counts, or not that epoch.
    """
    import pandas as pd

    trial = record.trial
    counts = best_confusion(record)
    if counts is None or record.result is None:
        raise UsageError(f"trial {trial} has no confusion counts: it does not classify, or failed")
    if epoch is not None:
        of_epochs = record.result.arrays["confusion"]
        if not 1 <= epoch <= len(of_epochs):
            raise UsageError(f"trial {trial} has epochs 1 to {len(of_epochs)}, not {epoch}")
        counts = of_epochs[epoch - 1].astype("int64")
    names = class_names(record, len(counts))
    return pd.DataFrame(
        counts,
        index=pd.Index(names, name="actual"),
        columns=pd.Index(names, name="predicted"),
    )


FIRST_COLUMNS = ("trial", "state", "reason", "attempts", "origin", "seed")
LAST_COLUMNS = ("seconds", "error")
ON_FRONT = "on_front"
_DTYPES = {
    "trial": "Int64",
    "reason": "category",
    "attempts": "Int64",
    "origin": "string",
    "seed": "Int64",
    ON_FRONT: "boolean",
    "seconds": "float64",
    "error": "string",
}


def parameter_names(rows: Iterable[TrialRow], space: Mapping[str, Any] | None = None) -> list[str]:
    """Return the parameters of all rows in the order of the space.

    Args:
        rows: The rows, each with its active parameters in the order of the space.
        space: The space as the sweep's records have it. Without it, or if it is a function, which
            is not called here, the order is merged from the rows: branches come as they appear.
    """
    return in_order_of_space(merge_orders(row.params for row in rows), space)


def in_order_of_space(names: Iterable[str], space: Mapping[str, Any] | None) -> list[str]:
    """Return names of parameters in the order of the space; others follow in their own order."""
    declared = (space or {}).get("body", {}).get("parameters", ())
    place = {parameter["name"]: number for number, parameter in enumerate(declared)}

    def order_of(name: str) -> tuple[int, int]:
        repeated, _, layer = name.rpartition("_")  # units_2 is declared as units, once
        if name in place or repeated not in place or not layer.isdecimal():
            return place.get(name, len(place)), 0
        return place[repeated], int(layer)

    return sorted(names, key=order_of)


def metric_names(rows: Iterable[TrialRow], objectives: Sequence[Objective] = ()) -> list[str]:
    """Return the headline metrics of all rows, the objectives first as far as any row has them."""
    found = merge_orders(row.metrics for row in rows)
    first = [objective.metric for objective in objectives if objective.metric in found]
    return [*first, *(name for name in found if name not in first)]


MOST_BESIDE: Final = 5
"""So many metrics stand beside the objectives in tables of all trials, if the experiment does not
declare more of them; the CSV has all."""
_SHOWN_ANYWAY: Final = frozenset({"epochs", "train_seconds"})


def metrics_beside(
    rows: Iterable[TrialRow], objectives: Sequence[Objective], declared: Mapping[str, bool]
) -> list[str]:
    """Return the headline metrics that tables of all trials show beside the objectives.

    These are the ones that are declared to be shown, and the first of those that are not declared.

    Args:
        rows: The rows.
        objectives: Objectives of the sweep.
        declared: See `SweepState.shown`.
    """
    own = {one.metric for one in objectives} | _SHOWN_ANYWAY
    names = [name for name in metric_names(rows) if declared.get(name, True) and name not in own]
    others = [name for name in names if name not in declared]
    left_out = others[max(0, MOST_BESIDE - (len(names) - len(others))) :]
    return [name for name in names if name not in left_out]


def merge_orders(orders: Iterable[Iterable[str]]) -> list[str]:
    """Merge ordered names so that each new name comes before the known one that follows it.

    `units_2`, which only some trials have, so lands between `units_1` and `dropout`.
    """
    merged: list[str] = []
    for order in orders:
        names = list(order)
        end = len(merged)
        for name in reversed(names):
            if name in merged:
                end = merged.index(name)
            else:
                merged.insert(end, name)
    return merged


def trial_table(
    rows: Sequence[TrialRow],
    *,
    objectives: Sequence[Objective] = (),
    space: Mapping[str, Any] | None = None,
) -> tuple[list[str], list[list[Value]]]:
    """Return column names and one list of cells a trial.

    Args:
        rows: From `trial_rows`.
        objectives: Objectives of the sweep; their columns come first among the metrics.
        space: See `parameter_names`.
    """
    params, metrics = parameter_names(rows, space), metric_names(rows, objectives)
    last = last_columns(objectives)
    front = {row.trial for row in front_rows(rows, objectives)} if ON_FRONT in last else set()
    taken = {*FIRST_COLUMNS, *last}
    param_columns = [f"param.{name}" if name in taken else name for name in params]
    taken.update(param_columns)
    metric_columns = [f"metric.{name}" if name in taken else name for name in metrics]
    cells: list[list[Value]] = [
        [
            *(row.trial, row.state, row.reason, row.attempts, row.origin, row.seed),
            *(row.params.get(name) for name in params),
            *(row.metrics.get(name) for name in metrics),
            *([row.trial in front] if ON_FRONT in last else []),
            row.seconds,
            first_line(row.error) if row.error else None,
        ]
        for row in rows
    ]
    return [*FIRST_COLUMNS, *param_columns, *metric_columns, *last], cells


def last_columns(objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return the names of the columns after the metrics."""
    return (ON_FRONT, *LAST_COLUMNS) if len(objectives) > 1 else LAST_COLUMNS


def trial_documents(
    rows: Sequence[TrialRow], objectives: Sequence[Objective], space: Mapping[str, Any] | None
) -> list[dict[str, Value]]:
    """Return the table with one mapping a trial; see `trial_table`."""
    columns, cells = trial_table(rows, objectives=objectives, space=space)
    return [dict(zip(columns, row, strict=True)) for row in cells]


def write_rows(
    rows: Iterable[Mapping[str, Any]], file: TextIO, columns: Sequence[str] = ()
) -> None:
    """Write rows as CSV with a header; floats keep every digit, missing cells are empty.

    A text that a spreadsheet would compute (`=1+1`) begins with an apostrophe.

    Args:
        rows: Values by column; a mapping within becomes columns such as `accuracy.low`, a list is
            written as JSON.
        file: Text file opened with `newline=""`.
        columns: The columns if there are no rows.
    """
    flat = [dict(_flattened(row)) for row in rows]
    outer = {name for row in flat for name, value in row.items() if isinstance(value, Mapping)}
    names = [name for name in merge_orders(flat) if name not in outer] or columns
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in flat)


def _flattened(row: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield f"{before}{name}", value
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{before}{name}.")


def _cell(value: Any) -> Any:
    """Return a cell: whole numbers without a point, texts that no spreadsheet computes."""
    if isinstance(value, float) and not math.isfinite(value):
        return value  # JSON has no such number, CSV has
    value = plain_numbers(value)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=str)
    is_formula = isinstance(value, str) and value.lstrip()[:1] in {"=", "+", "-", "@"}
    return f"'{value}" if is_formula else value


def to_frame(
    rows: Sequence[TrialRow],
    *,
    objectives: Sequence[Objective] = (),
    space: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Return the table as a typed DataFrame, one row a trial.

    Whole numbers are `Int64`, numbers `float64`, switches `boolean`, words `category`; a parameter
    with values of several kinds becomes a category of strings.
    """
    import pandas as pd

    columns, cells = trial_table(rows, objectives=objectives, space=space)
    first_metric = len(columns) - len(metric_names(rows)) - len(last_columns(objectives))
    series: dict[str, pd.Series] = {}
    for index, name in enumerate(columns):
        values = [row[index] for row in cells]
        is_metric = index >= first_metric
        dtype = _DTYPES.get(name) or ("float64" if is_metric else _parameter_dtype(values))
        if dtype == "category" and name not in _DTYPES:
            values = [None if value is None else str(value) for value in values]
        series[name] = pd.Series(values, dtype=dtype)
    series["state"] = series["state"].astype(pd.CategoricalDtype(list(STATES)))
    return pd.DataFrame(series)


def _parameter_dtype(values: Sequence[Value]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "Int64"
    return "float64" if kinds and kinds <= {int, float} else "category"
