"""The sections of a report: each a function from `SweepData` to a `Section`, or None."""

from __future__ import annotations

from datetime import UTC, datetime

from search_spaces.objectives import in_words
from sweeps.analysis.data import SweepData
from sweeps.records.conclusions import VerdictConclusion
from sweeps.render.page import render_page
from sweeps.render.section import Section
from sweeps.render.sections.classes import confusion_section, mistakes_section
from sweeps.render.sections.confirmed import page_section
from sweeps.render.sections.parameters import importance_section, parameters_section
from sweeps.render.sections.reproduce import reproduce_section
from sweeps.render.sections.trials import curves_section, history_section, trouble_section
from sweeps.render.sections.verdict import pareto_section, search_tables, verdict_section


def report_sections(data: SweepData) -> list[Section]:
    """Return the sections of a sweep's report that are not empty.

    The answer comes first, then pictures, then what else was concluded.
    """
    by_objective = [view.importances for view in data.by_objective]
    important = by_objective[0]
    further = [one for one in data.conclusions if not isinstance(one, VerdictConclusion)]
    made = [
        pareto_section(data) if data.info.has_front else verdict_section(data),
        history_section(data, search_tables(data)),
        curves_section(data),
        confusion_section(data),
        mistakes_section(data),
        importance_section(data, by_objective),
        parameters_section(data, important),
        *map(page_section, further),
        trouble_section(data),
        reproduce_section(data),
    ]
    return [section for section in made if section is not None and section.blocks]


def render_report(data: SweepData) -> str:
    """Return the report of a sweep as one HTML page."""
    info = data.info
    made = datetime.fromtimestamp(info.created_at / 1000, tz=UTC)
    goal, begun = in_words(info.objectives), f"begun {made:%Y-%m-%d %H:%M} UTC"
    # An experiment of somebody's own may have given its name to its data, too.
    parts = dict.fromkeys([info.experiment_name, info.data.get("name", ""), goal, begun])
    subtitle = " · ".join(str(part) for part in parts if part)
    return render_page(f"Sweep {info.name}", subtitle, report_sections(data))
