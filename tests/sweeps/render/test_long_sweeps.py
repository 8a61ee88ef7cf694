"""Of a long sweep a report shows a part, and says so."""

from __future__ import annotations

import pytest

from sweeps.analysis import data as analysis
from sweeps.analysis.data import SweepData
from sweeps.render.section import Folded, Line, Points, Table, Text
from sweeps.render.sections import parameters, trials


@pytest.fixture
def read(finished_toy):
    def read():
        sweep = finished_toy(trials=12)
        return SweepData.read(sweep.info, sweep.home.store(sweep.info.id))

    return read


def texts_of(chart):
    """Return how many trials are drawn in a chart, by the texts of its marks."""
    points = [mark for mark in chart.marks if isinstance(mark, Points)]
    return sum(len(mark.x) for mark in points)


def test_all_trials_of_a_short_one_are_shown_without_a_word(read):
    data = read()
    assert data.drawn == set(range(12))
    assert data.not_all_drawn == ""
    section = trials.history_section(data)
    assert texts_of(section.blocks[0]) == 12
    assert section.blocks[-1].title == "All trials"


def test_of_a_long_one_the_best_the_baseline_and_others_are_shown(read, monkeypatch):
    monkeypatch.setattr(analysis, "MOST_DRAWN", 5)
    data = read()
    assert len(data.drawn) == 5
    best = max(data.rows, key=lambda row: row.objective).trial
    assert {0, best} <= data.drawn
    said = "Shown are 5 of 12 trials: the best, and others evenly chosen by number."
    section = trials.history_section(data)
    chart, folded = section.blocks[0], section.blocks[-1]
    assert texts_of(chart) == 5
    assert said in chart.note
    (line,) = (
        mark for mark in chart.marks if isinstance(mark, Line) and mark.name == "best so far"
    )
    assert len(line.x) == 13  # of all trials, and to the last one
    assert isinstance(folded, Folded)
    text, table = folded.blocks
    assert isinstance(text, Text)
    assert isinstance(table, Table)
    assert text.text.startswith(said)
    assert "`sweeps trials toy --csv FILE` writes all of them" in text.text
    assert len(table.rows) == 5
    for block in parameters.parameters_section(data, []).blocks:
        if getattr(block, "id", "").startswith("slice-x"):
            assert texts_of(block) == 5
    (fan, *_) = trials.curves_section(data).blocks
    assert said in fan.note
