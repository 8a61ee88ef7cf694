"""Importance of the parameters, and where their good values lie."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from optuna.distributions import CategoricalDistribution

from search_spaces.loading import catalogue
from sweeps.analysis.data import SweepData
from sweeps.analysis.findings import domain_of, edges, narrowed
from sweeps.analysis.importance import RELIABLE_FROM, Importance
from sweeps.analysis.rows import TrialRow
from sweeps.render.section import (
    Axis,
    Bars,
    Block,
    Chart,
    Code,
    Dimension,
    Parallel,
    Points,
    Role,
    Section,
    Text,
)
from sweeps.render.sections.trials import trial_text
from sweeps.wording import counted, format_value

_MOST_SLICES = 12
_MOST_DIMENSIONS = 10
_FEW = 8


def importance_section(
    data: SweepData, important: Sequence[Sequence[Importance]]
) -> Section | None:
    """Return the section on importances; None if there are too few trials.

    Args:
        data: The sweep.
        important: The importances for each objective.
    """
    if not important[0]:
        return None
    count = len(data.ranking)
    blocks: list[Block] = []
    if count < RELIABLE_FROM:
        text = (
            f"Unreliable: {counted(count, 'complete trial')}; importances settle with "
            f"{RELIABLE_FROM} or more."
        )
        blocks.append(Text(text, "warning"))
    for objective, found in zip(data.info.objectives, important, strict=True):
        blocks.append(_importance_chart(data, found, objective.metric))
    return Section("importances", "Which parameters matter", blocks)


def _importance_chart(data: SweepData, important: Sequence[Importance], metric: str) -> Chart:
    rest = [one for one in important if not one.stands_out]
    groups: list[tuple[str, Role, Sequence[Importance]]] = [
        ("stands out from noise", "best", [one for one in important if one.stands_out]),
        ("may be noise", "trial", [one for one in rest if not one.is_reference]),
        ("noise", "reference", [one for one in rest if one.is_reference]),
    ]
    count = len(data.ranking)
    marks = []
    for name, role, chosen in groups:
        few = [f" (of {counted(o.trials, 'trial')})" if o.trials != count else "" for o in chosen]
        bars = Bars(
            name,
            [f"{one.name}{of}" for one, of in zip(chosen, few, strict=True)],
            [one.value for one in chosen],
            role,
            [min(one.low, one.value) for one in chosen],
            [max(one.high, one.value) for one in chosen],
            [f"{o.name}: {o.value:.2f}, from {o.low:.2f} to {o.high:.2f}" for o in chosen],
        )
        marks += [bars] if chosen else []
    note = (
        "Share of what separates the best tenth of the trials from the rest (PED-ANOVA, Watanabe "
        "et al. 2023). Lines are 95 % intervals over resampled trials. Noise is a parameter of "
        "random values: what does not lie above it with its whole line may matter as little."
    )
    axis = Axis("share of importance")
    if not data.info.has_front:
        return Chart("importances", "Importance", marks, axis, Axis(), "wide", note)
    title = f"Importance for {metric}"
    return Chart(f"importances-{metric}", title, marks, axis, Axis(), "half", note)


def parameters_section(data: SweepData, important: Sequence[Importance]) -> Section | None:
    """Return parallel coordinates over all varied parameters, a slice through each, next steps."""
    if len(data.ranking) < 2 or not data.varied:
        return None
    known = [one.name for one in important if not one.is_reference]
    drawn = [row for row in data.ranking if row.trial in data.drawn]
    varied = [name for name in data.varied if any(name in row.params for row in drawn)]
    names = [*known, *(name for name in varied if name not in known)]
    blocks: list[Block] = [_parallel(data, varied[:_MOST_DIMENSIONS])]
    if not data.info.has_front:
        blocks += [Text(edge.sentence(), "warning") for edge in edges(data)]
        blocks += narrower_search(data, important)
    blocks += [_slice(data, name) for name in names[:_MOST_SLICES] if name in varied]
    return Section("parameters", "Where the good values lie", blocks)


def _parallel(data: SweepData, names: Sequence[str]) -> Chart:
    ranked = [row for row in data.ranking if row.trial in data.drawn]
    rows = ranked[::-1]  # the best last, on top
    metric = data.summary.metric
    dimensions = [_dimension(data, name, rows) for name in names]
    objectives = [row.objective or 0.0 for row in rows]
    for other in reversed(data.info.objectives[1:]):
        dimensions.append(Dimension(other.metric, [row.metrics[other.metric] for row in rows]))
    dimensions.append(Dimension(metric, objectives))
    note = f"A line a complete trial; the lighter, the better its {metric}." + data.not_all_drawn
    texts = [trial_text(row) for row in rows]
    marks = [Parallel(dimensions, objectives, metric, texts, not data.is_higher_better)]
    return Chart("parallel", "All parameters together", marks, size="wide", note=note)


def _dimension(data: SweepData, name: str, rows: Sequence[TrialRow]) -> Dimension:
    values = [row.params.get(name) for row in rows]
    labels, is_log = _scale(data, name)
    if labels is None:
        numbers = [None if value is None else float(value) for value in values]
        return Dimension(name, numbers, log=is_log)
    return Dimension(name, [None if v is None else format_value(v) for v in values], labels=labels)


def _slice(data: SweepData, name: str) -> Chart:
    rows = [row for row in data.ranking if name in row.params and row.trial in data.drawn]
    labels, is_log = _scale(data, name)
    values = [row.params[name] for row in rows]
    x = values if labels is None else [format_value(value) for value in values]
    is_tiny = labels is None and min(float(v) for v in values if v is not None) < 1e-3
    mark = Points(
        "", x, [row.objective for row in rows], "trial", [trial_text(row) for row in rows],
        values=[row.trial for row in rows], values_title="trial",
    )  # fmt: skip
    axis = Axis(name, log=is_log, labels=labels, is_tiny=is_tiny)
    return Chart(f"slice-{name}", name, [mark], axis, Axis(data.summary.metric), "third")


def _scale(data: SweepData, name: str) -> tuple[tuple[str, ...] | None, bool]:
    """Return a place for each value of a parameter, or None; and whether it is logarithmic."""
    domain = domain_of(data, name)
    if isinstance(domain, CategoricalDistribution):
        return tuple(format_value(choice) for choice in domain.choices), False
    if domain.log or (domain.high - domain.low) / (domain.step or 1e-9) > _FEW:
        return None, bool(domain.log)
    known = {row.params[name] for row in data.ranking if name in row.params}
    return tuple(format_value(value) for value in sorted(known)), False  # type: ignore[type-var]


def narrower_search(data: SweepData, important: Sequence[Importance]) -> list[Code]:
    """Return the commands of a sweep where the best lie; none if that is everywhere, or unsure."""
    narrower = narrowed(data, [one.name for one in important if one.stands_out])
    if not narrower or len(data.ranking) < RELIABLE_FROM / 2:
        return []
    name, space = shlex.quote(data.info.name), str(data.info.space.get("name", ""))
    is_shipped = data.info.directory is None and space in catalogue()
    options = " ".join(f"--set {shlex.quote(option)}" for option in narrower)
    commands = (
        f"sweeps run {space if is_shipped else 'space.json'} --name {name}-narrow {options}",
        f"sweeps enqueue {name}-narrow --from {name} --top 5   # which are tried first",
    )
    return [Code("\n".join(commands), "To search on where the best lie")]
