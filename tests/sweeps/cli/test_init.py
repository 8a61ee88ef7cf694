"""`sweeps init`: what it writes works as it stands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app

KINDS = [pytest.param("keras", marks=pytest.mark.tensorflow), "scikit-learn", "script"]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_trials_pass_where_it_was_written(tmp_path, make_home, warm, kind):
    folder = tmp_path / "new one"
    result = CliRunner().invoke(app, ["init", str(folder), "--kind", kind])
    assert result.exit_code == 0, result.output
    own = "train.py" if kind == "script" else "experiment.py"
    assert files(folder) == sorted(["space.yaml", own, "test_experiment.py"])
    make_home("new one/mlruns")  # MLflow's migrations take seconds
    typed = "sweeps run space.yaml --trials 2 --strict --workers 2\npytest -p no:cacheprovider\n"
    ran = subprocess.run(
        ["bash", "-ec", warm.functions() + typed],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_keras_is_the_default_and_nothing_is_overwritten(tmp_path):
    assert CliRunner().invoke(app, ["init", str(tmp_path / "a")]).exit_code == 0
    experiment = tmp_path / "a" / "experiment.py"
    assert "KerasExperiment(build, load" in experiment.read_text()
    experiment.write_text("mine")
    result = CliRunner().invoke(app, ["init", str(tmp_path / "a"), "--kind", "script"])
    assert result.exit_code == 2
    assert "space.yaml, test_experiment.py already" in result.stderr
    assert experiment.read_text() == "mine"
    assert not (tmp_path / "a" / "train.py").exists()


@pytest.mark.parametrize("kind", ["keras", "scikit-learn"])
def test_an_experiment_of_a_users_own_takes_at_most_twelve_lines(kind):
    scaffold = Path(__file__).parents[3] / "sweeps" / "cli" / "scaffolds" / kind
    text = (scaffold / "experiment.py.txt").read_text()
    code = [line for line in text.splitlines() if line.strip() and '"""' not in line]
    assert len(code) <= 12, code


def test_a_kind_that_there_is_not_is_a_mistake(tmp_path):
    result = CliRunner().invoke(app, ["init", str(tmp_path / "a"), "--kind", "pytorch"])
    assert result.exit_code == 2
    assert not (tmp_path / "a").exists()
