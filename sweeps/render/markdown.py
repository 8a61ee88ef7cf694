"""A summary as GitHub Markdown, for `$GITHUB_STEP_SUMMARY` and descriptions of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeps.analysis.data import SweepData
from sweeps.analysis.findings import leader_against, worst_class
from sweeps.analysis.table import parameter_names
from sweeps.render.sections.confirmed import put_in_words
from sweeps.render.sections.reproduce import rerun_commands
from sweeps.render.verdict import ended_line, lead_of, retry_line, verdict_line
from sweeps.wording import (
    counted,
    format_metric,
    format_value,
    gain_in_words,
    percent,
)

if TYPE_CHECKING:
    from sweeps.analysis.rows import TrialRow
    from sweeps.analysis.summary import Summary
    from sweeps.records.conclusions import Conclusion


def render_briefing(data: SweepData) -> str:
    """Return the lead of the first trial, the worst class, and the commands to run it again."""
    lines = []
    seconds = [] if data.info.has_front else [row.trial for row in data.ranking[1:2]]
    for trial, lead in leader_against(data, seconds).items():
        verdict = "they can be told apart" if lead.is_told_apart else "they cannot be told apart"
        lines.append(
            f"- **Are #1 and #2 different?** On the same {lead.n} validation samples trial "
            f"{data.ranking[0].trial} leads trial {trial} by {gain_in_words(lead)}: "
            f"{verdict} (one training each; that the best of many was picked is not allowed for)."
        )
    worst = worst_class(data)
    if worst is not None:
        share = f"{percent(worst.recall)} recognised{worst.remark}"
        whose = f"trial {data.ranking[0].trial}" if data.info.has_front else "the best trial"
        lines.append(f"- **Worst class** of {whose}: {worst.shown}, {share}.")
    again = " && ".join(rerun_commands(data))
    lines.append(f"- **Again**, with `space.json` from Artifacts: `{again}`")
    return "\n".join(lines)


def render_markdown(summary: Summary, gate: str | None = None) -> str:
    """Return a heading, the verdict, best against baselines, parameters and failures by reason.

    Args:
        summary: The sweep.
        gate: `failed: ...` or `passed: ...`, which stands first; None without a gate.
    """
    outcome, _, why = (gate or "").partition(": ")
    lines = [
        f"### Sweep {escape(summary.name)}",
        "",
        *([f"**{outcome}: {escape(why)}**", ""] if gate else []),
        f"{escape(ended_line(summary, 'last start'))}.",
        "",
        f"**{escape(verdict_line(summary))}**",
        "",
    ]
    best = summary.best
    rows = [row for row in (best, *summary.baselines) if row]
    if summary.has_front:
        lines += _front_table(summary)
    elif rows:
        header = ["trial", "origin", summary.metric, "best leads by", "epochs", "seconds"]
        # A best trial that is a baseline itself would be listed twice.
        unique = list({row.trial: row for row in rows}.values())
        lines += _table(header, [_cells(summary, row) for row in unique])
    if best:
        header = ["parameter of the best", "value"]
        lines += _table(header, [[name, format_value(v)] for name, v in best.params.items()])
    if summary.failures:
        pairs = [[reason, str(count)] for reason, count in summary.failures.items()]
        lines += _table(["failed because", "trials"], pairs)
    if summary.first_error:
        lines += [f"First error: {escape(summary.first_error)}", ""]
    if summary.failure_cause:
        lines += [f"Stopped: {escape(summary.failure_cause)}", ""]
    if summary.retried:
        lines += [f"{escape(retry_line(summary.retried))}.", ""]
    if summary.tracking_pending:
        lines += [f"{counted(summary.tracking_pending, 'run')} not in MLflow yet.", ""]
    return "\n".join(lines)


def render_conclusion(conclusion: Conclusion) -> str:
    """Return a conclusion of a confirmation or of a test-set evaluation."""
    worded = put_in_words(conclusion)
    lines = [f"### {escape(worded.title)}", "", f"**{escape(worded.lead)}**", ""]
    if worded.rows:
        lines += _table(list(worded.columns), [list(row) for row in worded.rows])
    for text in filter(None, (*worded.lines, worded.note)):
        lines += [escape(text), ""]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Escape GitHub's markup, and join lines, so that an error message stays one table cell."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_|<>[]#~$" else c for c in flat)


def _cells(summary: Summary, row: TrialRow) -> list[str]:
    best = summary.best
    is_best = best is not None and best.trial == row.trial
    return [
        str(row.trial),
        f"{row.origin}, best observed" if is_best else row.origin,
        row.state if row.objective is None else format_metric(row.objective),
        "" if is_best or best is None else lead_of(summary, best, row),
        str(row.epochs or ""),
        f"{row.seconds:.1f}",
    ]


def _front_table(summary: Summary) -> list[str]:
    rows = summary.front_and_baselines
    names = parameter_names(rows)
    header = ["trial", "origin", *(one.metric for one in summary.objectives), *names]
    front = {row.trial for row in summary.front}
    cells = [
        [
            str(row.trial),
            row.origin if row.trial in front else f"{row.origin}, behind the front",
            *map(format_metric, values),
            *(format_value(row.params[name]) if name in row.params else "" for name in names),
        ]
        for row in rows
        if (values := row.values(summary.objectives))
    ]
    return _table(header, cells) if cells else []


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    escaped = [[escape(cell) for cell in row] for row in (header, *rows)]
    return [line(escaped[0]), line(["---"] * len(header)), *map(line, escaped[1:]), ""]
