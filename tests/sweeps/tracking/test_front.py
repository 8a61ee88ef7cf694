"""The Pareto front in MLflow: tags on its runs, kept up to date, and rebuilt from the records."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.objectives import Objective
from sweeps.cli import app
from sweeps.tracking.content import sweep_tags
from sweeps.tracking.runs import KnownSweep
from sweeps.tracking.store import close_client, open_client
from sweeps.tracking.view import ON_FRONT, directions, front_keys, view_of
from tests.faults.mlflow_state import mlflow_state
from tests.sweeps.factories import make_info, make_record
from tests.sweeps.tracking.test_champion import SPACE as SERVING
from tests.sweeps.trading_experiment import TRADING

EPOCH = Objective("best_epoch", "minimize")
INFO = make_info(other_objectives=(EPOCH,))


class Store:
    """The runs of the sweep `trading` in a home."""

    def __init__(self, home):
        self.home, self.uri = home, f"sqlite:///{home / 'mlflow.db'}"

    def call(self, *words):
        return CliRunner().invoke(app, [*words, "--home", str(self.home)])

    def sweep(self):
        return sweeps.load("trading", self.home)

    def runs(self, condition):
        client = open_client(self.uri)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        found = client.search_runs(ids, condition, max_results=500)
        close_client(client)
        return found

    def marked(self):
        return {
            int(run.data.tags["trial_number"]) for run in self.runs(f"tags.{ON_FRONT} = 'true'")
        }

    def set_tag(self, trial, value):
        client = open_client(self.uri)
        (run,) = self.runs(f"tags.trial_number = '{trial}'")
        if value:
            client.set_tag(run.info.run_id, ON_FRONT, value)
        else:
            client.delete_tag(run.info.run_id, ON_FRONT)
        close_client(client)


@pytest.fixture
def run_trading(tmp_path, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = tmp_path / "trading.yaml"
    file.write_text(TRADING)

    def run(trials):
        sweeps.run(str(file), home=make_home(), trials=trials, workers=0, progress="quiet")
        return Store(make_home())

    return run


def front_of(store):
    return {trial.number for trial in store.sweep().pareto_front()}


def test_the_runs_on_the_front_are_marked_and_no_others(run_trading):
    store = run_trading(12)
    assert store.marked() == front_of(store)
    assert 1 < len(store.marked()) < 12


@pytest.mark.slow
def test_a_run_that_is_beaten_later_loses_its_mark(run_trading):
    before = run_trading(3).marked()
    store = run_trading(25)
    assert store.marked() == front_of(store)
    assert before - store.marked(), "some of the first three are beaten by then"


def test_the_parent_names_no_best_trial_and_no_model_is_registered(run_trading):
    store = run_trading(8)
    (parent,) = store.runs("tags.kind = 'sweep'")
    assert parent.data.tags["objectives"] == "maximize score, minimize cost"
    assert parent.data.tags["front_size"] == str(len(front_of(store)))
    assert "best_trial" not in parent.data.tags
    assert parent.data.metrics == {}
    assert "on the Pareto front, observed, not confirmed" in parent.data.tags["mlflow.note.content"]
    assert f"tags.{ON_FRONT} = 'true'" in parent.data.tags["mlflow.note.content"]


def test_a_model_that_could_be_served_is_not_registered(tmp_path, make_home):
    file = tmp_path / "serving.yaml"
    two = "[{metric: score, direction: maximize}, {metric: loss, direction: minimize}]"
    one = "objective: {metric: score, direction: maximize}"
    assert one in SERVING
    file.write_text(SERVING.replace(one, f"objective: {two}"))
    sweeps.run(str(file), home=make_home(), trials=3, workers=0, progress="quiet")
    client = open_client(f"sqlite:///{make_home() / 'mlflow.db'}")
    assert list(client.search_registered_models()) == []
    close_client(client)


@pytest.mark.slow
def test_a_lost_store_is_written_again_with_its_marks(run_trading, migrated_database):
    store = run_trading(9)
    before = mlflow_state(store.uri, store.sweep().info.id)
    for file in store.home.glob("mlflow.db*"):
        file.unlink()
    shutil.rmtree(store.home / "artifacts")
    shutil.copy(migrated_database, store.home / "mlflow.db")
    assert store.call("sync").exit_code == 0
    assert mlflow_state(store.uri, store.sweep().info.id) == before
    assert store.call("sync").exit_code == 0
    assert mlflow_state(store.uri, store.sweep().info.id) == before


@pytest.mark.slow
@pytest.mark.parametrize("is_on_front", [True, False])
def test_doctor_finds_a_wrong_mark_and_mends_it(run_trading, is_on_front):
    store = run_trading(9)
    wrong = min(front_of(store) if is_on_front else set(range(9)) - front_of(store))
    store.set_tag(wrong, None if is_on_front else "true")
    found = store.call("doctor", "trading")
    assert found.exit_code == 1
    said = f"run of attempt {wrong:04d}-1 differs from the journal: tag pareto_front\n"
    assert said in found.stdout
    assert store.call("doctor", "trading", "--fix").exit_code == 0
    assert store.marked() == front_of(store)
    assert store.call("doctor", "trading").exit_code == 0


def test_a_sweep_of_one_objective_has_no_marks():
    assert front_keys(make_info(), [make_record(trial) for trial in range(4)]) == set()
    assert "objectives" not in sweep_tags(make_info(), note())


def note():
    from sweeps.tracking.content import SweepNote

    return SweepNote()


def test_the_view_shows_one_objective_against_the_other_first():
    records = [make_record(trial, epochs=3 + trial) for trial in range(5)]
    state = json.loads(view_of(INFO, records, records)[1])
    first = state["compareRunCharts"][0]
    assert first["type"] == "SCATTER"
    assert first["xaxis"] == {"type": "METRIC", "key": "best_epoch"}
    assert first["yaxis"] == {"type": "METRIC", "key": "best_val_accuracy"}
    assert state["compareRunSections"][0]["name"] == "Pareto front"
    assert state["selectedColumns"][:3] == [
        "metrics.`best_val_accuracy`", "metrics.`best_epoch`", f"tags.`{ON_FRONT}`",
    ]  # fmt: skip


def test_the_parent_links_runs_of_the_front_and_offers_a_search_for_it():
    records = [make_record(trial, epochs=3 + trial) for trial in range(5)]
    front = front_keys(INFO, records)
    known = KnownSweep("1", "p", {r.key: (f"run{r.trial}", "") for r in records})
    best = sorted(records, key=lambda record: record.key not in front)
    text = directions(INFO, known, best, "told", None)
    assert "All trials, by best_val_accuracy" in text
    assert f"tags.{ON_FRONT} = 'true'" in text
    assert "The best" not in text
    assert "the best" not in text
