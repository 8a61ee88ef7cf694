"""The verdict of a search: the leader, its lead, its certainty, next steps; or the Pareto front."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from search_spaces.objectives import Objective, in_words
from sweeps.analysis.data import SweepData
from sweeps.analysis.findings import (
    AccuracyDifference,
    OnFront,
    axis_of,
    leader_against,
    standings,
    worst_class,
    worth,
)
from sweeps.analysis.rows import TrialRow
from sweeps.analysis.summary import Summary
from sweeps.records.conclusions import (
    Conclusion,
    VerdictConclusion,
    confirmed_by,
    newest,
)
from sweeps.render.answer import answer as answer_of
from sweeps.render.answer import on_test_set
from sweeps.render.section import (
    Axis,
    Block,
    Chart,
    Code,
    Fact,
    Facts,
    Folded,
    Line,
    Mark,
    Number,
    Points,
    Role,
    Section,
    Table,
    Text,
)
from sweeps.render.sections.confirmed import forest_chart, put_in_words
from sweeps.render.sections.trials import trial_text
from sweeps.render.verdict import (
    failure_line,
    lead_of,
    lead_over_baseline,
    progress_line,
    values_line,
    verdict_line,
)
from sweeps.wording import (
    counted,
    decimals,
    figure,
    format_ends,
    format_metric,
    format_seconds,
    format_value,
    fresh_name,
    gain,
    lead_in_words,
    percent,
    span,
    unsigned_span,
)

_WIDE: Final = 20.0
"""Ratio of the greatest to the smallest value above which an axis is logarithmic."""
_SHORT: Final = 1000.0
"""Ratio below which numbers between the powers of ten have room on such an axis."""
_MOST_PARAMETERS: Final = 8


def pareto_section(data: SweepData) -> Section:
    """Return the first section of a sweep with several objectives."""
    summary = data.summary
    blocks: list[Block] = [Text(verdict_line(summary), "lead"), Text(progress_line(summary))]
    front = standings(data)
    if not front:
        blocks.append(Text(failure_line(summary.failures, summary.first_error), "warning"))
        return Section("verdict", "Pareto front", blocks)
    blocks += [Facts(_front_facts(data, front)), _next_steps(data, front)]
    along = axis_of(summary.objectives)
    others = [place for place in range(len(summary.objectives)) if place != along]
    blocks += [_chart(data, front, along, other) for other in others]
    title = f"The {len(front)} trials on the front, by {summary.objectives[along].metric}"
    title = title if len(front) > 1 else "The trial on the front"
    blocks.append(Folded(title, [_table(data, front), Text(_front_note(data, front), "note")]))
    clocked = [one.metric for one in summary.objectives if one.is_measured_by_clock]
    if clocked:
        text = (
            f"{' and '.join(clocked)}: measured once a trial by a clock. It differs from run to "
            "run, with what else the machine does; so the same seed may give other trials."
        )
        blocks.append(Text(text, "warning"))
    return Section("verdict", "Pareto front", blocks)


def _front_facts(data: SweepData, front: Sequence[OnFront]) -> list[Fact]:
    facts = []
    objectives = data.info.objectives
    for place, objective in enumerate(objectives):
        gains = [objective.gain(trial.values[place]) for trial in front]
        end = front[gains.index(max(gains))]
        others = ", ".join(
            f"{other.metric} {format_metric(value)}"
            for other, value in zip(objectives, end.values, strict=True)
            if other is not objective
        )
        word = "highest" if objective.direction == "maximize" else "lowest"
        value = format_metric(end.values[place])
        facts.append(Fact(f"{word} {objective.metric}", value, f"trial {end.row.trial}: {others}"))
    return [*facts, _trials(data)]


def _trials(data: SweepData) -> Fact:
    seconds = format_seconds(data.seconds)
    return Fact("trials", str(data.summary.done), f"in {seconds} of training")


def _chart(data: SweepData, front: Sequence[OnFront], along: int, other: int) -> Chart:
    objectives = data.info.objectives
    first, second = objectives[along], objectives[other]
    trials = {trial.row.trial for trial in front}
    behind = [row for row in data.ranking if row.trial not in trials]
    sampled, places = [row for row in behind if row.baseline is None], (other, along)
    marks: list[Mark] = [
        _points(data, "behind the front", sampled, places, "trial"),
        _points(data, "baselines", [r for r in behind if r.baseline], places, "baseline"),
    ]
    note = f"A dot a complete trial: {in_words(objectives)}. "
    if len(objectives) == 2:
        marks.append(_stairs(front, along, second))
        note += "Whatever lies behind the line is beaten by a trial on it. "
    else:
        note += "A trial of the front may look beaten here: it is better in another objective. "
    ends = [i.ends if (i := t.intervals[along]) else (t.values[along],) * 2 for t in front]
    has_intervals = any(trial.intervals[along] for trial in front)
    if has_intervals:
        note += f"Lines through dots are 95 % intervals of {first.metric} for other samples."
    marks.append(
        Points(
            "on the front",
            [trial.values[other] for trial in front],
            [trial.values[along] for trial in front],
            "best",
            [trial_text(trial.row, worth(trial, objectives)) for trial in front],
            low=[low for low, _ in ends] if has_intervals else None,
            high=[high for _, high in ends] if has_intervals else None,
            is_diamond=True,
        )
    )
    shown = [mark for mark in marks if not isinstance(mark, Points) or mark.x]
    name = "pareto" if len(objectives) == 2 else f"pareto-{second.metric}"
    title = f"{first.metric} against {second.metric}"
    return Chart(name, title, shown, _axis(data, other), _axis(data, along), "wide", note.strip())


def _points(
    data: SweepData, name: str, rows: Sequence[TrialRow], places: tuple[int, int], role: Role
) -> Points:
    objectives, (other, along) = data.info.objectives, places
    values = [row.values(objectives) or () for row in rows]
    texts = [trial_text(row, values_line(row, objectives)) for row in rows]
    return Points(
        name, [found[other] for found in values], [found[along] for found in values], role, texts
    )


def _stairs(front: Sequence[OnFront], along: int, second: Objective) -> Line:
    """Return the border of the values reached: between two trials it takes the worse of both."""
    ends = sorted((trial.values[1 - along], trial.values[along]) for trial in front)
    x: list[Number] = [ends[0][0]]
    y: list[Number] = [ends[0][1]]
    for before, after in pairwise(ends):
        is_less_better = second.direction == "minimize"
        x += [after[0] if is_less_better else before[0], after[0]]
        y += [before[1] if is_less_better else after[1], after[1]]
    return Line("", x, y, "best")


def _axis(data: SweepData, place: int) -> Axis:
    objective = data.info.objectives[place]
    values = [worth[place] for row in data.ranking if (worth := row.values(data.info.objectives))]
    is_log = min(values) > 0 and max(values) > _WIDE * min(values)
    is_tiny = is_log and min(values) < 1e-3
    is_short = is_log and max(values) < _SHORT * min(values)
    return Axis(objective.metric, log=is_log, is_tiny=is_tiny, is_short=is_short)


def _table(data: SweepData, front: Sequence[OnFront]) -> Table:
    objectives = data.info.objectives
    has_interval = [any(t.intervals[place] for t in front) for place in range(len(objectives))]
    columns = ["trial"]
    for objective, has in zip(objectives, has_interval, strict=True):
        columns += [objective.metric, *(["95 % interval"] if has else [])]
    names = data.varied[:_MOST_PARAMETERS]
    has_baseline = any(trial.row.baseline for trial in front)
    rows = []
    for trial in front:
        cells = [str(trial.row.trial)]
        for value, interval, has in zip(trial.values, trial.intervals, has_interval, strict=True):
            cells.append(format_metric(value))
            cells += [format_ends(interval) if interval else ""] if has else []
        params = trial.row.params
        cells += [format_value(params[name]) if name in params else "" for name in names]
        cells += [trial.row.origin] if has_baseline else []
        rows.append(cells)
    return Table([*columns, *names, *(["origin"] if has_baseline else [])], rows)


def _front_note(data: SweepData, front: Sequence[OnFront]) -> str:
    objectives = data.info.objectives
    exact = [
        one.metric
        for place, one in enumerate(objectives)
        if not any(trial.intervals[place] for trial in front)
    ]
    text = "No other trial is as good in every objective and better in one. "
    if len(exact) < len(objectives):
        text += (
            "Intervals are for other samples of the same kind (Wilson 1927), one training each; "
            "that many trials were tried, and these picked, they do not allow for. "
        )
    if exact:
        text += f"{', '.join(exact)}: as observed, without an interval."
    return text.strip()


def _next_steps(data: SweepData, front: Sequence[OnFront]) -> Code:
    name, commands = shlex.quote(data.info.name), {}
    first, *others = (trial.row.trial for trial in front)
    for second in others[:1]:
        commands[f"sweeps compare {name}:{first} {name}:{second}"] = "what two of them differ in"
    if exported := data.exported(first):
        commands[f"sweeps export {name} model --trial {first}"] = f"one of them: {exported}"
    commands[f"sweeps ui {name}"] = "the runs in MLflow, with a chart of the objectives"
    return _commands(commands)


_RUNNERS_UP = 10


def answer(summary: Summary, conclusions: Sequence[Conclusion]) -> list[str]:
    """Return who won and by how much, in sentences, the most important one first."""
    if (verdict := newest(conclusions, VerdictConclusion)) is not None:
        lines = answer_of(conclusions)  # parameters have a table of their own
        if summary.done > verdict.trials:
            later = counted(summary.done - verdict.trials, "trial")
            lines.append(f"Confirmed when there were {verdict.trials} trials: {later} came later.")
        return lines
    if conclusions:
        return [put_in_words(conclusions[0]).lead]
    best, reference, metric = summary.best, summary.reference, summary.metric
    if best is None or best.objective is None:
        return [verdict_line(summary)]
    said = "there is no baseline to compare with"
    if reference is not None and reference.trial == best.trial:
        said = f"it is the baseline {best.baseline}, and no other trial scored better"
    elif reference is not None:
        said = lead_over_baseline(summary, best, reference)
    return [
        f"Trial {best.trial} leads {summary.scored_on}: {metric} "
        f"{format_metric(best.objective)}, {said}.",
        f"Not confirmed: the best of {counted(summary.counts['COMPLETE'], 'trial')} is partly the "
        "luckiest.",
    ]


def verdict_section(data: SweepData) -> Section:
    """Return the first section of a sweep with one objective: who won, by how much, what next."""
    summary, chosen, verdict = data.summary, data.chosen, data.verdict
    is_of_folds = confirmed_by(data.info.directory) is not None
    lead, *more = [_OF_FOLDS] if is_of_folds else answer(summary, data.conclusions)
    blocks: list[Block] = [Text(lead, "lead")]
    if more:
        blocks.append(Text(" ".join(more)))
    if chosen is None:
        blocks.append(Text(failure_line(summary.failures, summary.first_error), "warning"))
        return Section("verdict", "The answer", [*blocks, Text(progress_line(summary))])
    facts = _search_facts(data) if verdict is None else fold_facts(verdict, data.conclusions)
    if (worst := worst_class(data)) is not None:
        detail = f"{percent(worst.recall)} recognised {summary.scored_on}{worst.remark}"
        facts.append(Fact("worst class", worst.shown, detail))
    blocks += [Facts([*facts, _trials(data)]), _next(data)]
    if verdict is not None:
        words = put_in_words(verdict)
        lines = [*map(Text, words.lines), Text(words.note, "note")]
        table = Table(words.columns, words.rows)
        blocks += [forest_chart(verdict), Folded("The finalists in figures", [table, *lines])]
    blocks.append(Text(f"{progress_line(summary)}.", "note"))
    return Section("verdict", "The answer", blocks)


_OF_FOLDS = (
    "These are trainings of a confirmation, fold by fold: what they say of its finalists stands in "
    "the report of the sweep that it confirms."
)


def search_tables(data: SweepData) -> list[Block]:
    """Return what is folded below the history: the chosen parameters, the leader and the next."""
    if data.chosen is None or data.info.has_front:
        return []
    pairs = [[name, format_value(value)] for name, value in data.chosen.params.items()]
    parameters = Table(["parameter", "value"], pairs)
    folded = Folded(f"The parameters of trial {data.chosen.trial}", [parameters])
    return [folded, *_certainty(data, _compared(data))]


def _compared(data: SweepData) -> dict[int, AccuracyDifference]:
    return leader_against(data, [row.trial for row in data.ranking[1 : 1 + _RUNNERS_UP]])


def fold_facts(verdict: VerdictConclusion, conclusions: Sequence[Conclusion]) -> list[Fact]:
    """Return the figure to quote and the leads over baselines, each with its measurement."""
    leader, taken, own = verdict.standings[0], verdict.taken, verdict.kept
    score, on = verdict.figure, "fresh folds"
    if (tested := on_test_set(verdict, conclusions)) is not None:
        score, on = tested[0], "the test set"
    detail = f"{own.finalist} on {on}, {unsigned_span(score)}"
    quoted = figure(score.value, score.unit, 2 if score.unit == "share" else decimals(score))
    facts = [Fact(f"{fresh_name(verdict.metric)} to quote", quoted, detail)]
    for one in verdict.standings:
        ahead = one.leader_ahead_by
        if ahead is not None and one.is_baseline:
            whose = "" if leader is taken else f"{leader.finalist}, "
            detail = f"{whose}on fresh folds, 95 % interval {span(ahead, ' to ')}"
            facts.append(Fact(f"against {one.finalist}", lead_in_words(ahead), detail))
    return facts


def _search_facts(data: SweepData) -> list[Fact]:
    summary, best = data.summary, data.summary.best
    assert best is not None
    assert best.objective is not None
    detail = f"trial {best.trial}, {summary.scored_on}"
    facts = [Fact(summary.metric, format_metric(best.objective), detail)]
    reference = summary.reference
    if reference is not None and reference.trial != best.trial:
        ahead = lead_of(summary, best, reference)
        facts.append(
            Fact(f"against {reference.baseline}", ahead, f"the best baseline, {summary.scored_on}")
        )
    if compared := _compared(data):
        close = sum(not difference.is_told_apart for difference in compared.values())
        detail = f"of the next {len(compared)} cannot be told from it"
        facts.append(Fact("as good, perhaps", str(close), detail))
    return facts


def _certainty(data: SweepData, compared: dict[int, AccuracyDifference]) -> list[Block]:
    if not compared:
        text = "Each trial was trained once: how much of its lead is chance is not known."
        return [] if data.verdict else [Text(text, "note")]
    place = {row.trial: number for number, row in enumerate(data.ranking, 1)}
    metric, rows = data.summary.metric, {row.trial: row for row in data.rows}
    cells = []
    for trial, difference in compared.items():
        objective = rows[trial].objective
        assert objective is not None
        so = "cannot be told apart"
        if difference.is_told_apart:
            so = "#1 leads" if difference.value > 0 else "#1 is behind"
        cells.append(
            [
                f"#{place[trial]}",
                str(trial),
                format_metric(objective),
                gain(difference, digits=1),
                span(difference, " to ", digits=1),
                f"{difference.only_first} : {difference.only_second}",
                so,
            ]
        )
    n = next(iter(compared.values())).n
    columns = ["place", "trial", metric, "#1 leads by", "95 % interval", "right alone", "so"]
    title = f"In the search: are #1, trial {data.ranking[0].trial}, and the next different?"
    note = (
        f"The same {n} validation samples, one by one. Intervals of accuracy for other samples of "
        "the same kind (Agresti & Min 2005), one training each. The best of many trials is partly "
        "the luckiest, which they do not allow for: only a confirmation on fresh data can."
    )
    return [Folded(title, [Table(columns, cells), Text(note, "note")])]


def _next(data: SweepData) -> Code:
    """Propose to confirm, or to go on confirming; else to take the model away."""
    name, verdict = shlex.quote(data.info.name), data.verdict
    commands = {}
    assert data.chosen is not None
    is_of_folds = confirmed_by(data.info.directory) is not None
    if data.summary.has_folds and not (data.conclusions or is_of_folds):
        commands[f"sweeps confirm {name}"] = "is it better? asks fresh samples"
    if not is_of_folds and (exported := data.exported(data.chosen.trial)):
        commands[f"sweeps export {name} model"] = f"the model to take: {exported}"
    if verdict is not None:
        folds = [one.folds_needed for one in verdict.standings if one.folds_needed]
        if folds:
            more = f"sweeps confirm {name} --folds {min(folds)}"
            commands[more] = "may tell one more of them apart"
    return _commands({**commands, f"sweeps ui {name}": "its runs in MLflow"})


def _commands(hints: Mapping[str, str]) -> Code:
    """Return commands with comments that begin one below the other."""
    width = max(map(len, hints))
    lines = (f"{command:{width}}   # {hint}" for command, hint in hints.items())
    return Code("\n".join(lines), "What to do next")
