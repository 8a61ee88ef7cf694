"""The report of a sweep that has ended, among the files of its parent run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from sweeps.abilities import Samples
from sweeps.errors import UntrustedError
from sweeps.prepared_again import PreparedAgain
from sweeps.records import Ending, Record, RecordStore, SweepInfo
from sweeps.report.charts.chart import Chart
from sweeps.report.data import LoadedSamples, SweepData

FEWEST_TRIALS: Final = 15
"""With fewer complete trials a report says little, and would take longer than a quick look does."""


def read_whole(
    store: RecordStore, info: SweepInfo, again: PreparedAgain, records: Sequence[Record]
) -> tuple[SweepData, Exception | None]:
    """Return a sweep with the samples it was scored on, or without and why they cannot be had."""
    data = SweepData.read(info, store, records=records)
    try:
        return dataclasses.replace(data, samples=_samples(data.records, again)), None
    except UntrustedError:
        return data, None
    except Exception as error:  # whatever it is (data that are gone): the rest is written first
        return data, error


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


def _samples(records: Sequence[Record], again: PreparedAgain) -> LoadedSamples | None:
    experiment = again.load()
    if not isinstance(experiment, Samples) or not records:
        return None
    data = again.of(records[0])
    return LoadedSamples(experiment, data, np.asarray(experiment.validation_labels(data), np.int64))
