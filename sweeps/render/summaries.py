"""Summaries, tables of trials and sections for the terminal; imported only to print them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweeps.analysis.rows import RowState, TrialRow, best_row, front_rows
from sweeps.analysis.summary import FRONT, ConfirmedChampion, ListingRow, Summary, how_confirmed
from sweeps.analysis.table import metrics_beside, parameter_names
from sweeps.journal.events import LAST_EPOCH
from sweeps.render.section import Folded, Section
from sweeps.render.section import Table as SectionTable
from sweeps.render.section import Text as SectionText
from sweeps.render.verdict import failure_line, retry_line, time_line, verdict_line, with_hints
from sweeps.wording import (
    broken,
    counted,
    figure,
    first_line,
    format_metric,
    format_params,
    format_seconds,
    format_value,
    printable,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, RenderResult

    from search_spaces.objectives import Objective
    from sweeps.records.conclusions import Conclusion


def next_commands(
    summary: Summary,
    *,
    home_option: str = "",
    run_command: str = "",
    ui_option: str = "",
    ui_address: str = "",
) -> dict[str, str]:
    """Return three commands, each with a hint: look at the runs, list the trials, continue.

    If every trial failed: see the whole error, run the trials again, continue. A sweep that can be
    confirmed and is not has that as the last but one.

    Args:
        summary: Summary of the sweep that has just ended.
        home_option: The option to paste (`--home elsewhere`); empty for the default home.
        run_command: The command that started the sweep, quoted, without `--trials` and `--home`.
            Only the caller knows the space and the options that the same sweep needs again.
            Without it, the third command shows the best trial instead.
        ui_option: Further option of `sweeps ui`: the store, if it is not the home's own.
        ui_address: Address that already shows the runs, in place of `sweeps ui`.
    """
    name = shlex.quote(summary.name)
    home = f" {home_option}" if home_option else ""
    more, hint = f"sweeps best {name}", "the Pareto front" if summary.has_front else "the best"
    if run_command:
        unfinished = summary.done < summary.asked
        trials = summary.asked if unfinished else 2 * summary.done
        more, hint = f"{run_command} --trials {trials}", "go on"
    if summary.all_failed and summary.first_failed is not None:
        commands = {
            f"sweeps trials {name} {summary.first_failed}{home}": "the whole error",
            f"sweeps retry {name}{home}": "once its cause is mended",
        }
    else:
        ui = ui_address or f"sweeps ui {name}{home} {ui_option}".rstrip()
        commands = {ui: "compare the runs in MLflow", f"sweeps trials {name}{home}": "every trial"}
    can_confirm = summary.has_folds and not summary.has_front
    if can_confirm and summary.champion is None and summary.counts["COMPLETE"] > 1:
        commands[f"sweeps confirm {name}{home}"] = "is the best better, or lucky?"
    return {**commands, f"{more}{home}": hint}


STATE_STYLES: Mapping[RowState, str] = {
    "COMPLETE": "green",
    "PRUNED": "yellow",
    "FAILED": "bold red",
    "WAITING": "cyan",
}


@dataclass(frozen=True)
class TrialsView:
    """A rich renderable: every trial, the best (or the Pareto front) marked with `*`.

    Parameters that never vary are left out, and metrics beside the objectives for which there is no
    room; the CSV has all. A narrow terminal gets fewer columns, then all parameters in one column;
    no cell is cut.

    Attributes:
        rows: The rows, from `trial_rows`.
        objectives: Objectives of the sweep.
        space: See `parameter_names`.
        champion: The champion of the sweep's confirmation.
        says_constants: Whether a line names the parameters that are left out.
        declared: See `metrics_beside`.
    """

    rows: Sequence[TrialRow]
    objectives: Sequence[Objective]
    space: Mapping[str, Any] | None = None
    champion: ConfirmedChampion | None = None
    says_constants: bool = False
    declared: Mapping[str, bool] = field(default_factory=dict)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the widest layout that fits."""
        names = parameter_names(self.rows, self.space)
        is_only = len(self.rows) == 1
        values = {name: {repr(row.params.get(name)) for row in self.rows} for name in names}
        varied = [name for name in names if is_only or len(values[name]) > 1]
        errors = ["error"] if any(row.error for row in self.rows) else []
        beside = metrics_beside(self.rows, self.objectives, self.declared)
        details = ["epochs", "seconds", "why"]
        layouts = [(beside[:n], details) for n in range(len(beside), -1, -1)]
        layouts += [([], errors), ([], [])]
        tables = (self._table(varied, *layout, in_one=False) for layout in layouts)
        unlimited = options.update(width=10_000)
        fitting = (
            table
            for table in tables
            if console.measure(table, options=unlimited).maximum <= options.max_width
        )
        yield next(fitting, None) or self._table(varied, [], [], in_one=True)
        if len(self.objectives) > 1:
            label = FRONT
        else:
            best = best_row(self.rows, self.objectives[0].direction)
            label = "".join(how_confirmed(best, self.champion))
        if self._marked:
            yield Text(f"* {label}")
        same = {name: self.rows[0].params.get(name) for name in names if name not in varied}
        if same and self.says_constants:
            yield Text(f"without a column, since no trial differs: {format_params(same)}", "dim")

    @cached_property
    def _marked(self) -> set[int]:
        if len(self.objectives) > 1:
            return {row.trial for row in front_rows(self.rows, self.objectives)}
        best = best_row(self.rows, self.objectives[0].direction)
        return {best.trial} if best else set()

    def _table(
        self, varied: Sequence[str], beside: Sequence[str], more: Sequence[str], *, in_one: bool
    ) -> Table:
        """Return a table with a column a metric, and the columns named in `more`.

        These may be `epochs`, `seconds`, `why` (it ended) and `error`. Parameters have a column
        each, or one with all, on as many lines as they need.
        """
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("state", no_wrap=True)
        metrics = [objective.metric for objective in self.objectives]
        for name in (*metrics, *beside, *(() if in_one else varied)):
            table.add_column(broken(name), justify="right", no_wrap=True)
        for name in more:
            is_text = name in {"why", "error"}
            table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
        if in_one:  # a metric may be called "parameters": the number of weights
            name = "configuration" if "parameters" in metrics else "parameters"
            table.add_column(name, overflow="fold")
        for row in self.rows:
            why = first_line(row.error or "", limit=60) if row.state == "FAILED" else ""
            why = row.reason if row.state == "COMPLETE" else why
            origin = "" if row.origin in {"sampled", "random", "grid"} else row.origin
            told = {
                "epochs": str(row.epochs or ""),
                "seconds": f"{row.seconds:.1f}",
                "why": ", ".join(filter(None, [why, origin])),
                "error": first_line(row.error or "", limit=32),
            }
            chosen = {name: row.params[name] for name in varied if name in row.params}
            params = [format_value(chosen[name]) if name in chosen else "" for name in varied]
            if in_one:
                origin = f"{row.origin}: " if row.baseline else ""
                params = [origin + format_params(chosen, separator=" ")]
            is_best = row.trial in self._marked
            others = (row.values(self.objectives) or (None,) * len(metrics))[1:]
            table.add_row(
                f"{'*' if is_best else ''}{row.trial}",
                Text(row.state, style=STATE_STYLES[row.state]),
                Text(row.reason if row.objective is None else format_metric(row.objective)),
                *("" if value is None else format_metric(value) for value in others),
                *(format_metric(row.metrics[n]) if n in row.metrics else "" for n in beside),
                *map(Text, params),
                *(Text(told[name]) for name in more),
                style="bold" if is_best else None,
            )
        return table


