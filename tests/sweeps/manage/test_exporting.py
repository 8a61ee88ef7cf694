"""A trial's model taken away, and used as its README says."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app


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
    assert facts["config"] == dict(sweep.best().record.spec.config)
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
    assert facts["config"] == dict(sweep.best().record.spec.config)
    assert facts["versions"]["python"]
    readme = (folder / "README.md").read_text()
    assert f"which was `{tmp_path}`" in readme
    (code,) = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert facts["command"] in code
    subprocess.run(["sh", "-ec", code], cwd=tmp_path, check=True, capture_output=True)
    again = tmp_path / "again" / "nets" / "model.json"
    assert again.read_text() == (folder / "output" / "nets" / "model.json").read_text()
