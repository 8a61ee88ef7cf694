"""What `sweeps trials` prints: one line a slot, as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from sweeps.report.numbers import broken, first_line, format_metric, format_params, format_value
from sweeps.report.slots import SlotRow, SlotState, best_row, front_rows
from sweeps.report.summary import FRONT, NOT_CONFIRMED
from sweeps.report.table import parameter_names

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from search_spaces.objectives import Objective

STATE_STYLES: Mapping[SlotState, str] = {
    "COMPLETE": "green",
    "PRUNED": "yellow",
    "FAILED": "bold red",
    "WAITING": "cyan",
}


@dataclass(frozen=True)
class TrialsView:
    """A rich renderable: every slot, the best (or the Pareto front) marked with `*`.

    Parameters that never vary are left out, as are metrics other than the objectives: CSV has them
    all. A narrow terminal gets fewer columns, then the parameters in one; no cell is cut.

    Attributes:
        rows: From `slot_rows`.
        objectives: Of the sweep.
        space: See `parameter_names`.
    """

    rows: Sequence[SlotRow]
    objectives: Sequence[Objective]
    space: Mapping[str, Any] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the widest layout that fits."""
        varied = [n for n in parameter_names(self.rows, self.space) if self._varies(n)]
        errors = ("error",) if any(row.error for row in self.rows) else ()
        layouts = (("epochs", "seconds", "why"), errors, ())
        tables = [*(self._table(varied, more) for more in layouts), self._compact_table(varied)]
        unlimited = options.update(width=10_000)
        widths = [console.measure(table, options=unlimited).maximum for table in tables[:-1]]
        fits = [width <= options.max_width for width in widths]
        table = tables[fits.index(True)] if any(fits) else tables[-1]
        yield table
        if self._marked:
            yield Text(f"* {FRONT if len(self.objectives) > 1 else NOT_CONFIRMED}")

    @cached_property
    def _marked(self) -> set[int]:
        """The slots that stand out."""
        if len(self.objectives) > 1:
            return {row.slot for row in front_rows(self.rows, self.objectives)}
        best = best_row(self.rows, self.objectives[0].direction)
        return {best.slot} if best else set()

    def _table(self, varied: Sequence[str], more: Sequence[str]) -> Table:
        """A column a parameter, and of epochs, seconds, why it ended and error those in `more`."""
        table = self._table_of(varied)
        for name in more:
            is_text = name in {"why", "error"}
            table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
        for row in self.rows:
            values = [format_value(row.params[n]) if n in row.params else "" for n in varied]
            told = {
                "epochs": str(row.epochs or ""),
                "seconds": f"{row.seconds:.1f}",
                "why": _why(row),
                "error": first_line(row.error or "", limit=32),
            }
            self._add(table, row, [*values, *(told[name] for name in more)])
        return table

    def _compact_table(self, varied: Sequence[str]) -> Table:
        """All parameters in one column, over as many lines as they need."""
        table = self._table_of(())
        metrics = {objective.metric for objective in self.objectives}
        name = "parameters"  # which is also what the number of weights is called
        table.add_column("configuration" if name in metrics else name, overflow="fold")
        for row in self.rows:
            chosen = {name: row.params[name] for name in varied if name in row.params}
            origin = f"{row.origin}: " if row.baseline else ""
            self._add(table, row, [origin + format_params(chosen, separator=" ")])
        return table

    def _table_of(self, numeric: Sequence[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        for name in (*(objective.metric for objective in self.objectives), *numeric):
            table.add_column(broken(name), justify="right", no_wrap=True)
        return table

    def _add(self, table: Table, row: SlotRow, cells: Sequence[str]) -> None:
        is_best = row.slot in self._marked
        others = row.values(self.objectives) or (None,) * len(self.objectives)
        table.add_row(
            f"{'*' if is_best else ''}{row.slot}",
            Text(row.state, style=STATE_STYLES[row.state]),
            Text(objective_or_reason(row)),
            *("" if value is None else format_metric(value) for value in others[1:]),
            *map(Text, cells),
            style="bold" if is_best else None,
        )

    def _varies(self, name: str) -> bool:
        values = {repr(row.params.get(name)) for row in self.rows}
        return len(values) > 1 or len(self.rows) == 1


def objective_or_reason(row: SlotRow) -> str:
    """Return the objective, or why there is none."""
    return row.reason if row.objective is None else format_metric(row.objective)


def _why(row: SlotRow) -> str:
    why = first_line(row.error or "", limit=60) if row.state == "FAILED" else ""
    known = {"sampled", "random", "grid"}  # nothing to say
    parts = [
        row.reason if row.state == "COMPLETE" else why,
        "" if row.origin in known else row.origin,
    ]
    return ", ".join(filter(None, parts))
