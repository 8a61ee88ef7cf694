"""Several objectives, as terminal, Markdown, lists and progress tell them: nobody has won."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from search_spaces.objectives import Objective
from sweeps.analysis.data import SweepData
from sweeps.analysis.rows import trial_rows
from sweeps.analysis.summary import listing_rows, summarize
from sweeps.analysis.table import trial_table
from sweeps.progress.lines import PlainLines
from sweeps.progress.live import draw
from sweeps.progress.tally import Tally
from sweeps.records import RecordStore
from sweeps.render.markdown import render_markdown
from sweeps.render.summaries import TrialsView, render_best, render_listing, render_text
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import record, sweep_info

PARAMETERS = Objective("parameters", "minimize")
INFO = sweep_info(other_objectives=(PARAMETERS,))


def trial(trial, accuracy=None, weights=None, **changes):
    made = record(trial, accuracy, params={"units": 10 * (trial + 1)}, **changes)
    if made.result is None or accuracy is None:
        return made
    metrics = {**made.result.metrics, "parameters": float(weights)}
    return altered(made, result=dataclasses.replace(made.result, metrics=metrics))


RECORDS = [
    trial(0, 0.91, 13002, origin="baseline tutorial"),
    trial(1, 0.93, 13002),
    trial(2, 0.87, 4210),
    trial(3, 0.80, 9000),
    trial(4, outcome="failed", error="ValueError: boom"),
]
ODD = trial(5, 0.9, math.nan)
LINE = (
    "2 trials on the Pareto front, observed, not confirmed: "
    "best_val_accuracy 0.8700 to 0.9300, parameters 4210 to 13002"
)


def summary(records=RECORDS):
    return summarize(INFO, records, asked=5, seconds=9.0, stopped_by=None)


def shown(renderable, width=110):
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()


def cells(text):
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("render", [render_text, render_best])
def test_the_end_of_a_run_shows_the_front_and_the_baselines_behind_it(render):
    text = shown(render(summary()))
    assert LINE in text.replace("\n", " ").replace("  ", " ")
    rows = [row for row in cells(text) if "COMPLETE" in row]
    assert [row[:4] for row in rows] == [
        ["*1", "COMPLETE", "0.9300", "13002"],
        ["*2", "COMPLETE", "0.8700", "4210"],
        ["0", "COMPLETE", "0.9100", "13002"],
    ]
    assert "* on the Pareto front, observed, not confirmed" in text
    assert "best observed" not in text


def test_the_end_of_a_run_shows_five_of_a_long_front():
    front = [trial(n, 0.9 - n / 100, 9000 - n) for n in range(1, 9)]
    records = [trial(0, 0.5, 9999, origin="baseline tutorial"), *front]
    text = shown(render_text(summary(records)))
    assert [row[0] for row in cells(text) if "COMPLETE" in row] == ["*1", "*2", "*3", "*4", "*5"]
    assert "and 3 trials more on the front" in text
    assert "*8" in shown(render_best(summary(records)))


def test_a_single_trial_and_none_are_told_as_well():
    assert "1 trial on the Pareto front" in shown(render_best(summary(RECORDS[:1])))
    assert "no trial completed, so there is no Pareto front" in shown(
        render_best(summary(RECORDS[4:]))
    )


def test_the_table_of_trials_has_a_column_for_each_and_marks_the_front():
    text = shown(TrialsView(trial_rows(RECORDS), INFO.objectives, says_constants=True))
    assert {"*1", "*2"} <= {row[0] for row in cells(text) if row}
    assert ["3", "COMPLETE", "0.8000", "9000", "0.2500", "40"] in [row[:6] for row in cells(text)]
    assert ["4", "FAILED", "error", "50"] in [row[:4] for row in cells(text)]


def test_a_narrow_terminal_keeps_both_objectives_and_two_meanings_of_parameters_apart():
    more = {"learning_rate": 0.001, "regularisation_strength": 0.5}
    records = [
        altered(r, params={**r.params, **{n: v * r.trial for n, v in more.items()}})
        for r in RECORDS
    ]
    text = shown(TrialsView(trial_rows(records), INFO.objectives), width=60)
    assert ["*1", "COMPLETE", "0.9300", "13002", "units=20"] in [row[:5] for row in cells(text)]
    assert "0.9100      13002 baseline tutorial:" in text
    assert "configuration" in text


def test_markdown_lists_the_front_and_what_lies_behind():
    lines = render_markdown(summary()).splitlines()
    assert "| 1 | sampled | 0.9300 | 13002 | 20 |" in lines
    assert "| 0 | baseline tutorial, behind the front | 0.9100 | 13002 | 10 |" in lines
    assert not [line for line in lines if line.startswith("| 3 |")]
    assert "best observed" not in "\n".join(lines)


def test_the_summary_as_json_has_a_front_and_no_best():
    document = json.loads(json.dumps(summary().to_dict()))
    assert document["best"] is None
    assert [row["trial"] for row in document["front"]] == [1, 2]
    assert document["objectives"][1] == {"metric": "parameters", "direction": "minimize"}
    assert document["status"] == "on the Pareto front, observed, not confirmed"


def test_the_flat_table_puts_objectives_first_and_says_who_is_on_the_front():
    columns, rows = trial_table(trial_rows(RECORDS), objectives=INFO.objectives)
    assert columns[7:] == [
        "best_val_accuracy", "parameters", "best_val_loss", "on_front", "seconds", "error",
    ]  # fmt: skip
    assert [row[columns.index("on_front")] for row in rows] == [False, True, True, False, False]


def test_a_trial_whose_second_objective_is_no_number_has_none_in_its_view():
    data = SweepData(INFO, RecordStore(Path("none")), (*RECORDS[:2], ODD), 3, None)
    accuracy, parameters = data.by_objective
    assert [record.objective for record in accuracy.records] == [0.91, 0.93, 0.9]
    assert [record.objective for record in parameters.records] == [13002, 13002, None]


def test_the_list_of_sweeps_counts_the_front():
    (row,) = rows = listing_rows([(INFO, RECORDS)])
    assert (row.best, row.best_trial, row.front) == (None, None, 2)
    text = shown(render_listing(rows), width=120)
    assert "front of 2" in text
    assert "best_val_accuracy, parameters" in text


def test_the_progress_tells_the_front_so_far():
    tally = Tally(INFO, 5, RECORDS[:1])
    for ended in RECORDS[1:]:
        tally.finish(ended)
    assert [row.trial for row in tally.front] == [1, 2]
    assert tally.best is None
    text = shown(draw(tally, ended=False), width=80)
    assert ["trial", "1", "0.9300", "13002", "3", "4.0", "units=20"] in cells(text)
    assert ["trial", "2", "0.8700", "4210", "3", "4.0", "units=30"] in cells(text)
    assert "trial 3" not in text
    assert "best" not in text.replace("best_val_", "")


def test_plain_lines_say_both_values():
    stream = io.StringIO()
    lines = PlainLines(stream)
    lines.started(Tally(INFO, 5, RECORDS[:2]))
    lines.trial_finished(RECORDS[2])
    first, second, third = stream.getvalue().splitlines()
    assert first.endswith("maximize best_val_accuracy, minimize parameters")
    values = "best_val_accuracy 0.8700, parameters 4210"
    assert second.startswith(f"[3/5] on the front so far: {values} (trial 2), ")
    assert third.strip() == "units=30"
    lines.trial_finished(RECORDS[3])
    assert stream.getvalue().count("\n") == 3, "it is behind the front"
