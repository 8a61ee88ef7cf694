"""The report of a sweep with two objectives: a front with intervals where others have a verdict."""

from __future__ import annotations

import dataclasses
import re

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.analysis.data import read_sweep
from sweeps.cli import app
from sweeps.render.section import Facts, Folded, Line, Points, Text
from sweeps.render.sections import render_report, report_sections
from sweeps.wording import format_metric
from tests.sweeps.factories import altered
from tests.sweeps.trading_experiment import SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    home = tmp_path_factory.mktemp("swept") / "mlruns"
    home.mkdir()
    space = home / "small.yaml"
    space.write_text(SMALL)
    return sweeps.run(str(space), trials=50, home=home, workers=0, progress="quiet")


@pytest.fixture(scope="module")
def data(swept):
    return read_sweep(swept.info, swept.home.store(swept.info.id))


@pytest.fixture(scope="module")
def sections(data):
    return {section.anchor: section for section in report_sections(data)}


def test_it_begins_with_the_front_and_claims_no_winner(swept, data, sections):
    lead = sections["verdict"].blocks[0]
    front = swept.pareto_front()
    assert sections["verdict"].title == "Pareto front"
    assert isinstance(lead, Text)
    assert lead.text.startswith(f"{len(front)} trials on the Pareto front, observed, not confirmed")
    page = render_report(data)
    visible = page[: page.index("<script>")] + page[page.rindex("</script>") :]
    assert "best observed" not in visible
    assert "Pareto front" in visible


def test_the_ends_of_the_front_are_figures_with_their_price(swept, sections):
    (facts,) = (b for b in sections["verdict"].blocks if isinstance(b, Facts))
    front = swept.pareto_front()
    assert facts.facts[0].value == format_metric(front[0].values["best_val_accuracy"])
    assert facts.facts[1].value == format_metric(front[-1].values["parameters"])
    assert f"trial {front[-1].number}: best_val_accuracy" in facts.facts[1].detail


def test_the_chart_shows_all_trials_and_marks_the_front_with_intervals(swept, data, sections):
    (chart,) = sections["verdict"].charts
    marks = {mark.name: mark for mark in chart.marks if isinstance(mark, Points)}
    front = marks["on the front"]
    assert list(zip(front.y, front.x, strict=True)) == [
        (t.values["best_val_accuracy"], t.values["parameters"]) for t in swept.pareto_front()
    ]
    inside = zip(front.low, front.y, front.high, strict=True)
    assert all(low < value < high for low, value, high in inside)
    complete = sum(row.state == "COMPLETE" for row in data.rows)
    assert sum(len(mark.x) for mark in marks.values()) == complete
    assert (chart.x.title, chart.y.title) == ("parameters", "best_val_accuracy")


def test_no_trial_lies_beyond_the_line_through_the_front(data, sections):
    (chart,) = sections["verdict"].charts
    (line,) = (mark for mark in chart.marks if isinstance(mark, Line))
    corners = list(zip(line.x, line.y, strict=True))
    for row in data.ranking:
        accuracy, weights = row.values(data.info.objectives)
        reached = max((y for x, y in corners if x <= weights), default=None)
        assert reached is None or accuracy <= reached


def test_the_table_has_an_interval_for_the_share_and_none_for_the_count(swept, sections):
    (folded,) = (b for b in sections["verdict"].blocks if isinstance(b, Folded))
    table, note = folded.blocks
    assert table.columns[:4] == ["trial", "best_val_accuracy", "95 % interval", "parameters"]
    assert [row[0] for row in table.rows] == [str(t.number) for t in swept.pareto_front()]
    for row in table.rows:
        low, high = map(float, row[2].split(" to "))
        assert low < float(row[1]) < high
    assert "parameters: as observed, without an interval" in note.text


def test_history_and_importances_are_told_for_each_objective(sections):
    names = [chart.name for chart in sections["history"].charts]
    assert names == ["history-best_val_accuracy", "history-parameters"]
    assert not any(
        mark.name == "best so far" for c in sections["history"].charts for mark in c.marks
    )
    accuracy, weights = sections["importances"].charts
    assert accuracy.title == "Importance for best_val_accuracy"
    first = next(bars for bars in weights.marks if bars.role == "best")
    assert first.labels[0] == "units", "the number of weights follows from it alone"


def test_other_sections_speak_of_the_front(swept, sections):
    first = swept.pareto_front()[0].number
    titles = [chart.title for chart in sections["confusion"].charts]
    assert titles[0].startswith(f"Trial {first} (on the front): best_val_accuracy")
    assert f"Trial {first} (on the front) minus baseline tutorial" in titles
    (folded,) = sections["history"].listed
    (trials,) = folded.blocks
    marked = {row[0] for row in trials.rows if row[1] == "on the front"}
    assert marked == {str(t.number) for t in swept.pareto_front()}


def test_the_page_is_on_the_parent_run_too(swept, tmp_path):
    file = swept.report(tmp_path / "small.html")
    anchors = re.findall(r'<section id="(\w+)"', file.read_text(encoding="utf-8"))
    assert anchors[:2] == ["verdict", "history"]
    reports = list((swept.home.path / "artifacts").rglob("report.html"))
    assert len(reports) == 1


def test_trials_are_compared_by_both_and_a_sweep_as_a_whole_is_not(swept):
    def compare(*names):
        words = ["compare", *names, "--home", str(swept.home.path)]
        return CliRunner().invoke(app, words, env={"COLUMNS": "120"})

    one, other = swept.pareto_front()[:2]
    result = compare(f"small:{one.number}", f"small:{other.number}")
    assert result.exit_code == 0, result.output
    assert format_metric(one.values["parameters"]) in result.output
    assert "observed, not confirmed" in result.output
    assert "best observed" not in result.output
    refused = compare("small", f"small:{other.number}")
    assert refused.exit_code == 2
    assert (
        f"name one of its Pareto front: small:{one.number}, small:{other.number}" in refused.stderr
    )


def test_an_accuracy_is_told_apart_also_where_it_is_the_second_objective(data):
    accuracy, weights = data.info.objectives
    info = dataclasses.replace(
        data.info, metric=weights.metric, direction=weights.direction, other_objectives=(accuracy,)
    )
    records = tuple(
        altered(r, objective=r.result.metrics[weights.metric]) if r.objective else r
        for r in data.records
    )
    swapped = dataclasses.replace(data, info=info, records=records)
    sections = {section.anchor: section for section in report_sections(swapped)}
    (chart,) = sections["verdict"].charts
    (front,) = (m for m in chart.marks if isinstance(m, Points) and m.name == "on the front")
    assert (chart.x.title, chart.y.title) == (weights.metric, accuracy.metric)
    assert all(low < y < high for low, y, high in zip(front.low, front.y, front.high, strict=True))
    (line,) = (mark for mark in chart.marks if isinstance(mark, Line))
    assert set(zip(front.x, front.y, strict=True)) <= set(zip(line.x, line.y, strict=True))
