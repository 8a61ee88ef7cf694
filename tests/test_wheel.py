"""What is built is what is needed: the wheel's contents, and a sweep from it far from the checkout.

A really empty environment takes minutes and gigabytes; that is `make wheel-test`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # By the hatchling of the extra [dev]: an isolated build would fetch one.
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel"]
    _run(*build, "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A venv with nothing but the wheel that borrows the libraries of this one.

    A path added by a .pth file is searched, but the .pth files in it are not read: the editable
    install of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(folder, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    python = str(folder / "bin" / "python")
    _run(*pip, "--python", python, "install", "-q", "--no-deps", "--no-index", str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_the_wheel_holds_what_a_sweep_needs_beside_its_code(contents):
    needed = {
        "digitexp/data/digits20/digits20.npz",
        "digitexp/pages/plotly.min.js",
        "digitexp/pages/plotly-3d.min.js",
        "sweeps/render/page/plotly.min.js",
        "digitexp/pages/net.js",
        "digitexp/pages/pad.css",
        "digitexp/data/digits20/ATTRIBUTION.md",
        "digitexp/data/digits20/LICENSE-CC-BY-SA-3.0.txt",
        "search_spaces/catalogue/cnn.yaml",
        "search_spaces/catalogue/mlp.yaml",
        "search_spaces/catalogue/smoke.yaml",
        "search_spaces/catalogue/tutorial.yaml",
        *(f"{package}/py.typed" for package in ("digitexp", "search_spaces", "sweeps")),
    }
    assert needed - set(contents) == set()
    licences = {Path(name).name for name in contents if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "LICENSE-CC-BY-SA-3.0.txt", "LICENSE-plotly.txt"}


def test_every_file_of_the_packages_is_in_the_wheel(contents):
    files = {
        str(path.relative_to(ROOT))
        for package in ("digitexp", "search_spaces", "sweeps")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(name.endswith(".mplstyle") for name in files)
    assert files - set(contents) == set()


def test_the_wheel_holds_nothing_else(contents):
    tops = {name.split("/")[0] for name in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "digitexp",
        "search_spaces",
        "sweeps",
    }
    assert [name for name in contents if name.endswith(".npz")] == [
        "digitexp/data/digits20/digits20.npz"
    ]


def test_the_installed_wheel_is_not_the_checkout(environment):
    code = "import digitexp, search_spaces, sweeps; print(*[p.__file__ for p in "
    code += "(digitexp, search_spaces, sweeps)], sep='\\n')"
    found = _run(str(environment / "bin" / "python"), "-c", code, folder=environment.parent)
    assert all(Path(line).is_relative_to(environment) for line in found.splitlines())


STRANGER = """\
from typing import Any

import sweeps
from digitexp.keras_experiment import KerasExperiment


def build(params: Any) -> Any: ...


experiment = KerasExperiment(build, ([0.0], [1]), {"units": 16})
best: float | None = sweeps.load("mine").best().value
sweeps.run("mine", trials="three")
KerasExperiment(build, None, {}, task=3)
experiment.no_such_member
"""


@pytest.mark.nightly  # mypy reads Optuna and NumPy, too
def test_a_stranger_is_told_by_mypy_what_fits(environment):
    folder = environment.parent
    (folder / "stranger.py").write_text(STRANGER, encoding="utf-8")
    words = ["--strict", "--python-executable", str(environment / "bin" / "python")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *words, "--cache-dir", str(folder / "mypy"), "stranger.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.split(": ")[0] for line in checked.stdout.splitlines() if ": error: " in line]
    assert found == ["stranger.py:12", "stranger.py:13", "stranger.py:14"], checked.stdout


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_the_installed_wheel_sweeps(environment):
    sweeps = str(environment / "bin" / "sweeps")
    home = ["--home", str(environment.parent / "home")]
    away = environment.parent
    _run(sweeps, "run", "smoke", "--trials", "2", "--strict", *home, folder=away)
    best = json.loads(_run(sweeps, "best", "smoke", "--json", *home, folder=away))["best"]
    trials = json.loads(_run(sweeps, "trials", "smoke", "--json", *home, folder=away))
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 2
    assert best == max(trials, key=lambda trial: trial["objective"])
    # Ten classes: a net that learned nothing is right about a tenth of the time.
    assert 0.6 < best["metrics"]["best_val_accuracy"] <= 1
    assert (away / "home" / "mlflow.db").is_file()


def _run(*command: str, folder: Path = HERE) -> str:
    """Run a command away from the checkout and return its output; a failure shows all of it."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SWEEPS_"))}
    variables["SWEEPS_STATE"] = "off"
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
