"""`sweeps confirm --refit` and `--control N`, on a sweep whose trainings are drawn."""

import json
import shutil
from statistics import mean, median

import msgspec
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.journal.events import Begun, Record, to_line
from tests.sweeps.voting_experiment import SPACE, VotingExperiment

pytestmark = pytest.mark.slow
CONFIRM = ("confirm", "drawn", "--top", 1, "--folds", 8, "--workers", 0, "--json")


def caller(home):
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory, migrated_database):
    """Return a home with a sweep that was confirmed, and what that said."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "drawn.yaml").write_text(SPACE)
    (folder / "mlruns").mkdir()
    shutil.copy(migrated_database, folder / "mlruns" / "mlflow.db")
    call = caller(folder / "mlruns")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        ran = call("run", folder / "drawn.yaml", "--workers", 0)
        assert ran.exit_code == 0, ran.output
        told = call(*CONFIRM[:-2], 1, "--json")  # by a worker, this once
        assert told.exit_code == 0, told.output
        yield folder / "mlruns", json.loads(told.stdout)


@pytest.fixture
def home(confirmed, tmp_path):
    shutil.copytree(confirmed[0], tmp_path / "mlruns")  # a home may be moved
    return tmp_path / "mlruns"


def records(home, name):
    sweep = sweeps.load(name, home)
    return sweep.home.store(sweep.info.id).read_all()


def test_a_refit_is_trained_once_as_long_as_the_winner_took_and_becomes_the_champion(
    confirmed, home
):
    call = caller(home)
    recommended = confirmed[1]["champion"]
    before = sweeps.load("drawn", home).champion()
    assert before.sweep.name == "drawn-confirmation"
    result = call(*CONFIRM, "--refit")
    assert result.exit_code == 0, result.output
    (refit,) = records(home, "drawn-refit")
    folds = [r for r in records(home, "drawn-confirmation") if r.params["finalist"] == recommended]
    took = median(r.result.metrics["best_epoch"] for r in folds)
    assert refit.config["refit_epochs"] == round(took) == 14
    (winner,) = [r for r in records(home, "drawn") if f"trial-{r.trial}" == recommended]
    assert refit.config["skill"] == winner.params["skill"]
    champion = sweeps.load("drawn", home).champion()
    assert (champion.sweep.name, champion.record) == ("drawn-refit", refit)
    assert call(*CONFIRM, "--refit").exit_code == 0
    assert len(records(home, "drawn-refit")) == 1, "what was trained is not trained again"
    again = call(*CONFIRM)
    assert again.exit_code == 0, again.output
    champion = sweeps.load("drawn", home).champion()
    assert champion.sweep.name == "drawn-refit", "it is not forgotten where it is not asked for"
    assert json.loads(again.stdout)["refit"] == "drawn-refit"
    said = f"The champion is {recommended}, trained on all but the test set (drawn-refit)."
    page = sweeps.load("drawn", home).report(home.parent / "drawn.html").read_text()
    assert said in page
    assert call("doctor").exit_code == 0


def test_the_readme_of_an_exported_refit_says_what_was_trained_on_what(home, tmp_path, monkeypatch):
    monkeypatch.setattr(
        VotingExperiment, "export", lambda *_: "answer = the_model(x)", raising=False
    )
    call = caller(home)
    told = json.loads(call(*CONFIRM, "--refit").stdout)
    exported = call("export", "drawn", tmp_path / "model")
    assert exported.exit_code == 0, exported.output
    choice, skill, quote, *_ = told["answer"]
    metrics = sweeps.load("drawn", home).champion().metrics
    rows = "".join(f"| {name} | {value:.6g} |\n" for name, value in metrics.items())
    assert metrics["epochs"] == 14
    assert skill.startswith("  skill="), "the parameters are in config.json"
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8") == (
        f"# drawn, champion {told['champion']}\n\n"
        f"{choice} {quote}\n\n"
        "The model was trained on all but the test set (trial 0000-1 of sweep `drawn-refit`). The "
        "figure is that of trainings on folds, which had less data: no sample is left to score "
        "this one. Its configuration, seed and versions are in `config.json`.\n\n"
        "```python\nanswer = the_model(x)\n```\n\n"
        "Measured by that training alone: the figure to quote is the one above.\n\n"
        f"| metric | value |\n|---|---|\n{rows}\n"
        "Unchecked: its experiment cannot recompute what was recorded.\n"
    )


def test_a_refit_of_another_winner_is_not_taken_for_this_ones(confirmed, home):
    call = caller(home)
    assert call(*CONFIRM, "--refit").exit_code == 0
    sweep = sweeps.load("drawn-refit", home)
    winner = sweeps.load("drawn", home).champion().record.config
    other = {**winner, "skill": 9.5}
    store = sweep.home.store(sweep.info.id)

    def of_another(event):
        if isinstance(event, Begun):
            space = {**event.space, "fixed": {**event.space["fixed"], "skill": 9.5}}
            return msgspec.structs.replace(event, space=space)
        return msgspec.structs.replace(event, config=other) if isinstance(event, Record) else event

    events = map(of_another, store.journal.read(pytest.fail))
    store.journal.path.write_bytes(b"".join(map(to_line, events)))
    assert call(*CONFIRM).exit_code == 0
    assert sweeps.load("drawn", home).champion().sweep.name == "drawn-confirmation"
    result = call(*CONFIRM, "--refit")
    assert result.exit_code == 0, result.output
    champion = sweeps.load("drawn", home).champion()
    assert champion.sweep.name == "drawn-refit-2"
    assert champion.record.config["skill"] == winner["skill"]
    assert len(records(home, "drawn-refit")) == 1


def test_the_best_of_as_many_random_trials_is_confirmed_beside_the_best_of_the_search(home):
    call = caller(home)
    result = call(*CONFIRM, "--control", 3)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    sampled = records(home, "drawn-control")
    assert len(sampled) == 3
    assert {record.origin for record in sampled} == {"sampled"}, "no baseline among them"
    searched = {record.params["skill"] for record in records(home, "drawn")}
    assert searched.isdisjoint(record.params["skill"] for record in sampled)
    best = max(sampled, key=lambda record: record.objective)
    labels = [standing["finalist"] for standing in told["standings"]]
    (control,) = [label for label in labels if label.startswith("control-")]
    assert control == f"control-{best.trial}"
    (found,) = [label for label in labels if label.startswith("trial-")]
    comparison = records(home, told["confirmation"])
    means = {
        label: mean(r.objective for r in comparison if r.params["finalist"] == label)
        for label in (found, control)
    }
    gain, low, high = (told["gain_over_control"][name] for name in ("value", "low", "high"))
    assert gain == pytest.approx(means[found] - means[control])
    assert low < gain < high
    page = sweeps.load("drawn", home).report(home.parent / "drawn.html").read_text()
    assert "one random search of 3 trials" in page
    assert "Did searching pay?" not in page
    assert call("doctor").exit_code == 0


def test_a_paragraph_for_a_paper_is_printed_or_written_as_text_or_latex(home, tmp_path):
    call = caller(home)
    printed = call("report", "drawn", "--methods")
    assert printed.exit_code == 0, printed.output
    assert max(map(len, printed.stdout.splitlines())) <= 80
    assert "With so few folds no finalist was called better or worse." in " ".join(
        printed.stdout.split()
    )
    for name, percent in (("paper.tex", "\\,\\%"), ("paper.txt", " %")):
        written = call("report", "drawn", "--methods", "-o", tmp_path / name)
        assert (written.exit_code, written.stdout.strip()) == (0, str(tmp_path / name))
        assert percent in (tmp_path / name).read_text()
    refused = call("report", "drawn-confirmation", "--methods")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "first: `sweeps confirm drawn-confirmation" in refused.stderr


def test_more_folds_go_on_with_the_trainings_there_are(home):
    call = caller(home)
    before = {r.key for r in records(home, "drawn-confirmation")}
    result = call("confirm", "drawn", "--folds", 20, "--workers", 0, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["confirmation"], told["folds"]) == ("drawn-confirmation", 20), "not another one"
    trained = records(home, "drawn-confirmation")
    assert {r.key for r in trained} >= before
    assert len(trained) == 20 * len(told["standings"]), "nothing is trained twice"
    again = call("confirm", "drawn", "--workers", 0, "--json")  # with as many folds as before
    assert json.loads(again.stdout) == told
    fewer = json.loads(call(*CONFIRM).stdout)
    assert (fewer["confirmation"], fewer["folds"]) == ("drawn-confirmation", 8)
    assert len(records(home, "drawn-confirmation")) == len(trained)


def test_a_margin_that_is_no_difference_is_refused(home):
    refused = caller(home)("confirm", "drawn", "--margin", 1.5)
    assert refused.exit_code == 2
    assert "--margin 1.5: give a difference of accuracy between 0 and 1" in refused.stderr
