"""Scripts of every kind: each runs alone, and as it is in a sweep by the space beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from tests.tools import need

FOLDER = Path(__file__).parents[2] / "examples" / "scripts"


def case(name, epochs, *marks, needs=None):
    return pytest.param(name, epochs, needs, marks=marks, id=name)


SCRIPTS = [
    case("descent", 10),
    case("csv_logger", 6, pytest.mark.slow),
    case("last_line", 1, pytest.mark.slow),
    case("mlflow_run", 5, pytest.mark.nightly),
    case("sklearn_cv", 1, pytest.mark.nightly),
    case("hydra_app", 5, pytest.mark.nightly, needs="hydra"),
    case("jax_train", 10, pytest.mark.nightly, needs="jax"),
    case("lightgbm_log", 20, pytest.mark.nightly, needs="lightgbm"),
    case("smooth", 1, pytest.mark.nightly, needs="Rscript"),
    case("torch_argparse", 8, pytest.mark.nightly, needs="torch"),
]


def test_every_script_is_a_case():
    cases = {parameter.values[0] for parameter in SCRIPTS}
    assert {path.stem for path in FOLDER.glob("*.yaml")} == cases
    assert {path.stem for path in FOLDER.iterdir() if path.suffix in {".py", ".sh", ".R"}} == cases


def test_they_name_nothing_of_this_project():
    for path in FOLDER.iterdir():
        if path.suffix in {".py", ".sh", ".R"}:
            text = path.read_text()
            assert "sweeps" not in text.lower(), path.name
            assert len(text.splitlines()) <= 60, path.name


@pytest.mark.parametrize(("name", "epochs", "needs"), SCRIPTS)
def test_it_runs_alone_and_in_a_sweep(tmp_path, make_home, monkeypatch, name, epochs, needs):
    if needs == "Rscript" and shutil.which("Rscript") is None:
        pytest.skip("Rscript is missing: apt-get install r-base-core")
    if needs not in {None, "Rscript"}:
        need(needs)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    space = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    alone = _run_alone(name, tmp_path)
    for pattern in space.get("metrics", {}).values():
        assert re.search(pattern, alone, re.MULTILINE), alone

    words = ["run", str(FOLDER / f"{name}.yaml"), "--trials", "2", "--workers", "1", "--quiet"]
    result = CliRunner().invoke(app, [*words, "--home", str(make_home())])
    assert result.exit_code == 0, result.output
    sweep = sweeps.load(name, make_home())
    metric = space["objective"]["metric"]
    for row in sweep.rows():
        assert row.state == "COMPLETE", row.error
        curve = sweep.trial(row.trial).record.result.history[metric]
        assert len(curve) == epochs
        assert row.objective == curve[-1]
    wrote = sweep.trial(0).files
    if name == "csv_logger":
        assert sweep.confusion(0).to_numpy().sum() == 450
        assert "output/version_0/weights.npz" in wrote
    if name == "mlflow_run":
        assert wrote["mlflow/run/params/alpha"] == b"0.0001"
        assert "mlflow/run/artifacts/weights.json" in wrote


def _run_alone(name, folder):
    """Run a script with its own defaults in an empty folder; return what it printed."""
    (script,) = (path for path in FOLDER.glob(f"{name}.*") if path.suffix != ".yaml")
    program = {".py": "python3", ".sh": "sh", ".R": "Rscript"}[script.suffix]
    store = {"MLFLOW_TRACKING_URI": str(folder / "mlruns"), "MLFLOW_ALLOW_FILE_STORE": "true"}
    done = subprocess.run(
        [program, str(script)],
        cwd=folder, env={**os.environ, **store}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