_MOST_FILES: Final = 20
"""So many that an attempt wrote are named."""


def render_text(
    summary: Summary,
    *,
    home_option: str = "",
    run_command: str = "",
    verbose: bool = False,
    is_last: bool = True,
    **ui: str,
) -> RenderableType:
    """Return the end of a run: best against the baseline, failures, three commands to copy.

    Print it with `console.print(..., crop=False)`: a command longer than the terminal stays whole.

    Args:
        summary: Summary of the sweep.
        home_option: See `next_commands`.
        run_command: See `next_commands`.
        verbose: Whether it says where the time went.
        is_last: Whether it is the answer; if not, because a confirmation follows, it is shorter.
        **ui: The other arguments of `next_commands`.
    """
    parts: list[RenderableType] = [Text(verdict_line(summary))]
    if summary.has_front:
        parts += _front(summary, SHOWN_FRONT)
    if summary.best and is_last:
        indented = Text(format_params(summary.best.params))
        parts.append(Padding(indented, (0, 0, 0, 2), expand=False))
    remarks = _remarks(summary, home_option, run_command)
    parts += [Text(line, style=style) for line, style in remarks]
    if verbose and (spent := time_line(summary.time_split)):
        parts.append(Text(spent, style="dim"))
    if not is_last:
        return Group(*parts)
    commands = next_commands(summary, home_option=home_option, run_command=run_command, **ui)
    return Group(*parts, render_commands(commands))


