"""Which trials failed and why, and where the time went."""

from __future__ import annotations

from sweeps.analysis.data import SweepData
from sweeps.render.charts.chart import Axis, Bars, Chart
from sweeps.render.section import Block, Section, Table, Text
from sweeps.render.verdict import retry_line
from sweeps.wording import first_line, format_params, format_seconds

_TIMES = {
    "training": "training, summed over workers",
    "idle": "workers without work",
    "warm_up": "until the first worker was ready",
    "proposals": "proposing trials",
    "records": "writing records",
    "study": "writing the study",
}


def trouble_section(data: SweepData) -> Section:
    """Return failures by reason, each failed trial with its cause, and the split of the time."""
    summary = data.summary
    blocks: list[Block] = []
    if summary.failures:
        names, counts = list(summary.failures), list(summary.failures.values())
        axis = Axis("trials", whole=True)
        marks = [
            Bars(
                "", names, counts, "failed", text=[f"{n}: {c}" for n, c in summary.failures.items()]
            )
        ]
        blocks.append(Chart("failures", "Failed trials by reason", marks, axis))
        rows = [
            [str(r.slot), r.reason, first_line(r.error or ""), format_params(r.params)]
            for r in data.rows
            if r.state == "FAILED"
        ]
        blocks.append(Table(["trial", "reason", "message", "parameters"], rows))
    else:
        blocks.append(Text("No trial failed."))
    if summary.retried:
        blocks.append(Text(f"{retry_line(summary.retried)}."))
    pruned = summary.counts["PRUNED"]
    if pruned:
        blocks.append(
            Text(f"{pruned} trial{'s were' if pruned > 1 else ' was'} pruned: ended early.")
        )
    split = {k: v for k, v in summary.time_split.items() if v >= 0.05}
    if split:
        texts = [f"{_TIMES.get(k, k)}: {format_seconds(v)}" for k, v in split.items()]
        marks = [Bars("", list(split), list(split.values()), "trial", text=texts)]
        note = f"Of the last start of the sweep, which took {format_seconds(summary.seconds)}."
        blocks.append(Chart("time", "Where the time went", marks, Axis("seconds"), note=note))
    return Section("trouble", "Failures and time", blocks)
