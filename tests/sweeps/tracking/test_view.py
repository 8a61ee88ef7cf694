from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from sweeps.tracking.store import open_client
from sweeps.tracking.view import view_address, view_tag
from tests.sweeps.factories import make_info, make_record

INFO = make_info()


def stored_view(home: Path) -> dict[str, Any]:
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name LIKE 'digits20: %'")
    view: dict[str, Any] = json.loads(experiment.tags[f"mlflow.sharedViewState.{INFO.id}"])
    return view


def test_the_view_shows_the_sweeps_trials_best_first() -> None:
    name, value = view_tag(INFO, ["learning_rate"])
    state = json.loads(value)
    assert name == f"mlflow.sharedViewState.{INFO.id}"
    assert state["searchFilter"] == f"tags.sweep_id = '{INFO.id}' and tags.kind = 'trial'"
    assert state["orderByKey"] == state["selectedColumns"][0] == "metrics.`best_val_accuracy`"
    assert state["orderByAsc"] is False
    assert "params.`learning_rate`" in state["selectedColumns"]
    assert json.loads(view_tag(make_info(direction="minimize"), [])[1])["orderByAsc"] is True


def test_the_view_stays_below_the_size_a_tag_may_have() -> None:
    assert len(view_tag(INFO, [f"a_long_parameter_name_{n}" for n in range(500)])[1]) < 5000


def test_the_view_gains_a_column_when_a_trial_brings_a_new_parameter(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, SweepNote())
    assert not any(column.startswith("params") for column in stored_view(home)["selectedColumns"])
    projection.project(INFO, make_record(0), {})
    projection.project(INFO, make_record(1, params={"units_2": 8}), {})
    columns = [f"params.`{name}`" for name in ("learning_rate", "units_1", "units_2")]
    assert stored_view(home)["selectedColumns"][2:5] == columns
    afresh = Projection(projection.tracking_uri, projection.artifact_root)
    afresh.start_sweep(INFO, SweepNote())
    afresh.close()
    assert stored_view(home)["selectedColumns"][2:5] == columns


@pytest.mark.parametrize(
    ("experiment", "sweep", "place"),
    [
        (None, None, "experiments?workflowType=machine_learning"),
        ("3", None, "experiments/3/runs?workflowType=machine_learning"),
        ("3", "id", "experiments/3/runs?workflowType=machine_learning&viewStateShareKey=id"),
    ],
)
def test_the_address_opens_the_pages_for_model_training(
    experiment: str | None, sweep: str | None, place: str
) -> None:
    assert view_address("http://h:5000/", experiment, sweep) == f"http://h:5000/#/{place}"