def render_best(
    summary: Summary,
    conclusions: Sequence[Conclusion] = (),
    chosen: TrialRow | None = None,
    *,
    home_option: str = "",
) -> RenderableType:
    """Return the output of `sweeps best`: verdict, parameters and metrics of the trial to take.

    With several objectives: the trials of the Pareto front, and the baselines.

    Args:
        summary: Summary of the sweep.
        conclusions: Its conclusions; empty if it was not confirmed.
        chosen: The champion's trial; None, without one of this sweep: the best that was observed.
        home_option: See `next_commands`.
    """
    parts: list[RenderableType] = [Text(verdict_line(summary))]
    if conclusions:
        from sweeps.render.sections.confirmed import put_in_words  # loads all sections, and Optuna

        parts += [Text(f"{told.title}: {told.lead}") for told in map(put_in_words, conclusions)]
    if summary.has_front:
        parts += _front(summary)
    if shown := chosen or summary.best:
        of = f" of the champion, trial {chosen.trial}" if chosen else ""
        parts += _params_and_metrics(shown, of, f"{of}, in the search" if chosen else "")
    parts += [Text(line, style=style) for line, style in _remarks(summary, home_option)]
    return Group(*parts)


def render_trial(
    row: TrialRow,
    written: Mapping[str, bytes] | None = None,
    where: Path | None = None,
    score: str = "",
) -> RenderableType:
    """Return the output of `sweeps trials NAME TRIAL`: one trial in full, with its whole error.

    Args:
        row: The trial.
        written: Contents of the files that its last attempt wrote, by name.
        where: The archive that holds these files.
        score: Of a script, where its score was read.
    """
    facts = {
        "state": f"{row.state}, {row.reason}",
        "origin": row.origin,
        "attempts": str(row.attempts),
        "seed": str(row.seed),
        "epochs": str(row.epochs),
        "took": format_seconds(row.seconds),
        **({"score": printable(score)} if score else {}),
    }
    parts: list[RenderableType] = [Text(f"trial {row.trial}", style="bold"), _pairs(facts)]
    parts += _params_and_metrics(row)
    if row.error:
        parts += [Text("Error:", style="bold red"), Text(printable(row.error))]
    if written:
        shown = sorted(written)[:_MOST_FILES]
        sizes = {
            name: f"{size:,} byte{'' if size == 1 else 's'}"
            for name, size in ((name, len(written[name])) for name in shown)
        }
        if more := len(written) - len(shown):
            sizes[f"and {more} more"] = ""
        parts += [Text("Printed and written:"), _pairs(sizes)]
        parts += [Text(f"They are artifacts of its run, and in {where} (zip)")]
    return Group(*parts)


SHOWN_FRONT: Final = 5
"""Trials of a front that the end of a run shows."""


