"""The verdict in MLflow: on the runs of finalists and of the sweep, as the journal has it."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.home import Home
from sweeps.records import Conclusions
from sweeps.tracking.store import close_client, open_client
from tests.sweeps.voting_experiment import SPACE

pytestmark = pytest.mark.slow


class Confirmed:
    """A home with a sweep of five trials, and its runs."""

    def __init__(self, home):
        self.home = Home(home)

    def call(self, *words):
        said = CliRunner().invoke(app, [*map(str, words), "--home", str(self.home.path)])
        assert said.exit_code == 0, said.output
        return said.stdout

    def verdict(self):
        return Conclusions(self.home.store(self.home.get("one").id)).confirmed().verdict

    def runs(self):
        """Return trial (`sweep` of the parent) -> confirmed figures, and the marks."""
        client = open_client(f"sqlite:///{self.home.path / 'mlflow.db'}")
        found, sweep = {}, self.home.get("one").id
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        for run in client.search_runs(ids, f"tags.sweep_id = '{sweep}'"):
            figures = [run.data.metrics.get(f"confirmed{end}") for end in ("", "_low", "_high")]
            marks = {name: run.data.tags.get(name) for name in ("champion", "settled")}
            name = run.data.tags.get("trial_number")
            found["sweep" if name is None else int(name)] = (figures, marks)
        close_client(client)
        return found

    def view(self):
        client = open_client(f"sqlite:///{self.home.path / 'mlflow.db'}")
        prefix = "mlflow.sharedViewState."
        (state,) = (
            json.loads(experiment.tags[key])
            for experiment in client.search_experiments()
            for key in experiment.tags
            if key == f"{prefix}{self.home.get('one').id}"
        )
        close_client(client)
        return state

    def check(self):
        """The runs say what the verdict in force does, and nothing else."""
        verdict, runs = self.verdict(), self.runs()
        for standing in verdict.standings:
            is_taken = standing is verdict.taken
            score = verdict.quotable if is_taken else standing.accuracy
            figures, marks = runs.pop(standing.trial)
            assert figures == [score.value, score.low, score.high]
            assert marks == {"champion": "true" if is_taken else None, "settled": None}
        score = verdict.figure
        assert runs.pop("sweep") == (
            [score.value, score.low, score.high],
            {"champion": verdict.champion, "settled": str(verdict.settled).lower()},
        )
        return runs


@pytest.fixture
def confirmed(tmp_path, make_home, migrated_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "one.yaml").write_text(SPACE)
    make_home().mkdir(exist_ok=True)
    shutil.copy(migrated_database, make_home() / "mlflow.db")
    made = Confirmed(make_home())
    made.call("run", tmp_path / "one.yaml", "--workers", 0)
    assert "metrics.`confirmed`" not in made.view()["selectedColumns"]
    made.call("confirm", "one", "--workers", 0, "--folds", 20, "--top", 3)
    return made


def test_finalists_have_their_score_on_fresh_folds_and_the_champion_is_marked(confirmed):
    left_out = confirmed.check()
    assert left_out, "not all trials were finalists"
    assert {str(run) for run in left_out.values()} == {
        str(([None] * 3, {"champion": None, "settled": None}))
    }
    columns = confirmed.view()["selectedColumns"]
    assert columns[1] == "metrics.`confirmed`", "beside the objective"
    assert "all is well" in confirmed.call("doctor")


def test_what_another_confirmation_says_takes_its_place_and_comes_back(confirmed):
    confirmed.call("confirm", "one", "--workers", 0, "--fresh", 1, "--replace")
    confirmed.check()
    confirmed.call("confirm", "one", "--restore")
    confirmed.check()


def test_it_is_made_anew_from_the_journal(confirmed, migrated_database):
    before = confirmed.runs()
    shutil.copy(migrated_database, confirmed.home.path / "mlflow.db")
    confirmed.call("sync", "one")
    assert confirmed.runs() == before
