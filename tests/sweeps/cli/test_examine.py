"""What a trial gets wrong, by command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from tests.sweeps.examined_experiment import CONFIRMING, SPACE

FILES = {"summary.txt", "diagnostics.json", "errors.png"}


@pytest.fixture
def call(make_home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return CliRunner().invoke(app, ["examine", *map(str, words), "--home", str(make_home())])

    return call


@pytest.fixture
def run(make_home, tmp_path):
    def run(text=SPACE, name="nets", folder="spaces", **options):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        file = tmp_path / folder / "space.yaml"
        file.write_text(text)
        home = make_home()
        return sweeps.run(str(file), name=name, home=home, progress="quiet", workers=0, **options)

    return run


@pytest.fixture
def confirmation(run):
    return run(CONFIRMING, "nets-confirmation", "20250101-ab12cd34/finalists-1")


def written(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_best_trial_is_examined_and_its_files_are_written(run, call, tmp_path):
    best = run().best().number
    result = call("nets")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"trial {best} of nets\nfirst paragraph\n\nsecond paragraph\n")
    assert written(tmp_path / "nets-evaluation" / f"trial-{best}") == FILES


def test_another_trial_into_a_folder_of_ones_own_as_json(run, call, tmp_path):
    sweep = run()
    result = call("nets", 1, "--output", tmp_path / "there", "--json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["trials"]
    assert (found["trial"], found["folder"]) == (1, str(tmp_path / "there"))
    assert found["diagnostics"]["x"] == sweep.trial(1).params["x"]
    assert set(found["files"]) == written(tmp_path / "there") == FILES


def test_by_the_name_of_a_confirmation_every_finalist_is_examined(confirmation, call, tmp_path):
    result = call("nets-confirmation")
    assert result.exit_code == 0, result.output
    labels = {"trial-7", "baseline-first"}
    names = {f"{label}/{file}" for label in labels for file in FILES}
    assert written(tmp_path / "nets-confirmation-evaluation") == names
    assert "second paragraph" not in result.stdout
    again = json.loads(call("nets-confirmation", "--finalists", "--json").stdout)
    assert {one["label"] for one in again["trials"]} == labels
    rows = {row.trial: row for row in confirmation.rows()}
    assert all(rows[one["trial"]].params["block"] == 0 for one in again["trials"])


def test_one_training_of_a_confirmation_may_be_named(confirmation, call):
    other = next(row.trial for row in confirmation.rows() if row.params["block"] == 1)
    assert call("nets-confirmation", other).stdout.startswith(
        f"trial {other} of nets-confirmation\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nets", 9], "has no trial 9 with an outcome"),
        (["nets", 1, "--finalists"], "--finalists or trial 1: give one of them"),
        (["nets", "--finalists"], "first: `sweeps confirm nets"),
        (["nets", "--data", "other"], "was trained on other data (toy, digest abababababab)"),
        (["nets", "--data", "nothing"], "its data: data 'nothing'"),
        (["net"], "did you mean 'nets'"),
    ],
)
def test_what_cannot_be_examined_is_said_and_nothing_is_written(run, call, tmp_path, words, said):
    run()
    result = call(*words, "--output", tmp_path / "there")
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "there").exists()


def test_an_experiment_without_the_ability_is_refused(finished_toy, call):
    finished_toy(trials=1)
    result = call("toy")
    assert (result.exit_code, "give it a method `examine`" in result.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("diverge", "trial 0 cannot be examined: it kept no logits"),
        ("raise", "trial 0 failed (error): it has no result"),
    ],
)
def test_a_trial_that_kept_nothing_is_refused(run, call, mode, said):
    run(trials=1, overrides=(f"mode={mode}",))
    assert "has no complete trial yet" in call("nets").stderr
    result = call("nets", 0)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_of_several_objectives_a_trial_is_to_be_named(run, call):
    both = "\n  - {metric: score, direction: maximize}\n  - {metric: loss, direction: minimize}"
    run(SPACE.replace(" {metric: score, direction: maximize}", both))
    for words in (["nets"], ["nets", "--finalists"]):
        result = call(*words)
        assert (result.exit_code, "several objectives" in result.stderr) == (2, True)
    assert call("nets", 1).exit_code == 0