def _front(summary: Summary, most: int | None = None) -> list[RenderableType]:
    """Return a table of the trials on the front, and the other baselines; or of the first ones."""
    rows, hidden = summary.front_and_baselines, len(summary.front[most:]) if most else 0
    if hidden:  # without baselines: whether they lie behind it would depend on what is hidden
        rows = list(summary.front[:most])
    shown: list[RenderableType] = [TrialsView(rows, summary.objectives)] if rows else []
    if hidden:
        shown.append(Text(f"and {counted(hidden, 'trial')} more on the front", style="dim"))
    return shown


def _remarks(summary: Summary, home_option: str, run_command: str = "") -> list[tuple[str, str]]:
    remarks = []
    home = f" {home_option}" if home_option else ""
    if summary.failures:
        remarks.append((failure_line(summary.failures, summary.first_error), "bold red"))
        if summary.first_failed is not None and not summary.all_failed:
            name = shlex.quote(summary.name)
            whole = f"sweeps trials {name} {summary.first_failed}{home}"
            remarks.append((f"the whole error: {whole}", "dim"))
            remarks.append((f"once its cause is mended: sweeps retry {name}{home}", "dim"))
    if summary.at_last_epoch and summary.best and summary.best.reason == LAST_EPOCH:
        count = f"{summary.at_last_epoch} of {counted(summary.counts['COMPLETE'], 'trial')}"
        text = f"{count}, the best among them, trained to the last epoch: more may do better"
        remarks.append((text, "yellow"))
        again = run_command or f"sweeps enqueue {shlex.quote(summary.name)}"
        text = f"as many again for the best: {again} --more-epochs {summary.best.epochs}{home}"
        remarks.append((text, "dim"))
    if summary.retried:
        remarks.append((retry_line(summary.retried), "yellow"))
    if summary.tracking_pending:
        text = f"{counted(summary.tracking_pending, 'run')} not in MLflow yet"
        remarks.append((text, "yellow"))
    return remarks


def _params_and_metrics(row: TrialRow, of: str = "", where: str = "") -> list[RenderableType]:
    params = {name: format_value(value) for name, value in row.params.items()}
    metrics = {name: format_metric(value) for name, value in row.metrics.items()}
    shown: list[RenderableType] = [Text(f"Parameters{of}:"), _pairs(params)]
    return [*shown, *([Text(f"Metrics{where}:"), _pairs(metrics)] if metrics else [])]


def _pairs(pairs: Mapping[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, 3, 0, 0))
    for name, text in pairs.items():
        grid.add_row(Text(name, no_wrap=True), Text(text))
    return Padding(grid, (0, 0, 0, 2))


def render_commands(commands: Mapping[str, str]) -> Text:
    """Return commands to copy, a line each, with a word on each."""
    lines = (
        Text.assemble((command, "bold"), (hint, "dim")) for command, hint in with_hints(commands)
    )
    return Text("\n", no_wrap=True, overflow="ignore").join(lines)


