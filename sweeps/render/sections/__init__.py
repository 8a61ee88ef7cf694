"""The sections of a report: each a function from `SweepData` to a `Section`, or None."""

from __future__ import annotations

from sweeps.analysis.data import SweepData
from sweeps.render.section import Section
from sweeps.render.sections.classes import confusion_section, mistakes_section
from sweeps.render.sections.confirmed import conclusion_section
from sweeps.render.sections.parameters import importance_section, parameters_section
from sweeps.render.sections.reproduce import reproduce_section
from sweeps.render.sections.trials import (
    curves_section,
    history_section,
    trials_section,
    trouble_section,
)
from sweeps.render.sections.verdict import pareto_section, verdict_section


def report_sections(data: SweepData) -> list[Section]:
    """Return the sections of a sweep's report that are not empty.

    The conclusions come first, then the verdict of the search.
    """
    by_objective = [view.importances for view in data.by_objective]
    important = by_objective[0]
    made = [
        *map(conclusion_section, data.conclusions),
        pareto_section(data) if data.info.has_front else verdict_section(data, important),
        history_section(data),
        importance_section(data, by_objective),
        parameters_section(data, important),
        curves_section(data),
        confusion_section(data),
        mistakes_section(data),
        trials_section(data),
        trouble_section(data),
        reproduce_section(data),
    ]
    return [section for section in made if section is not None and section.blocks]
