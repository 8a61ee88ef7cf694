"""Experiments of one's own, found again by what comes after the sweep: replay, export, report."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.experiments.loading import check_installed, load_experiment
from sweeps.home import Home
from tests.sweeps import journals, voting_experiment

OWN = """

def _export(self, config, weights, info, folder):
    (folder / "skill.txt").write_text(str(weights["skill"][0]))
    return "print(open('skill.txt').read())"


def _examine(self, config, data, result):
    return {"summary.txt": b"it errs"}


VotingExperiment.export, VotingExperiment.examine = _export, _examine
VotingExperiment.validation_labels = VotingExperiment.validation_truth
VotingExperiment.picture = lambda self, data, index: b"\\x89PNG\\r\\n\\x1a\\n"
"""
SPACES = """
from search_spaces.python_space import space

@space(
    experiment="ownnet:experiment",
    objective={"metric": "best_val_accuracy", "direction": "maximize"},
    baselines={"dull": {"skill": 1.0}},
    defaults={"trials": 4, "sampler": "random", "pruner": "none"},
)
def skills(trial):
    return {"skill": trial.suggest_float("skill", 1.0, 2.0)}
"""
AFTERWARDS = {
    "replay": ("replay", "skills", "1"),
    "export": ("export", "skills", "OUT"),
    "report": ("report", "skills", "--output", "OUT.html"),
    "enqueue": ("enqueue", "skills", "skill=1.25"),
}


@pytest.fixture
def anew(monkeypatch):
    """Return what makes the next command start as a new process does: nothing of ours imported."""

    def forget():
        for name in ("ownnet", "ownspaces"):
            sys.modules.pop(name, None)
        sys.path[:] = path

    path = list(sys.path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield forget
    forget()


@pytest.fixture
def project(tmp_path, make_home) -> Path:
    """A folder with an experiment and a space of one's own, and a home in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    source = Path(voting_experiment.__file__).read_text("utf-8")
    own = source.replace("tests.sweeps.voting_experiment:", "ownnet:")
    own = own.replace(
        "arrays = {PREDICTIONS:", 'arrays = {"validation_logits": logits, PREDICTIONS:'
    )
    (folder / "ownnet.py").write_text(own + OWN, "utf-8")
    (folder / "ownspaces.py").write_text(SPACES, "utf-8")
    make_home("project/mlruns")
    return folder


def call(home, *words):
    return CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


def run_in(folder, monkeypatch, *words):
    monkeypatch.chdir(folder)
    result = call(folder / "mlruns", "run", "ownspaces:skills", "--workers", 0, *words)
    assert result.exit_code == 0, result.output


def test_a_function_beside_its_experiment_is_found_by_what_comes_after_the_sweep(
    project, anew, monkeypatch, tmp_path
):
    run_in(project, monkeypatch)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for command, given in AFTERWARDS.items():
        anew()
        words = [word.replace("OUT", str(elsewhere / command)) for word in given]
        result = call(project / "mlruns", *words)
        assert result.exit_code == 0, (command, result.output)
        assert "cannot be shown" not in result.output, command
    assert (elsewhere / "export" / "skill.txt").exists()


def test_half_a_capability_is_a_mistake(project, anew, monkeypatch):
    own = project / "ownnet.py"
    own.write_text(own.read_text("utf-8").replace(".picture =", ".pictures ="), "utf-8")
    monkeypatch.chdir(project)
    result = call(project / "mlruns", "run", "ownspaces:skills", "--workers", 0)
    assert result.exit_code == 2
    assert "has `validation_labels` without `picture`, which belongs to it" in result.output
    assert "did you mean 'pictures'" in result.output
    assert not list((project / "mlruns").glob("sweeps/*"))


