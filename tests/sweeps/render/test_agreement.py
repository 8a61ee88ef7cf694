"""Whoever looks, wherever: study, records, MLflow, DataFrame, CSV and page say the same."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from sweeps.analysis.data import read_sweep
from sweeps.cli import app
from sweeps.render.sections import report_sections
from sweeps.tracking.store import close_client, open_client
from sweeps.wording import format_metric, format_value
from tests.sweeps.conftest import exported
from tests.sweeps.render.test_report import run_confusing

pytestmark = pytest.mark.slow

STUDY_STATES = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAILED": "FAIL"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return run_confusing(tmp_path_factory.mktemp("swept") / "mlruns", 60)


@pytest.fixture(scope="module")
def rows(swept):
    return {row.trial: row for row in swept.rows()}


def test_the_study_says_what_the_records_say(swept, rows, tmp_path):
    study = exported(swept, tmp_path)
    assert len(study.trials) == 60
    for trial in study.trials:
        row = rows[trial.number]
        assert trial.params == pytest.approx(dict(row.params))
        expected = "PRUNED" if row.reason == "diverged" else STUDY_STATES[row.state]
        assert trial.state.name == expected
        if row.state == "COMPLETE":
            assert trial.value == row.objective
    assert study.best_trial.number == swept.best().number


def test_mlflow_says_what_the_records_say(swept, rows):
    client = open_client(f"sqlite:///{swept.home.path / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.sweep_id = '{swept.info.id}'", max_results=500)
    close_client(client)
    parent = next(run for run in runs if run.data.tags["kind"] == "sweep")
    best = swept.best()
    assert parent.data.metrics["best_val_accuracy"] == best.value
    assert parent.data.tags["best_trial"] == best.record.key
    assert int(parent.data.tags["failed"]) == sum(r.state == "FAILED" for r in rows.values())
    decided = {
        int(run.data.tags["trial_number"]): run
        for run in runs
        if run.data.tags["kind"] == "trial" and "retried" not in run.data.tags
    }
    assert decided.keys() == rows.keys()
    for trial, row in rows.items():
        run = decided[trial]
        assert run.data.tags["state"] == row.state
        assert run.data.tags["reason"] == row.reason
        assert {k: str(v) for k, v in row.params.items()}.items() <= run.data.params.items()
        assert {k: run.data.metrics[k] for k in row.metrics} == dict(row.metrics)


def test_dataframe_and_csv_say_what_the_records_say(swept, rows, tmp_path):
    words = ["trials", "confusing", "--csv", str(tmp_path / "x.csv")]
    assert CliRunner().invoke(app, [*words, "--home", str(swept.home.path)]).exit_code == 0
    frame, csv = swept.trials(), pd.read_csv(tmp_path / "x.csv")
    for table in (frame, csv):
        assert list(table["trial"]) == list(rows)
        for trial, state, accuracy, rate in zip(
            table["trial"], table["state"], table["best_val_accuracy"], table["learning_rate"],
            strict=True,
        ):  # fmt: skip
            row = rows[trial]
            assert state == row.state
            assert rate == row.params["learning_rate"]
            known = row.metrics.get("best_val_accuracy")
            assert (known is None and pd.isna(accuracy)) or accuracy == known


def test_the_page_says_what_the_records_say(swept, rows, tmp_path):
    page = swept.report(tmp_path / "x.html").read_text(encoding="utf-8")
    found = re.findall(r'<tr id="trial-(\d+)">(.*?)</tr>', page)
    assert [int(trial) for trial, _ in found] == list(rows)
    for trial, cells in found:
        row = rows[int(trial)]
        texts = re.findall(r"<td[^>]*>(.*?)</td>", cells)
        assert row.state in texts
        assert format_value(row.params["learning_rate"]) in texts
        if row.objective is not None:
            assert format_metric(row.objective) in texts
    best = swept.best()
    value = format_metric(best.value)
    lead = f"Trial {best.number} leads on the validation set: best_val_accuracy {value}"
    assert lead in page


def test_mlflow_and_the_report_find_the_same_parameters_important(swept):
    client = open_client(f"sqlite:///{swept.home.path / 'mlflow.db'}")
    tags = [experiment.tags for experiment in client.search_experiments()]
    close_client(client)
    (view,) = [v for own in tags for k, v in own.items() if k.startswith("mlflow.sharedViewState.")]
    columns = [re.fullmatch("params.`(.*)`", c) for c in json.loads(view)["selectedColumns"]]
    shown = [column[1] for column in columns if column]
    data = read_sweep(swept.info, swept.home.store(swept.info.id))
    sections = {section.anchor: section for section in report_sections(data)}
    bars = [bars for bars in sections["importances"].charts[0].marks if bars.role != "reference"]
    drawn = {
        label.partition(" (of ")[0]: value
        for one in bars
        for label, value in zip(one.labels, one.values, strict=True)
    }
    assert len(drawn) > 2
    assert shown[: len(drawn)] == sorted(drawn, key=drawn.get, reverse=True)
