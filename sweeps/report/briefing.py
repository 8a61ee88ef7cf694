"""What an analyst asks first of a sweep, answered in Markdown on the parent run's page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sweeps.report.data import SweepData
from sweeps.report.findings.classes import worst_class
from sweeps.report.findings.front import standings
from sweeps.report.findings.pairs import leader_against
from sweeps.report.sections.reproduce import rerun_command


def render_briefing(data: SweepData) -> str:
    """Return whether the first is better than the second, the worst class, how to run it again."""
    lines = []
    seconds = [] if data.info.has_front else [row.slot for row in data.ranking[1:2]]
    for slot, lead in leader_against(data, seconds).items():
        verdict = "they can be told apart" if lead.is_told_apart else "they cannot be told apart"
        points = (100 * share for share in (lead.difference, lead.low, lead.high))
        told = "{:+.1f} points, 95 % interval {:+.1f} to {:+.1f}".format(*points)
        lines.append(
            f"- **Are #1 and #2 different?** On the same {lead.n} validation samples trial "
            f"{data.ranking[0].slot} leads trial {slot} by {told}: {verdict} (one training each; "
            "that the best of many was picked is not allowed for)."
        )
    lines += [f"- {line}" for line in _steps(data)]
    worst = worst_class(data)
    if worst is not None:
        share = f"{100 * worst.recall:.1f} % recognised{worst.remark}"
        whose = f"trial {data.ranking[0].slot}" if data.info.has_front else "the best trial"
        lines.append(f"- **Worst class** of {whose}: {worst.name}, {share}.")
    lines.append(f"- **Again**, with `space.json` from Artifacts: `{rerun_command(data)}`")
    return "\n".join(lines)


def _steps(data: SweepData) -> Iterator[str]:
    """Say of each step along a Pareto front whether it is one, as far as one training each can."""
    front = standings(data) if data.info.has_front else []
    for trial, following in pairwise(front):
        if trial.lead is not None:
            points = (
                100 * share for share in (trial.lead.difference, trial.lead.low, trial.lead.high)
            )
            told = "{:+.1f} points, 95 % interval {:+.1f} to {:+.1f}".format(*points)
            verdict = "they can" if trial.lead.is_told_apart else "they cannot"
            yield (
                f"**Trial {trial.row.slot} against {following.row.slot}**, the next on the front: "
                f"{told}: {verdict} be told apart."
            )
