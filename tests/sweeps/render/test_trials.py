import dataclasses
import io

import pytest
from rich.console import Console

from sweeps.analysis.rows import trial_rows
from sweeps.analysis.table import metrics_beside
from sweeps.render.summaries import TrialsView
from tests.sweeps.render.builders import OBJECTIVES, record

PARAMS = {"learning_rate": 0.00123456, "batch_size": 32, "units_1": 25, "fixed": "same"}


def records():
    return [
        record(0, 0.91, origin="baseline tutorial", params=PARAMS),
        record(1, 0.92, params={**PARAMS, "learning_rate": 0.01, "units_1": 99, "units_2": 77}),
        record(2, outcome="diverged", params={**PARAMS, "batch_size": 64}),
    ]


def shown(width, rows=None):
    console = Console(file=io.StringIO(), width=width)
    rows = trial_rows(records()) if rows is None else rows
    console.print(TrialsView(rows, OBJECTIVES, says_constants=True))
    return console.file.getvalue()


def test_a_wide_terminal_gets_a_column_for_each_varied_parameter():
    text = shown(140)
    assert "fixed" not in text.splitlines()[0]
    row = ["*1", "COMPLETE", "0.9200", "0.2500", "0.01", "32", "99", "77", "3", "4.0"]
    assert [*row, "early_stopping"] in [line.split() for line in text.splitlines()]
    assert "early_stopping, baseline tutorial" in text
    best, same = text.rstrip().splitlines()[-2:]
    assert best.strip() == "* best observed, not confirmed"
    assert same.strip() == "without a column, since no trial differs: fixed=same"


def test_metrics_beside_the_objective_have_columns_as_far_as_there_is_room():
    metrics = {"mae": 1.5, "epochs": 3.0, "r2": 0.5, **{f"other_{n}": float(n) for n in range(9)}}
    rows = [dataclasses.replace(row, metrics=metrics) for row in trial_rows(records()[:2])]
    heads = {width: " ".join(shown(width, rows).split("─")[0].split()) for width in (200, 120, 100)}
    assert all(name in heads[200] for name in ("mae", "r2", "other_0 other_1 other_2"))
    assert "other_3" not in heads[200], "five; the CSV has all"
    assert heads[200].count("epochs") == 1, "it has a column anyway"
    assert [name in heads[120] for name in ("mae", "other_2", "why")] == [True, False, True]
    assert [name in heads[100] for name in ("mae", "why")] == [False, True]


def test_metrics_are_shown_as_they_are_declared_whatever_their_order():
    metrics = dict.fromkeys(("hidden", *(f"other_{n}" for n in range(9)), "last"), 0.5)
    rows = [dataclasses.replace(row, metrics=metrics) for row in trial_rows(records()[:2])]
    declared = {"hidden": False, "last": True, "absent": True}
    beside = metrics_beside(rows, OBJECTIVES, declared)
    assert beside == ["other_0", "other_1", "other_2", "other_3", "last"], "five in all"
    every = dict.fromkeys(metrics, True)
    assert metrics_beside(rows, OBJECTIVES, every) == [*metrics], "as many as are declared"
    assert metrics_beside(rows, OBJECTIVES, {})[0] == "hidden", "a sweep of before declares none"


def test_a_narrower_one_loses_details_but_no_parameter():
    rows = [line.split() for line in shown(70).splitlines()]
    assert ["*1", "COMPLETE", "0.9200", "0.01", "32", "99", "77"] in rows


@pytest.mark.parametrize("width", [40, 55])
def test_a_narrow_one_gets_the_parameters_in_one_column(width):
    text = "".join(shown(width).split())  # a value may go on in the next line
    for part in ("learning_rate=1.23e-03", "units_1=99", "units_2=77", "batch_size=64"):
        assert part in text
    assert text.count("fixed") == 1, "in the line below the table, not in every row"


def test_a_trial_without_objective_says_why():
    assert ["2", "FAILED", "diverged"] in [line.split()[:3] for line in shown(140).splitlines()]


def test_a_single_trial_shows_all_its_parameters():
    assert "same" in shown(140, trial_rows(records()[:1]))


def test_an_empty_sweep_shows_an_empty_table_without_a_best():
    text = shown(80, [])
    assert "trial" in text
    assert "*" not in text