def render_listing(rows: Sequence[ListingRow], *, is_wide: bool = True) -> Table:
    """Return the rows as a table for the terminal; times are local.

    The parts of a confirmation are named below their sweep, and have no row of their own.

    Args:
        rows: The rows, from `listing_rows`.
        is_wide: Whether there is room for ids, metrics and times without breaking names.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    names = ("name", "state", "trials", "failed", "best\nobserved", "champion", "created")
    for name in (*names, "id", "metric") if is_wide else names:
        is_number = name in {"trials", "failed", "best\nobserved"}
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=name not in {"name", "metric"},
            overflow="fold",
        )
    for row in rows:
        if row.companion_of is not None:
            continue
        created = datetime.fromtimestamp(row.created_at / 1000, tz=UTC).astimezone()
        companions = [one for one in rows if one.companion_of == row.name]
        best = "" if row.best is None else format_metric(row.best)
        if row.front is not None:
            best = f"front of {row.front}" if row.front else ""
        champion = ""
        if (found := row.champion) is not None:
            score = "" if found.score is None else f", {figure(found.score, found.unit)}"
            champion = f"{found.finalist}{score if found.is_proven else ', not proven'}"
        cells = [
            Text.assemble((row.name, "bold"), (_below(row, companions), "dim")),
            row.state,
            str(row.done) if row.asked is None else f"{row.done}/{row.asked}",
            Text(str(row.failed or ""), style="bold red"),
            best,
            champion,
            f"{created:%Y-%m-%d %H:%M}" if is_wide else f"{created:%Y-%m-%d}",
            Text(row.id),
            Text(", ".join(row.objectives) or row.metric, no_wrap=True, overflow="ellipsis"),
        ]
        table.add_row(*(cells if is_wide else cells[:-2]))
    return table


def _below(row: ListingRow, companions: Sequence[ListingRow]) -> str:
    """Return the lines below a sweep's name: what it learned from, then a line a companion.

    A companion is shortened by the name of its sweep, and has its trials if they are not all.
    """
    name = row.name
    lines = ["", *([f"  learned from {row.learned_from}"] if row.learned_from else [])]
    for one in sorted(companions, key=lambda one: one.created_at):
        short = one.name.removeprefix(name) if one.name.startswith(f"{name}-") else one.name
        part = "" if one.state == "FINISHED" else f" {one.done}/{one.asked or '?'} {one.state}"
        lines.append(f"  {short}{part}")
    return "\n".join(lines)


MOST_UNBROKEN: Final = 14
"""Longest word, in characters, that a column of words has; such a column is never broken."""
SHORT_LINE: Final = 15
"""Shortest line, in characters, into which a table breaks a text of several words."""


def render_sections(sections: Sequence[Section | Folded]) -> RenderableType:
    """Return the texts and tables of sections; a section without any is left out."""
    parts: list[RenderableType] = []
    for section in sections:
        shown: list[RenderableType] = []
        for block in section.blocks:
            if isinstance(block, SectionText):
                shown.append(Text(block.text, style="dim" if block.kind == "note" else ""))
            elif isinstance(block, SectionTable):
                shown.append(_TableView(block))
        if shown:
            parts += [Text(section.title, style="bold"), *shown, Text("")]
    return Group(*parts[:-1])


@dataclass(frozen=True)
class _TableView:
    """A rich renderable: a table of a section, closer and with more breaks as room gets scarce."""

    block: SectionTable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the first layout that fits; the last one is broken wherever it must."""
        unlimited = options.update(width=10_000)
        *layouts, narrowest = (
            self._table(1),
            self._table(0),
            self._table(0, SHORT_LINE),
            self._table(0, SHORT_LINE, breaks_names=True),
            self._table(0, 1, breaks_names=True),
        )
        least = (console.measure(table, options=unlimited).minimum for table in layouts)
        fitting = (
            table for table, width in zip(layouts, least, strict=True) if width <= options.max_width
        )
        yield next(fitting, narrowest)

    def _table(self, padding: int, line: int | None = None, *, breaks_names: bool = False) -> Table:
        """Return the table.

        Args:
            padding: Spaces at each side of a cell.
            line: Texts of several words may be broken into lines as short as this; None: never.
            breaks_names: Whether the first column may be broken, after hyphens and underscores.
        """
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, padding))
        columns = [[row[n] for row in self.block.rows] for n in range(len(self.block.columns))]
        if breaks_names:
            columns[0] = [broken(name, width=MOST_UNBROKEN) for name in columns[0]]
        for number, cells in enumerate(columns):
            longest = max(map(len, cells), default=0)
            is_word = longest <= MOST_UNBROKEN and not any(" " in cell for cell in cells)
            is_kept = number == 0 or is_word
            table.add_column(
                broken(self.block.columns[number]),
                overflow="fold",
                no_wrap=is_kept,
                min_width=None if is_kept else min(longest, line or longest),
            )
        for row in zip(*columns, strict=True):
            table.add_row(*map(Text, row))
        return table
