"""A confirmation end to end: the real digits, small nets, eight folds, the test set read once."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

import sweeps
from digitexp.data import load_source
from digitexp.experiments.recorded import CHAMPION, Recorded
from sweeps.analysis.summary import summarize
from sweeps.cli import app
from sweeps.cli.confirming import is_to_be_confirmed
from sweeps.confirm.finalists import ACCURACY, choose_finalists
from sweeps.confirm.planning import confirming_space
from sweeps.launch import RunResult
from sweeps.tracking.parent import FEWEST_TRIALS
from tests.sweeps.factories import make_info, make_record

SPACE = """
experiment: digitexp.experiment:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 1e-3, high: 1e-2, log: true}
fixed: {hidden_layers: 1, units_1: 16, epochs: 4, batch_size: 128}
baselines:
  slow: {learning_rate: 0.001}
defaults: {confirm: {top: 2, folds: 8}}
"""
WORDS = ("confirm", "nets", "--top", 2, "--folds", 8, "--workers", 0)
realistic = [pytest.mark.slow, pytest.mark.tensorflow]


def caller(home):
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a home with a sweep of four trials that was confirmed, and what that said."""
    folder = tmp_path_factory.mktemp("confirmed")
    (folder / "nets.yaml").write_text(SPACE)
    call = caller(folder / "mlruns")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        words = ("--trials", 4, "--workers", 0, "--confirm")
        ran = call("run", folder / "nets.yaml", *words)
        assert ran.exit_code == 0, ran.output
        assert "Best of the three? " in ran.stdout
        assert len(ran.output.splitlines()) <= 40
        first, second, *_ = (one for one in ran.stdout.splitlines() if one.startswith("  sweeps "))
        assert first.startswith("  sweeps confirm nets --test ")
        assert second.startswith("  sweeps report nets ")
        result = call(*WORDS, "--json")
        assert result.exit_code == 0, result.output
        (folder / "told.json").write_text(result.stdout)
        yield folder / "mlruns"


@pytest.fixture
def told(home):
    return json.loads((home.parent / "told.json").read_text())


