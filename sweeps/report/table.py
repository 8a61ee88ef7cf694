"""Rows of slots -> one flat table with stable column names: terminal, CSV, pandas.

Columns: `slot, state, reason, attempts, origin, seed`, the parameters in the order of the space,
the headline metrics with the objective first, `seconds`, `error` (its first line). A cell is None
(empty in CSV, missing in pandas) where a conditional parameter is inactive or switched off, or a
trial has no such metric.
A parameter named like a column before it becomes `param.<name>`, a metric `metric.<name>`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from sweeps.report.numbers import first_line
from sweeps.report.slots import STATES, SlotRow

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.parameters import Value

FIRST_COLUMNS = ("slot", "state", "reason", "attempts", "origin", "seed")
LAST_COLUMNS = ("seconds", "error")
_DTYPES = {
    "slot": "Int64",
    "reason": "category",
    "attempts": "Int64",
    "origin": "string",
    "seed": "Int64",
    "seconds": "float64",
    "error": "string",
}


def parameter_names(rows: Iterable[SlotRow], order: Sequence[str] = ()) -> list[str]:
    """Return the parameters of all rows in the order of the space.

    Args:
        rows: Each with its active parameters in the order of the space.
        order: Names known to come first in this order; those no row has are left out.
    """
    found = merge_orders(row.params for row in rows)
    return [name for name in order if name in found] + [n for n in found if n not in order]


def metric_names(rows: Iterable[SlotRow], objective: str | None = None) -> list[str]:
    """Return the headline metrics of all rows, the objective first if any row has it."""
    found = merge_orders(row.metrics for row in rows)
    return sorted(found, key=lambda name: name != objective)


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
    rows: Sequence[SlotRow], *, objective: str | None = None, order: Sequence[str] = ()
) -> tuple[list[str], list[list[Value]]]:
    """Return column names and one list of cells a slot.

    Args:
        rows: From `slot_rows`.
        objective: Name of the objective metric; its column comes first among the metrics.
        order: Parameter names in the order of the space, where it is known; by default the order
            is merged from the rows.
    """
    params, metrics = parameter_names(rows, order), metric_names(rows, objective)
    taken = {*FIRST_COLUMNS, *LAST_COLUMNS}
    param_columns = [f"param.{name}" if name in taken else name for name in params]
    taken.update(param_columns)
    metric_columns = [f"metric.{name}" if name in taken else name for name in metrics]
    cells: list[list[Value]] = [
        [
            *(row.slot, row.state, row.reason, row.attempts, row.origin, row.seed),
            *(row.params.get(name) for name in params),
            *(row.metrics.get(name) for name in metrics),
            row.seconds,
            first_line(row.error) if row.error else None,
        ]
        for row in rows
    ]
    return [*FIRST_COLUMNS, *param_columns, *metric_columns, *LAST_COLUMNS], cells


def write_csv(
    rows: Sequence[SlotRow],
    file: TextIO,
    *,
    objective: str | None = None,
    order: Sequence[str] = (),
) -> None:
    """Write the table as CSV with a header; floats keep every digit, missing cells are empty.

    Args:
        rows: From `slot_rows`.
        file: Text file opened with `newline=""`.
        objective: See `trial_table`.
        order: See `trial_table`.
    """
    columns, cells = trial_table(rows, objective=objective, order=order)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(cells)


def to_frame(
    rows: Sequence[SlotRow], *, objective: str | None = None, order: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the table as a typed DataFrame, one row a slot.

    Whole numbers are `Int64`, numbers `float64`, switches `boolean`, words `category`; a parameter
    with values of several kinds becomes a category of strings.
    """
    import pandas as pd

    columns, cells = trial_table(rows, objective=objective, order=order)
    first_metric = len(columns) - len(metric_names(rows)) - len(LAST_COLUMNS)
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
