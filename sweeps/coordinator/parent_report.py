"""The report of a sweep that has ended, among the files of its parent run."""

from __future__ import annotations

from typing import Final

from sweeps.coordinator.champion import LoadExperiment
from sweeps.records import Ending, RecordStore, SweepInfo
from sweeps.report.charts.chart import Chart
from sweeps.report.data import LoadedSamples, SweepData

FEWEST_TRIALS: Final = 15
"""With fewer complete trials a report says little, and would take longer than a quick look does."""


def read_whole(store: RecordStore, info: SweepInfo, load: LoadExperiment) -> SweepData:
    """Return a sweep with the samples it was scored on, if they can be had."""
    return SweepData.read(info, store, _samples(info, load))


def report_files(data: SweepData, ending: Ending) -> dict[str, bytes]:
    """Return the report and its charts as PNGs, by name; none if the sweep goes on later.

    A function of records and ending alone, so that writing it again changes nothing.
    """
    from sweeps.report.reporting import draw_charts, render_report
    from sweeps.report.sections import report_sections

    if ending.status != "FINISHED" or len(data.ranking) < FEWEST_TRIALS:
        return {}
    sections = report_sections(data)
    charts = draw_charts(sections, _is_plot)
    page = render_report(data, sections).encode()
    return {"report.html": page, **{f"plots/{name}": png for name, png in charts.items()}}


def _is_plot(chart: Chart) -> bool:
    """Whether a chart is worth a picture of its own: slices are in the page."""
    return chart.size != "third"


def _samples(info: SweepInfo, load: LoadExperiment) -> LoadedSamples | None:
    from sweeps.report.reading import load_samples

    try:
        experiment = load()
        return None if experiment is None else load_samples(experiment, info)
    except Exception:  # whatever it is, it has trained: a report without pictures is one, too
        return None
