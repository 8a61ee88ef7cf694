"""A trial's model taken away, and used as its README says; a sweep as a study of Optuna."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from tests.sweeps.conftest import TOY
from tests.sweeps.forging import events_in


def export(home, *words):
    return CliRunner().invoke(app, ["export", *map(str, words), "--home", str(home)])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_best_digits_model_works_as_its_readme_says(make_home, tmp_path):
    sweep = sweeps.run("smoke", trials=2, workers=0, home=make_home(), progress="quiet")
    folder = tmp_path / "model"
    result = export(make_home(), "smoke", folder)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.keras", "preprocessing.json",
    ]  # fmt: skip
    facts = json.loads((folder / "config.json").read_text())
    assert facts["config"] == dict(sweep.best().record.config)
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 6
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    (shares,) = json.loads(ran.stdout)
    temperature = json.loads((folder / "preprocessing.json").read_text())["temperature"]
    assert temperature == sweep.best().record.result.info["temperature"] != 1
    logits = np.asarray(sweep.best().load_model()(np.zeros((1, 400), np.float32)), np.float64)
    powers = np.exp(logits[0] / temperature)
    assert shares == pytest.approx(powers / powers.sum(), abs=1e-6)
    again = export(make_home(), "smoke", folder)
    assert (again.exit_code, "is not empty" in again.stderr) == (2, True)


def test_an_experiment_that_exports_nothing_says_so(run_toy, make_home, tmp_path):
    run_toy(trials=2, workers=0)
    result = export(make_home(), "toy", tmp_path / "model")
    assert result.exit_code == 2
    assert "give it a method `export`" in result.stderr
    assert not (tmp_path / "model").exists()
    missing = export(make_home(), "toy", tmp_path / "model", "--trial", "7")
    assert (missing.exit_code, "has no trial 7" in missing.stderr) == (2, True)


def test_a_script_leaves_its_files_and_the_command_that_makes_them_again(make_home, tmp_path):
    (tmp_path / "train.py").write_text(
        "import json, os, pathlib, sys\n"
        "x, seed, out = sys.argv[1:]\n"
        "model = pathlib.Path(out) / 'nets' / 'model.json'\n"
        "model.parent.mkdir()\n"
        "model.write_text(x + ' ' + seed)\n"
        "assert pathlib.Path(out).samefile(os.environ['SWEEPS_OUTPUT'])\n"
        "print(json.dumps({'result': {'score': float(x)}}))\n"
    )
    (tmp_path / "own.yaml").write_text(
        f"command: {sys.executable} train.py {{x}} {{seed}} {{output}}\n"
        "objective: {metric: score, direction: maximize}\n"
        "parameters:\n  x: {type: float, low: 0, high: 1}\n"
    )
    sweep = sweeps.run(
        tmp_path / "own.yaml", trials=2, workers=0, home=make_home(), progress="quiet"
    )
    folder = tmp_path / "taken"
    result = export(make_home(), "own", folder)
    assert result.exit_code == 0, result.output
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "README.md", "config.json", "output/nets/model.json", "stdout.txt",
    ]  # fmt: skip
    facts = json.loads((folder / "config.json").read_text())
    assert facts["config"] == dict(sweep.best().record.config)
    assert facts["versions"]["python"]
    readme = (folder / "README.md").read_text()
    assert f"which was `{tmp_path}`" in readme
    (code,) = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert facts["command"] in code
    subprocess.run(["sh", "-ec", code], cwd=tmp_path, check=True, capture_output=True)
    again = tmp_path / "again" / "nets" / "model.json"
    assert again.read_text() == (folder / "output" / "nets" / "model.json").read_text()


def trials_of(file, name="toy"):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{file}").trials


def test_all_trials_are_written_as_a_study_of_optuna(
    finished_toy, make_home, tmp_path, monkeypatch
):
    sweep = finished_toy(trials=3)
    monkeypatch.chdir(tmp_path)
    result = export(sweep.home.path, "toy", "--study", "new/study.db")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert result.stdout.splitlines() == [
        "3 trials of sweep 'toy' in new/study.db",
        "to look at them: optuna-dashboard sqlite:///new/study.db",
    ]
    for trial, row in zip(trials_of("new/study.db"), sweep.rows(), strict=True):
        assert (trial.params, trial.value) == (dict(row.params), row.objective)
        assert list(trial.intermediate_values) == [0, 1, 2]
        assert trial.user_attrs.items() >= {"origin": row.origin, **row.metrics}.items()
    again = export(sweep.home.path, "toy", "--study", "new/study.db")
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == ("error: new/study.db exists; give another name, nothing was written\n")
    assert sweeps.export(sweep, study="other.db") == [Path("other.db")]
    assert [one.value for one in trials_of("other.db")] == [row.objective for row in sweep.rows()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give a folder for a model, or with --study a file for all trials"),
        (["model", "--study", "s.db"], "leave out the folder, --trial, --ensemble and --data"),
        (["--study", "s.db", "--trial", "0"], "--study writes all trials and no model"),
        (["--study", "s.db", "--data", "toy"], "--study writes all trials and no model"),
    ],
)
def test_a_model_or_a_study_is_written_and_not_both(
    finished_toy, tmp_path, monkeypatch, words, said
):
    sweep = finished_toy(trials=3)
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    result = export(sweep.home.path, "toy", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert set(tmp_path.iterdir()) == before


def test_from_python_the_messages_name_the_arguments(finished_toy):
    sweep = finished_toy(trials=3)
    with pytest.raises(UsageError, match="or with study a file for all trials"):
        sweeps.export(sweep)
    with pytest.raises(UsageError, match="leave out the folder, trial, ensemble=True and data"):
        sweeps.export(sweep, study="study.db", trial=0)


def test_the_study_of_an_extended_sweep_has_all_trials(run_toy, toy_space, make_home, tmp_path):
    run_toy(trials=3)
    changed = TOY.replace("low: -1, high: 1", "low: 0.1, high: 2, log: true")
    toy_space.write_text(changed.replace("[a, b, c]", "[a, b]"))
    sweep = run_toy(trials=6, extend=True)
    file = tmp_path / "study.db"
    assert export(make_home(), "toy", "--study", file).exit_code == 0
    trials = trials_of(file)
    assert [trial.params for trial in trials] == [dict(row.params) for row in sweep.rows()]
    assert len({trial.distributions["x"] for trial in trials}) == 1


def test_a_trial_that_is_left_out_is_named(finished_toy, tmp_path):
    sweep = finished_toy(trials=3)
    journal = sweep.home.store(sweep.info.id).journal.path
    content = journal.read_bytes()
    (end,) = (e for e in events_in(content) if e["kind"] == "ended 2" and e["trial"] == 1)
    journal.write_bytes(content.replace(b'"number":%d,' % end["number"], b'"number":!,'))
    result = export(sweep.home.path, "toy", "--study", tmp_path / "study.db")
    assert "left out, without an outcome: 1; Optuna numbers the later ones anew" in result.stdout
    numbers = [trial.user_attrs["trial"] for trial in trials_of(tmp_path / "study.db")]
    assert numbers == [0, 2]
