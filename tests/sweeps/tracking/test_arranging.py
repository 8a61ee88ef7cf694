"""What MLflow shows of a sweep as a whole: the view with its charts, the parent's description."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from sweeps.journal.events import Record
from sweeps.records.ranking import ranked
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.runs import KnownSweep
from sweeps.tracking.view import directions, running_note, view_of
from tests.sweeps.factories import altered, make_info, make_record

INFO = make_info()
RECORDS = [
    *(make_record(trial) for trial in range(6)),
    make_record(6, outcome="failed"),
    make_record(7, outcome="pruned"),
]
CHILDREN = {record.key: (f"id-{record.trial}", "FINISHED") for record in RECORDS}
SWEEP = KnownSweep("7", "parent", CHILDREN)


def state_of(info: SweepInfo, records: list[Record]) -> dict[str, Any]:
    text = view_of(info, records, ranked(records, info.direction))[1]
    assert len(text) < 5000
    state: dict[str, Any] = json.loads(text)
    return state


def cards(state: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [card for card in state["compareRunCharts"] if card["type"] == kind]


def test_the_view_has_every_chart_in_a_section_that_is_open() -> None:
    state = state_of(INFO, RECORDS)
    (parallel,) = cards(state, "PARALLEL")
    assert set(parallel["selectedParams"]) == {"learning_rate", "units_1"}
    assert parallel["selectedMetrics"] == ["best_val_accuracy"]
    curves = [card["metricKey"] for card in cards(state, "LINE")]
    assert curves[:2] == ["val_accuracy", "val_loss"]
    assert {card["xaxis"]["key"] for card in cards(state, "SCATTER")} == {
        "learning_rate",
        "units_1",
    }
    (images,) = cards(state, "IMAGE")
    assert (images["imageKeys"], images["step"]) == (["confusion_matrix"], 6)
    sections = {section["uuid"]: section["display"] for section in state["compareRunSections"]}
    assert all(sections[card["metricSectionId"]] for card in state["compareRunCharts"])
    assert len({card["uuid"] for card in state["compareRunCharts"]}) == len(
        state["compareRunCharts"]
    )


def test_columns_follow_each_other_as_they_are_to_be_read() -> None:
    state = state_of(INFO, RECORDS)
    assert state["selectedColumns"][:2] == ["metrics.`best_val_accuracy`", "metrics.`best_epoch`"]
    assert state["selectedColumns"][-4:-1] == ["tags.`why`", "tags.`confusion_1`", "tags.`state`"]
    assert [c for c in state["columnOrder"] if c in state["selectedColumns"]] == (
        state["selectedColumns"]
    )


def test_accuracy_has_a_column_beside_another_objective() -> None:
    by_epoch = make_info(metric="best_epoch", direction="minimize", epoch_metric=None)
    columns = state_of(by_epoch, RECORDS)["selectedColumns"]
    assert columns[:2] == ["metrics.`best_epoch`", "metrics.`best_val_accuracy`"]
    assert all(column.startswith("params.") for column in columns[2:4])  # none is shown twice


def test_the_view_of_a_sweep_without_a_complete_trial_has_its_columns() -> None:
    state = state_of(INFO, [make_record(0, outcome="failed")])
    assert "params.`units_1`" in state["selectedColumns"]
    assert cards(state, "IMAGE") == []


def test_many_long_names_make_a_smaller_view() -> None:
    params = {f"a_rather_long_name_of_a_parameter_{n}": n for n in range(60)}
    records = [make_record(0, params=params), make_record(1, params=params)]
    assert len(cards(state_of(INFO, records), "PARALLEL")) == 1


def test_the_parent_links_the_view_and_the_best_three_and_offers_searches() -> None:
    best = ranked(RECORDS, INFO.direction)
    text = directions(INFO, SWEEP, best, "### Sweep mlp", "mine")
    assert text.startswith("mine\n\n[All trials, best first](#/experiments/7/runs?")
    ids = "%2C".join(f"%22id-{record.trial}%22" for record in best[:3])
    assert f"(#/compare-runs?runs=%5B{ids}%5D&experiments=%5B%227%22%5D" in text
    assert "`tags.sweep = 'mlp' and tags.kind = 'trial' and tags.state = 'FAILED'`" in text
    assert f"metrics.best_val_accuracy >= {best[-1].objective!r}" in text
    assert "Begun 2025-01-01 00:00 UTC" in text
    assert "sampler tpe, pruner median, seed 0, data digits20 (`7ef17dbd5a51616f`)" in text


def test_what_is_missing_is_left_out() -> None:
    text = directions(INFO, dataclasses.replace(SWEEP, children={}), RECORDS[:1], "text", None)
    assert "compare-runs" not in text
    assert text.startswith("[All trials")
    assert "the best 1" not in text


def test_while_it_runs_the_parent_links_the_view() -> None:
    assert f"viewStateShareKey={INFO.id}" in running_note(INFO, "7")


@pytest.mark.parametrize("name", ["it's", "a|b", "100%"])
def test_a_class_that_a_search_cannot_name_is_not_offered(name: str) -> None:
    record = make_record(0)
    assert record.result is not None
    names = [name, *"bcdefghij"]
    info = dataclasses.replace(record.result, info={"classes": names})
    record = altered(record, result=info)
    text = directions(INFO, SWEEP, [record], "text", None)
    offered = "LIKE" in text
    assert not offered or name not in text.partition("LIKE")[2]


def test_parallel_coordinates_leave_out_what_some_trials_lack() -> None:
    shallow, deep = {"x": 0.1, "depth": 1}, {"x": 0.2, "depth": 2, "units_2": 8}
    records = []
    for trial, params in enumerate([shallow, deep, {**shallow, "x": 0.3}]):
        record = make_record(trial)
        records.append(altered(record, params=params, config=params))
    state = state_of(INFO, records)
    (card,) = cards(state, "PARALLEL")
    assert sorted(card["selectedParams"]) == ["depth", "x"]
    assert "params.`units_2`" in state["selectedColumns"]