class TestConfirmed:
    pytestmark = realistic

    def test_the_best_and_the_baseline_are_judged_on_the_same_fresh_folds(self, home, told):
        assert (told["confirmation"], told["folds"]) == ("nets-confirmation", 8)
        labels = [standing["finalist"] for standing in told["standings"]]
        assert len(labels) == 3
        assert "baseline-slow" in labels
        store = home_store(home, "nets-confirmation")
        records = [store.read(record.key) for record in store.read_all()]
        assert len(records) == 24
        comparison = {}
        for record in records:
            arrays = record.result.arrays
            comparison.setdefault(record.params["block"], set()).add(
                arrays["fold_samples"].tobytes()
            )
            share = arrays["best_val_accuracy_by_sample"].mean()
            assert record.result.metrics["best_val_accuracy"] == pytest.approx(share)
            assert record.objective == record.result.metrics["best_val_accuracy"]
            assert store.weights(record), "all are kept: the test set scores every training"
        assert all(len(samples) == 1 for samples in comparison.values()), (
            "the same for every finalist"
        )
        means = [
            np.mean([r.objective for r in records if r.params["finalist"] == label])
            for label in labels
        ]
        assert [s["accuracy"]["value"] for s in told["standings"]] == pytest.approx(means)
        chances = [standing["chance_best"] for standing in told["standings"]]
        assert sum(chances) == pytest.approx(1)
        assert chances[0] == max(chances)
        assert (told["looks"], told["settled"]) == ([], False), "before the first look"
        assert told["quotable"]["low"] < told["quotable"]["value"] < told["quotable"]["high"]

    def test_whether_calibration_helps_is_judged_on_samples_that_did_not_fit_it(self, home, told):
        store = home_store(home, "nets-confirmation")
        records = [store.read(record.key) for record in store.read_all()]
        labels, classes = [s["finalist"] for s in told["standings"]], load_source(None).labels
        assert list(told["calibration"]["finalists"]) == labels
        for label in labels:
            found = told["calibration"]["finalists"][label]
            own = [r.result for r in records if r.params["finalist"] == label]
            heats = [result.info["temperature"] for result in own]
            assert [found["lowest"], found["highest"]] == [min(heats), max(heats)]
            plain = np.mean([result.metrics["best_val_cross_entropy"] for result in own])
            assert found["measures"]["nll"]["before"]["value"] == pytest.approx(plain)
            after = []
            for result, heat in zip(own, heats, strict=True):
                scaled = np.log(result.arrays["fold_predictions"].astype(np.float64)) / heat
                scaled -= scaled.max(axis=1, keepdims=True)
                chosen = scaled[np.arange(len(scaled)), classes[result.arrays["fold_samples"]]]
                after.append(np.mean(np.log(np.exp(scaled).sum(axis=1)) - chosen))
            assert found["measures"]["nll"]["after"]["value"] == pytest.approx(np.mean(after))
            for name in ("ece", "nll"):
                change = found["measures"][name]["change"]
                assert change["low"] <= change["value"] <= change["high"]
                said = found["measures"][name]["verdict"]
                assert (said == "lower") is (change["high"] < 0)
        page = sweeps.load("nets", home).report(home.parent / "heat.html").read_text()
        assert "Are its probabilities right?" in page
        assert "Are its probabilities right?" in caller(home)(*WORDS, "--details").stdout

    def test_pages_show_the_champion_on_samples_it_was_judged_on(self, home):
        shown = Recorded(home, None, None).shown("nets", CHAMPION)
        assert shown.part == "fold 0"
        champion = sweeps.load("nets", home).champion().record
        assert champion.params["block"] == 0
        right = shown.logits.argmax(axis=1) == shown.labels
        assert right.mean() == pytest.approx(champion.result.metrics["best_val_accuracy"])
        powers = np.exp(shown.logits - shown.logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        kept = champion.result.arrays["fold_predictions"]
        np.testing.assert_allclose(shares, kept, rtol=1e-3, atol=1e-5)
        experiment = home / "artifacts" / "Handwritten-digits-confirmations"
        pages = experiment.glob("*/artifacts/interactive/*.html")
        assert sorted(page.name for page in pages) == [
            "decision_regions.html",
            "pad.html",
            "softmax.html",
            "training.html",
        ]

    def test_only_the_search_has_a_report_and_a_grid_of_pictures(self, home):
        trained = sweeps.load("nets-confirmation", home).rows()
        assert sum(row.state == "COMPLETE" for row in trained) >= FEWEST_TRIALS
        experiment = home / "artifacts" / "Handwritten-digits-confirmations"
        drawn = [
            path.name for path in experiment.rglob("*") if path.name in {"report.html", "images"}
        ]
        assert not drawn
        assert list((home / "artifacts").rglob("images"))

    @pytest.mark.slow
    def test_doctor_finds_nothing_and_doing_it_again_trains_nothing(self, home):
        call = caller(home)
        again = call("confirm", "nets", "--details")  # the best two on eight folds, as before
        assert again.exit_code == 0, again.output
        assert "Confirmed on fresh folds: " in call("best", "nets").stdout
        told = json.loads(call("best", "nets", "--json").stdout)["confirmed"]
        assert [one["kind"] for one in told] == [
            "verdict",
            "selection_bias",
            "calibration",
            "ensemble",
            "verification",
        ]
        titles = (
            "Confirmed on fresh folds",
            "Selection bias of the search's best",
            "Are its probabilities right?",
            "An ensemble of trials",
            "Verification",
        )
        assert all(f"{title}: " in call("best", "nets").stdout for title in titles)
        assert "COMPLETE" not in again.output, "all of it is there"
        assert "The best of the search" in again.stdout
        last = again.stdout.splitlines()[-4:]  # what to do next, and the source, stand below
        assert any(line.startswith("  sweeps report nets ") for line in last), "commands to go on"
        told = json.loads(call("confirm", "nets", "--json").stdout)["answer"]
        assert told[-1].startswith("From 8 folds x 3 finalists; ")
        short = call("confirm", "nets").stdout
        assert " ".join(short.split()).startswith(" ".join(" ".join(told[:2]).split()))
        assert len(short.splitlines()) <= 12
        assert short.splitlines()[0] in again.stdout.splitlines()
        assert "Are its probabilities right?" not in short
        examined = call("doctor")
        assert examined.exit_code == 0, examined.output
        names = {row["name"] for row in json.loads(call("list", "--json").stdout)}
        assert names == {"nets", "nets-confirmation"}

    def test_other_data_are_refused(self, home, tmp_path):
        np.savez(tmp_path / "other.npz", X=np.random.default_rng(0).random((200, 20, 20)),
                 y=np.repeat(np.arange(10), 20))  # fmt: skip
        other = caller(home)(*WORDS, "--data", tmp_path / "other.npz")
        assert (other.exit_code, "was made on other data" in other.stderr) == (2, True)

    def test_the_winner_on_fold_0_is_the_registered_champion(self, home, told):
        client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
        (model,) = client.search_registered_models("name LIKE 'nets-%'")
        version = client.get_model_version_by_alias(model.name, "champion")
        assert version.tags["provisional"] == "false"
        run = client.get_run(version.run_id)
        assert run.data.tags["sweep"] == "nets-confirmation"
        assert run.data.params["finalist"] == told["champion"]
        assert run.data.params["block"] == "0", "fixed beforehand, whichever fold scored best"
        assert "confirmed on fresh folds" in model.description
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        (parent,) = client.search_runs(everywhere, "tags.kind = 'sweep' and tags.sweep = 'nets'")
        assert parent.data.tags["champion"] == told["champion"]
        assert "Confirmed on fresh folds" in parent.data.tags["mlflow.note.content"]
        with warnings.catch_warnings():  # of MLflow's own, while it is imported
            warnings.simplefilter("ignore")
            from mlflow.pyfunc import load_model

            served = load_model(version.source)  # a folder: no tracking address is set for others
        shares = np.asarray(served.predict(np.full((2, 400), 0.5, np.float32)))
        assert shares.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
        champion = sweeps.load("nets", home).champion()
        heat = champion.record.result.info["temperature"]
        logits = np.asarray(champion.load_model()(np.full((2, 400), 0.5, np.float32)), np.float64)
        powers = np.exp(logits[0] / heat)
        assert shares[0] == pytest.approx(powers / powers.sum(), abs=1e-6)

    def test_runs_of_finalists_have_what_they_get_wrong(self, home, told):
        client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
        everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
        examined = {}
        for run in client.search_runs(everywhere, "tags.sweep = 'nets-confirmation'"):
            files = {file.path for file in client.list_artifacts(run.info.run_id, "evaluation")}
            assert bool(files) is (run.data.params.get("block") == "0")
            if files:
                examined[run.data.params["finalist"]] = run
        assert set(examined) == {standing["finalist"] for standing in told["standings"]}

        for run in examined.values():
            kept = client.download_artifacts(run.info.run_id, "evaluation/diagnostics.json")
            found = json.loads(Path(kept).read_text(encoding="utf-8"))
            assert found["part"] == "fold 0"
            assert found["accuracy"] == pytest.approx(run.data.metrics["best_val_accuracy"])
            assert found["train_accuracy"] == run.data.metrics["train_accuracy"]

    @pytest.mark.slow
    def test_the_test_part_is_read_once_for_a_frozen_list(self, home, told):
        call = caller(home)
        first = call(*WORDS, "--test", "--json")
        assert first.exit_code == 0, first.output
        document = json.loads(first.stdout)
        tested = document["test"]
        assert (tested["evaluation"]["number"], tested["evaluation"]["of"]) == (1, 1)
        assert tested["finalists"][0]["role"] == "champion"
        quote = next(one for one in document["answer"] if one.startswith("Quote "))
        assert "on the test set (evaluation 1 of 1); the folds' " in quote
        score, folds = tested["finalists"][0]["accuracy"], told["quotable"]
        halves = [(one["high"] - one["low"]) / 2 for one in (score, folds)]
        agrees = abs(score["value"] - folds["value"]) <= np.hypot(*halves)
        assert quote.endswith(" agrees." if agrees else " does not agree.")
        named = {one["finalist"] for one in tested["finalists"]}
        assert named <= {s["finalist"] for s in told["standings"]}
        folder = next((home / "test").iterdir())
        with np.load(folder / "0001.npz", allow_pickle=False) as scores:
            correct = scores["values_0"]
        assert correct.shape == (8, 5000)
        assert tested["finalists"][0]["accuracy"]["value"] == pytest.approx(correct.mean())

        (folder / "0001.npz").unlink()  # as if it had been killed in between: the same evaluation
        again = json.loads(call(*WORDS, "--test", "--json").stdout)["test"]
        assert again == tested
        assert len(list(folder.glob("*.json"))) == 1
        page = sweeps.load("nets", home).report(home.parent / "nets.html").read_text()
        assert "The test set, read once" in page
        assert call("doctor").exit_code == 0

    @pytest.mark.slow
    def test_a_refit_takes_all_but_the_test_part_and_becomes_the_champion(
        self, home, told, tmp_path
    ):
        call = caller(home)
        assert call(*WORDS, "--refit", "--json").exit_code == 0
        sweep = sweeps.load("nets", home)
        champion = sweep.champion()
        assert champion.sweep.name == "nets-refit"
        folds = [r for r in home_store(home, "nets-confirmation").read_all() if r.result]
        epochs = champion.metrics["epochs"]
        assert min(r.result.metrics["best_epoch"] for r in folds) <= epochs <= 4
        assert set(champion.metrics) == {"best_epoch", "epochs", "train_seconds", "parameters"}
        assert champion.record.result.arrays["validation_logits"].shape == (1000, 10)
        own = (r for r in folds if r.params["finalist"] == told["champion"])
        heats = [r.result.info["temperature"] for r in own]
        mean = np.exp(np.mean(np.log(heats)))
        assert champion.record.result.info["temperature"] == pytest.approx(mean)
        exported = call("export", "nets", tmp_path / "model")
        assert exported.exit_code == 0, exported.output
        assert f"the champion of sweep 'nets', trial {champion.number}" in exported.stdout
        assert "of sweep 'nets-refit'" in exported.stdout
        about = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
        assert about.startswith(f"# nets, champion {told['champion']}\n\n")
        assert "Quote " in about
        client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
        (model,) = client.search_registered_models("name LIKE 'nets-%'")
        version = client.get_model_version_by_alias(model.name, "champion")
        assert client.get_run(version.run_id).data.tags["sweep"] == "nets-refit"
        assert len(client.search_model_versions(f"name = '{model.name}'")) == 3
        assert call("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("complete", "asked", "stopped_by", "says", "wanted", "follows"),
    [
        (20, 20, None, True, None, True),
        (14, 14, None, True, None, False),  # a quick look
        (14, 14, None, True, True, True),
        (20, 20, None, False, None, False),
        (20, 20, None, False, True, True),
        (20, 20, None, True, False, False),
        (20, 20, "budget", True, None, True),
        (20, 40, "exhausted", True, None, False),
        (20, 40, "interrupt", True, None, False),
        (20, 40, "timeout", True, True, False),
        (20, 20, "interrupt", True, True, False),
    ],
)
def test_it_follows_a_whole_sweep_only(complete, asked, stopped_by, says, wanted, follows):
    info = make_info(space={"defaults": {"confirm": {"top": 5, "folds": 20} if says else None}})
    records = [make_record(trial) for trial in range(complete)]
    summary = summarize(info, records, asked=asked, seconds=1.0, stopped_by=stopped_by)
    assert is_to_be_confirmed(RunResult(info, summary), wanted) is follows


def home_store(home, name):
    sweep = sweeps.load(name, home)
    return sweep.home.store(sweep.info.id)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["toy"], "has no fresh folds"),
        (["toy", "--folds", "10"], "multiple of four"),
        (["nothing"], "no sweep 'nothing'"),
        (["toy", "--again", "why"], "give --test too"),
    ],
)
def test_what_cannot_be_confirmed_is_said_and_creates_nothing(run_toy, make_home, words, said):
    run_toy(trials=3, workers=0)
    result = caller(make_home())("confirm", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert not list((make_home() / "sweeps").glob("*/finalists-*"))


def test_finalists_are_distinct_and_the_best_baseline_is_among_them():
    records = [make_record(trial) for trial in range(6)]
    chosen = choose_finalists(make_info(), records, 3, ACCURACY)
    assert [finalist.place for finalist in chosen] == [1, 2, 3]
    assert len({repr(f.config) for f in chosen}) == 3
    space = confirming_space("a.b:c", chosen, 8, ACCURACY, Path("a", "finalists-1"))
    points = [space.canonical(point) for point in space.enumerate()]
    labels = [finalist.label for finalist in chosen]
    asked = [{"block": fold, "finalist": label} for fold in range(8) for label in labels]
    assert points == asked, "fold by fold, so that any interruption leaves whole folds"
    assert [space.configuration(one) for one in points[:3]] == [
        {**finalist.config, "block": 0} for finalist in chosen
    ]


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_as_many_random_trials_are_confirmed_beside_the_search(home, tmp_path):
    shutil.copytree(home, tmp_path / "mlruns")  # a home may be moved; the others go on with theirs
    call = caller(tmp_path / "mlruns")
    assert call("rename", "nets", "netz").exit_code == 0
    words = ("confirm", "netz", "--top", 1, "--folds", 8, "--control", 3, "--replace", "--json")
    result = call(*words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    control = [s for s in told["standings"] if s["finalist"].startswith("control-")]
    assert len(control) == 1
    gain, low, high = (told["gain_over_control"][name] for name in ("value", "low", "high"))
    searched = next(s for s in told["standings"] if s["finalist"].startswith("trial-"))
    assert gain == pytest.approx(searched["accuracy"]["value"] - control[0]["accuracy"]["value"])
    assert low <= gain <= high
    assert "one random search of 3 trials" in call(*words[:-1], "--details").stdout
    sampled = home_store(tmp_path / "mlruns", "netz-control").read_all()
    assert len(sampled) == 3
    assert not any(record.origin.startswith("baseline ") for record in sampled)
    searched_rates = {r.params["learning_rate"] for r in home_store(home, "nets").read_all()}
    assert searched_rates.isdisjoint(r.params["learning_rate"] for r in sampled)
    assert call("doctor").exit_code == 0
    confirmation = told["confirmation"]
    assert call("delete", confirmation, "--yes").exit_code == 0
    assert call("doctor").exit_code == 0, "the champion is provisional again"
    assert "Confirmed" not in call("best", "netz").stdout
