"""The runs of finalists have what their models get wrong; with a real MLflow."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.experiments.code import PreparedAgain
from sweeps.home import Home
from sweeps.tracking.parent import AttemptFiles
from sweeps.tracking.store import IncompleteError
from sweeps.tracking.sync import show_conclusions, sync_sweep
from tests.faults.mlflow_state import mlflow_state
from tests.homes import lose_runs
from tests.sweeps.examined_experiment import CONFIRMING, ExaminedExperiment
from tests.sweeps.toy_experiment import ToyExperiment

EVALUATION = {
    "evaluation/summary.txt", "evaluation/diagnostics.json", "evaluation/errors.png",
}  # fmt: skip


@pytest.fixture
def confirm(tmp_path, make_home):
    """Run what `confirm` would run for a sweep of which only the folder is there."""
    folder = tmp_path / "20250101-ab12cd34" / "finalists-1"
    folder.mkdir(parents=True)
    (folder / "space.yaml").write_text(CONFIRMING)

    def confirm(**options):
        space, home = str(folder / "space.yaml"), make_home()
        return sweeps.run(
            space, name="toy-confirmation", home=home, progress="quiet", workers=0, **options
        )

    return confirm


def state(home, sweep):
    return mlflow_state(f"sqlite:///{home / 'mlflow.db'}", sweep.info.id)


def evaluations(home, sweep):
    """Return the files in `evaluation/` of each attempt's run, by trial."""
    return {
        int(run["tags"]["trial"].partition("-")[0]): {
            file for file in run["files"] if file.startswith("evaluation/")
        }
        for run in state(home, sweep)["runs"]
        if "trial" in run["tags"]
    }


def send(home, sweep):
    found = Home.resolve(home)
    return sync_sweep(found, sweep.info, f"sqlite:///{home / 'mlflow.db'}")


def test_finalists_on_block_0_have_them_and_nobody_else(confirm, make_home):
    sweep = confirm()
    blocks = {row.trial: row.params["block"] for row in sweep.rows()}
    assert sorted(blocks.values()) == [0, 0, 1, 1]
    found = evaluations(make_home(), sweep)
    assert found == {trial: set() if block else EVALUATION for trial, block in blocks.items()}


@pytest.mark.slow
def test_sending_again_adds_nothing_and_a_lost_store_gets_them_again(
    confirm, make_home, migrated_database
):
    sweep, home = confirm(), make_home()
    before = state(home, sweep)
    report = send(home, sweep)
    assert (report.written, report.pending) == ([], [])
    assert state(home, sweep) == before
    lose_runs(home, migrated_database)
    assert len(send(home, sweep).written) == 4
    assert state(home, sweep) == before


@pytest.mark.slow
def test_where_data_are_gone_runs_stay_incomplete_until_these_are_named(
    confirm, make_home, migrated_database
):
    sweep, home = confirm(data="other"), make_home()
    before = state(home, sweep)
    assert EVALUATION in evaluations(home, sweep).values(), "made from the data at hand"
    lose_runs(home, migrated_database)
    finalists = [r.trial for r in sweep.rows() if r.params["block"] == 0]
    for _ in range(2):
        report = send(home, sweep)  # knows only the experiment's own data, which are others
        assert report.pending == [sweep.trial(trial).record.key for trial in finalists]
        assert report.error.startswith(
            f"`evaluation/` of trial {finalists[-1]} of toy-confirmation: "
        )
        assert "name them by --data" in report.error
        uri = f"sqlite:///{home / 'mlflow.db'}"
        assert show_conclusions(Home.resolve(home), sweep.info, uri) == len(finalists)
        runs = [run for run in state(home, sweep)["runs"] if "trial" in run["tags"]]
        assert all(run["status"] == "FINISHED" for run in runs)
        assert all("undrawn" in run["tags"] for run in runs if run["params"]["block"] == "0")
    command = CliRunner().invoke(app, ["doctor", "toy-confirmation", "--home", str(home)])
    said = f"attempt {report.pending[0]} differs from the journal: what could not be drawn"
    assert said in command.stdout
    words = ["sync", "toy-confirmation", "--data", "other", "--home", str(home)]
    sent = CliRunner().invoke(app, words)
    assert sent.exit_code == 0, sent.output
    assert state(home, sweep) == before


def test_what_keeps_too_little_or_examines_nothing_is_whole_without(make_home, confirm):
    sweep, home = confirm(), make_home()
    store, record = Home(home).store(sweep.info.id), sweep.trial(0).record

    class Little(ExaminedExperiment):
        def examine(self, config, data, result):
            raise ValueError("no logits")

    class Broken(ExaminedExperiment):
        def examine(self, config, data, result):
            raise KeyError("logits")

    def files(experiment):
        again = PreparedAgain(lambda: experiment)
        return AttemptFiles(sweep.info, store, again)(record.key)

    whole = files(ExaminedExperiment())
    drawn = {name: content for name, content in whole.items() if name not in EVALUATION}
    assert whole.keys() >= EVALUATION
    assert drawn
    assert files(Little()) == files(ToyExperiment()) == drawn
    with pytest.raises(IncompleteError, match="KeyError: 'logits'") as caught:
        files(Broken())
    assert caught.value.files == drawn


def test_an_experiment_is_loaded_once_for_all_attempts(make_home, confirm):
    sweep, home = confirm(), make_home()
    store, loaded = Home(home).store(sweep.info.id), []

    def load():
        loaded.append("once")
        return ExaminedExperiment()

    files = AttemptFiles(sweep.info, store, PreparedAgain(load))
    assert all(files(sweep.trial(number).record.key) for number in (0, 1, 2))
    assert loaded == ["once"]


def test_a_search_has_none_whatever_its_parameters_are_called(tmp_path, make_home):
    (tmp_path / "search.yaml").write_text(CONFIRMING)
    space = str(tmp_path / "search.yaml")
    sweep = sweeps.run(space, home=make_home(), progress="quiet", workers=0)
    assert evaluations(make_home(), sweep) == {trial: set() for trial in range(4)}


def test_they_say_what_the_record_says(confirm, make_home, tmp_path):
    sweep, home = confirm(), make_home()
    row = next(r for r in sweep.rows() if dict(r.params) == {"block": 0, "finalist": "trial-7"})
    key = sweep.trial(row.trial).record.key
    runs = state(home, sweep)["runs"]
    files = next(run["files"] for run in runs if run["tags"].get("trial") == key)
    found = json.loads(files["evaluation/diagnostics.json"])
    assert (found["x"], found["data"]) == (0.1, "toy")
    logits = sweep.trial(row.trial).record.result.arrays["validation_logits"]
    assert found["logits"] == logits.tolist()
