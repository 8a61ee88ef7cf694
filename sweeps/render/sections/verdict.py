"""Who is ahead, by how much, how sure that is, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from search_spaces.loading import catalogue
from sweeps.analysis.classes import worst_class
from sweeps.analysis.data import SweepData
from sweeps.analysis.edges import edges, narrowed
from sweeps.analysis.importance import Importance
from sweeps.analysis.paired_differences import Difference, leader_against
from sweeps.analysis.summary import NOT_CONFIRMED
from sweeps.render.section import Block, Code, Fact, Facts, Section, Table, Text
from sweeps.render.verdict import difference_to, failure_line, progress_line, verdict_line
from sweeps.wording import format_metric, format_seconds, format_value

_RUNNERS_UP = 10


def verdict_section(data: SweepData, important: Sequence[Importance]) -> Section:
    """Return the first section."""
    summary, best = data.summary, data.summary.best
    blocks: list[Block] = [Text(verdict_line(summary), "lead"), Text(progress_line(summary))]
    if best is None:
        blocks.append(Text(failure_line(summary.failures, summary.first_error), "warning"))
        return Section("verdict", "Verdict", blocks)
    compared = leader_against(data, [row.slot for row in data.ranking[1 : 1 + _RUNNERS_UP]])
    blocks.append(Facts(_facts(data, compared)))
    blocks.append(
        Table(
            ["parameter of the best", "value"],
            [[name, format_value(value)] for name, value in best.params.items()],
            size="half",
        )
    )
    blocks += _certainty(data, compared)
    blocks += _next(data, important)
    return Section("verdict", "Verdict", blocks)


def _facts(data: SweepData, compared: dict[int, Difference]) -> list[Fact]:
    summary, best = data.summary, data.summary.best
    assert best is not None
    assert best.objective is not None
    facts = [
        Fact(summary.metric, format_metric(best.objective), f"trial {best.slot}, {NOT_CONFIRMED}")
    ]
    reference = summary.reference
    if reference is not None and reference.slot != best.slot:
        gain = difference_to(summary.metric, best, reference)
        facts.append(Fact(f"against {reference.baseline}", gain, "the best baseline"))
    if compared:
        close = sum(not difference.is_told_apart for difference in compared.values())
        detail = f"of the next {len(compared)} cannot be told from the best"
        facts.append(Fact("as good, perhaps", str(close), detail))
    worst = worst_class(data)
    if worst is not None:
        detail = f"{100 * worst.recall:.1f} % recognised{worst.remark}"
        facts.append(Fact("worst class", worst.name, detail))
    facts.append(Fact("trials", f"{summary.done}", f"in {format_seconds(data.seconds)}"))
    return facts


def _certainty(data: SweepData, compared: dict[int, Difference]) -> list[Block]:
    if not compared:
        text = "Each trial was trained once: how much of its lead is luck is not known."
        return [Text(text, "note")]
    place = {row.slot: number for number, row in enumerate(data.ranking, 1)}
    metric, rows = data.summary.metric, {row.slot: row for row in data.rows}
    cells = []
    for slot, difference in compared.items():
        objective = rows[slot].objective
        assert objective is not None
        cells.append(
            [
                f"#{place[slot]}",
                str(slot),
                format_metric(objective),
                f"{100 * difference.difference:+.1f} points",
                f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
                f"{difference.only_first} : {difference.only_second}",
                "the best is better" if difference.is_told_apart else "cannot be told apart",
            ]
        )
    n = next(iter(compared.values())).n
    columns = ["place", "trial", metric, "#1 leads by", "95 % interval", "right alone", "so"]
    title = f"Are #1 and the others different? The same {n} validation samples, one by one"
    note = (
        "Intervals of accuracy for other samples of the same kind (Agresti & Min 2005), one "
        "training each. The best of many trials is partly the luckiest, which they do not allow "
        "for: only a confirmation on fresh data can."
    )
    return [Table(columns, cells, title=title), Text(note, "note")]


def _next(data: SweepData, important: Sequence[Importance]) -> list[Block]:
    """Propose how to go on: beyond edges that the best touch, and into where they lie."""
    blocks: list[Block] = [Text(edge.sentence(), "warning") for edge in edges(data)]
    name = shlex.quote(data.info.name)
    commands = []
    narrower = narrowed(data, [one.name for one in important if one.stands_out])
    if narrower:
        space = _space_argument(data)
        options = " ".join(f"--set {shlex.quote(option)}" for option in narrower)
        commands.append(f"sweeps run {space} --name {name}-narrow {options}   # where the best lie")
        commands.append(f"sweeps try {name}-narrow --from {name} --top 5   # which are tried first")
    if exported := data.exported(data.ranking[0].slot):
        commands.append(f"sweeps export {name} model   # the best: {exported}")
    commands.append(f"sweeps ui {name}   # its runs in MLflow")
    return [*blocks, Code("\n".join(commands), "What to do next")]


def _space_argument(data: SweepData) -> str:
    name = str(data.info.space.get("name", ""))
    return name if data.info.directory is None and name in catalogue() else "space.json"
