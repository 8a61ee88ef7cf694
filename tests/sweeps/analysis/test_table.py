import csv
import io

import pytest

from search_spaces.objectives import Objective
from sweeps.analysis.rows import trial_rows
from sweeps.analysis.table import (
    merge_orders,
    parameter_names,
    to_frame,
    trial_documents,
    trial_table,
    write_rows,
)
from tests.sweeps.render.builders import METRIC, OBJECTIVES, record

SHALLOW = {"learning_rate": 0.001, "units_1": 25, "dropout": 0.25}
DEEP = {"learning_rate": 0.01, "units_1": 50, "units_2": 20, "units_3": 10, "dropout": 0.5}


@pytest.mark.parametrize("order", [[SHALLOW, DEEP], [DEEP, SHALLOW]])
def test_conditional_parameters_stand_where_the_space_has_them(order):
    assert merge_orders(order) == list(DEEP)


def test_parameters_at_the_end_and_contradicting_orders_are_kept_once_each():
    assert merge_orders([["a", "b"], ["a", "c"], ["b", "a"], []]) == ["a", "b", "c"]


def test_branches_stand_in_the_order_of_the_space_whichever_was_tried_first():
    names = "model", "gamma", "depth", "units", "rate"
    space = {"body": {"parameters": [{"name": name} for name in names]}}
    tried = [
        {"model": "tree", "depth": 3, "rate": 0.1},
        {"model": "svm", "gamma": 0.5, "rate": 1.0},
        {"model": "net", "units_2": 3, "units_1": 4, "rate": 1.0, "own": 1},
    ]
    rows = trial_rows([record(trial, 0.9, params=params) for trial, params in enumerate(tried)])
    expected = ["model", "gamma", "depth", "units_1", "units_2", "rate", "own"]
    assert parameter_names(rows, space) == expected
    assert list(to_frame(rows, space=space).columns)[6:13] == expected


def test_a_name_in_digits_that_are_no_number_is_in_no_order_of_layers():
    space = {"body": {"parameters": [{"name": "units"}]}}
    rows = trial_rows([record(0, 0.9, params={"units_\u00b2": 2, "units_1": 1})])
    assert parameter_names(rows, space) == ["units_1", "units_\u00b2"]


def test_columns_are_stable_and_the_objective_comes_first_among_metrics():
    rows = trial_rows([record(0, 0.9, params=SHALLOW)])
    columns, cells = trial_table(rows, objectives=OBJECTIVES)
    assert columns == [
        *("trial", "state", "reason", "attempts", "origin", "seed"),
        *("learning_rate", "units_1", "dropout"),
        *(METRIC, "best_val_loss", "seconds", "error"),
    ]
    expected = [0, "COMPLETE", "early_stopping", 1, "sampled", 100, 0.001, 25, 0.25, 0.9, 0.25, 4.0]
    assert cells == [[*expected, None]]


def test_inactive_parameters_and_absent_metrics_are_empty_in_csv():
    rows = trial_rows(
        [record(0, 0.9, params=SHALLOW), record(1, outcome="failed", error="x", params=DEEP)]
    )
    file = io.StringIO()
    write_rows(trial_documents(rows, OBJECTIVES, None), file)
    shallow, deep = csv.DictReader(io.StringIO(file.getvalue()))
    assert (shallow["units_2"], shallow[METRIC]) == ("", "0.9")
    assert (deep["units_2"], deep[METRIC]) == ("20", "")


def test_csv_keeps_every_digit():
    value = 0.1 + 0.2
    file = io.StringIO()
    rows = trial_rows([record(0, value, params={"x": value})])
    write_rows(trial_documents(rows, OBJECTIVES, None), file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert float(row["x"]) == value == float(row[METRIC])


def test_a_name_that_another_one_begins_with_has_its_column():
    rows = trial_rows([record(0, 0.9, params={"model": "mlp", "model.depth": 2})])
    file = io.StringIO()
    write_rows(trial_documents(rows, OBJECTIVES, None), file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert (row["model"], row["model.depth"]) == ("mlp", "2")


def test_names_that_collide_are_told_apart():
    rows = trial_rows(
        [record(0, 0.9, params={"seed": 7, "best_val_loss": 1, "seconds": 2}, metric="seconds")]
    )
    columns, cells = trial_table(rows, objectives=[Objective("seconds", "minimize")])
    row = dict(zip(columns, cells[0], strict=True))
    assert len(set(columns)) == len(columns)
    assert (row["seed"], row["param.seed"]) == (100, 7)
    assert (row["best_val_loss"], row["metric.best_val_loss"]) == (1, 0.25)
    assert (row["seconds"], row["param.seconds"], row["metric.seconds"]) == (4.0, 2, 0.9)


def test_a_frame_is_typed_column_by_column():
    params = {"rate": 1, "units": 25, "act": "relu", "norm": True, "size": 16, "clip": None}
    other = {"rate": 0.5, "norm": False, "size": "auto"}
    frame = to_frame(
        trial_rows([record(0, 0.9, params=params), record(1, outcome="diverged", params=other)]),
        objectives=OBJECTIVES,
    )
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert dtypes == {
        "trial": "Int64",
        "state": "category",
        "reason": "category",
        "attempts": "Int64",
        "origin": "string",
        "seed": "Int64",
        "rate": "float64",
        "units": "Int64",
        "act": "category",
        "norm": "boolean",
        "size": "category",
        "clip": "category",
        METRIC: "float64",
        "best_val_loss": "float64",
        "seconds": "float64",
        "error": "string",
    }
    assert list(frame["state"]) == ["COMPLETE", "FAILED"]
    assert list(frame["state"].cat.categories) == ["COMPLETE", "PRUNED", "FAILED", "WAITING"]
    assert list(frame["size"]) == ["16", "auto"]
    assert frame[["units", "act", METRIC]].isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


def test_a_frame_of_no_trials_has_the_fixed_columns():
    frame = to_frame([])
    fixed = ["trial", "state", "reason", "attempts", "origin", "seed", "seconds", "error"]
    assert list(frame) == fixed
    assert len(frame) == 0
