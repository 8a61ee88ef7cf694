"""Importance of the parameters, and where their good values lie."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.distributions import CategoricalDistribution

from sweeps.analysis.data import SweepData
from sweeps.analysis.findings import domain_of, edges
from sweeps.analysis.importance import RELIABLE_FROM, Importance
from sweeps.analysis.rows import TrialRow
from sweeps.render.section import (
    Axis,
    Bars,
    Block,
    Chart,
    Dimension,
    Parallel,
    Points,
    Role,
    Section,
    Text,
)
from sweeps.render.sections.trials import trial_text
from sweeps.render.sections.verdict import narrower_search
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
    marks = [_bars(name, role, chosen, count) for name, role, chosen in groups if chosen]
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


def _bars(name: str, role: Role, chosen: Sequence[Importance], count: int) -> Bars:
    few = [f" (of {counted(o.trials, 'trial')})" if o.trials != count else "" for o in chosen]
    texts = [f"{o.name}: {o.value:.2f}, from {o.low:.2f} to {o.high:.2f}" for o in chosen]
    return Bars(
        name,
        [f"{one.name}{of}" for one, of in zip(chosen, few, strict=True)],
        [one.value for one in chosen],
        role,
        [min(one.low, one.value) for one in chosen],
        [max(one.high, one.value) for one in chosen],
        texts,
    )


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
    if _is_numeric(data, name):
        numbers = [None if value is None else float(value) for value in values]
        return Dimension(name, numbers, log=_is_log(data, name))
    labels = _choices(data, name)
    return Dimension(name, [None if v is None else format_value(v) for v in values], labels=labels)


def _slice(data: SweepData, name: str) -> Chart:
    rows = [row for row in data.ranking if name in row.params and row.trial in data.drawn]
    metric = data.summary.metric
    trials = [row.trial for row in rows]
    heights = [row.objective for row in rows]
    is_numeric = _is_numeric(data, name)
    x = [row.params[name] if is_numeric else format_value(row.params[name]) for row in rows]
    texts = [trial_text(row) for row in rows]
    mark = Points("", x, heights, "trial", texts, values=trials, values_title="trial")
    labels = None if is_numeric else _choices(data, name)
    is_tiny = is_numeric and min(float(value) for value in x if value is not None) < 1e-3
    axis = Axis(name, log=is_numeric and _is_log(data, name), labels=labels, is_tiny=is_tiny)
    return Chart(f"slice-{name}", name, [mark], axis, Axis(metric), "third")


def _is_numeric(data: SweepData, name: str) -> bool:
    """Whether a parameter takes numbers, and more than `_FEW` of them."""
    domain = domain_of(data, name)
    if isinstance(domain, CategoricalDistribution):
        return False
    return domain.log or (domain.high - domain.low) / (domain.step or 1e-9) > _FEW


def _choices(data: SweepData, name: str) -> tuple[str, ...]:
    """Return the values of a parameter as texts, in their order."""
    domain = domain_of(data, name)
    if isinstance(domain, CategoricalDistribution):
        return tuple(format_value(choice) for choice in domain.choices)
    values = {row.params[name] for row in data.ranking if name in row.params}
    return tuple(format_value(value) for value in sorted(values))  # type: ignore[type-var]


def _is_log(data: SweepData, name: str) -> bool:
    """Whether a parameter is sampled on a logarithmic scale."""
    return bool(getattr(domain_of(data, name), "log", False))