def test_a_misspelt_capability_is_a_mistake(project, anew, monkeypatch):
    own = project / "ownnet.py"
    both = own.read_text("utf-8").replace(".picture =", ".pictures =")
    own.write_text(both.replace(".validation_labels =", ".validation_label ="), "utf-8")
    monkeypatch.chdir(project)
    result = call(project / "mlruns", "run", "ownspaces:skills", "--workers", 0)
    assert result.exit_code == 2
    assert "has `pictures`, which nothing asks for: if 'picture' is meant" in result.output
    assert not list((project / "mlruns").glob("sweeps/*"))


@pytest.mark.slow
def test_a_confirmation_finds_the_experiment_of_the_sweep_that_it_confirms(
    project, anew, monkeypatch, tmp_path
):
    run_in(project, monkeypatch)
    home = project / "mlruns"
    words = ("confirm", "skills", "--top", 1, "--folds", 8, "--workers", 0)
    assert call(home, *words).exit_code == 0
    monkeypatch.chdir(tmp_path)
    for command, words in {
        "replay": ("replay", "skills-confirmation", 1),
        "export": ("export", "skills-confirmation", tmp_path / "final", "--trial", 1),
        "the champion": ("export", "skills", tmp_path / "champion"),
    }.items():
        anew()
        result = call(home, *words)
        assert result.exit_code == 0, (command, result.output)
    anew()
    assert sweeps.load("skills", home).champion().load_model()


def test_a_project_that_was_moved_with_its_home_is_found_where_it_lies_now(
    project, anew, monkeypatch, tmp_path
):
    run_in(project, monkeypatch)
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "moved"
    shutil.move(project, moved)
    anew()
    result = call(moved / "mlruns", "replay", "skills", 1)
    assert result.exit_code == 0, result.output


def test_a_home_that_was_moved_away_finds_the_experiment_in_the_current_folder(
    project, anew, monkeypatch, tmp_path
):
    run_in(project, monkeypatch)
    home, code = tmp_path / "archive" / "mlruns", tmp_path / "code"
    shutil.copytree(project / "mlruns", home)
    shutil.move(project, code)
    monkeypatch.chdir(code)
    anew()
    result = call(home, "replay", "skills", 1)
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path)
    anew()
    refused = call(home, "replay", "skills", 1)
    assert refused.exit_code == 2
    assert f"looked in {project}" in refused.stderr
    assert "run the command in the folder where it lies now" in refused.stderr


def test_a_sweep_that_remembers_no_folder_finds_its_experiment_in_the_current_one(
    project, anew, monkeypatch
):
    """As sweeps of functions were recorded before."""
    run_in(project, monkeypatch)
    home = Home(project / "mlruns")
    journals.alter(home.store(home.get("skills").id), "begun", directory=None)
    assert home.get("skills").directory is None
    anew()
    result = call(home.path, "replay", "skills", 1)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "path",
    [
        "script:a", "script:a,b:maximize:sh x.sh", 'script:a:maximize:{"metrics": 3} sh x.sh',
        'script:a:maximize:{"metrics": {"a": 3}} sh x.sh',
        'script:a:maximize:{"result": 3} sh x.sh',
        'script:a:maximize:{"metrics": {} sh x.sh', 'script:a:maximize:{"a":' + "[" * 100_000,
    ],
)  # fmt: skip
def test_a_forged_path_of_a_script_is_one_message(path):
    with pytest.raises(UsageError, match="it is damaged, no space makes it"):
        load_experiment(path, None)


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        (["numpy", "no_such_package"], "needs no_such_package, which is not installed; install wh"),
        (["no_such.package"], "needs no_such.package, which is not installed"),
        (["no_such", "sys.gone"], "needs no_such and sys.gone, which are not installed"),
        (["numpy", "sys"], None),
    ],
)
def test_a_package_that_trainings_need_and_that_is_missing_is_named_first(requires, said):
    experiment = voting_experiment.VotingExperiment()
    experiment.requires = requires
    with nullcontext() if said is None else pytest.raises(UsageError, match=said):
        check_installed(experiment, "mine:experiment")
