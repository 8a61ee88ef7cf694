"""The real Makefile, with stand-ins for Python, pip and sweeps that write down how they are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import need

ROOT = Path(__file__).parent.parent
PIP = "python -m pip --disable-pip-version-check"
BENCHMARKS = ["startup", "engine", "growth", "memory", "throughput"]

# Writes itself down; fails where $FAILS is part of it; makes a venv that has itself as its Python.
# What is installed is told by the real pip, of a folder of ours.
STAND_IN = f"""#!/bin/sh
line="$(basename "$0") $*"
echo "$line" >>"$LOG"
case "$line" in *"${{FAILS:-nothing fails}}"*) exit 3 ;; esac
case "$*" in
    -V) echo Python 3.11.7 ;;
    "-m venv "*) for folder; do :; done; mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" ;;
    *" freeze "*) exec {sys.executable} "$@" --path "$INSTALLED" ;;
esac
"""


@pytest.fixture
def tree(tmp_path):
    """Return a folder in which everything is installed, newer than what says what to install."""
    folder = tmp_path / "tree"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
        os.utime(folder / name, (1000, 1000))
    for name in ("python", "sweeps"):
        stand_in(folder / ".venv" / "bin" / name)
    for name in (".python", ".installed", ".installed-dev", ".installed-bench"):
        (folder / ".venv" / name).touch()
        os.utime(folder / ".venv" / name, (2000, 2000))
    return folder


@pytest.fixture
def make(tree):
    """Run `make`; return its exit code and what was run."""

    def make(*words, **environment):
        log = tree.parent / "log"
        log.write_text("")
        outer = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "PYTHON"}  # of `make test`
        kept = {name: value for name, value in os.environ.items() if name not in outer}
        ran = subprocess.run(
            ["make", *words], cwd=tree, env={**kept, "LOG": str(log), **environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.returncode, log.read_text().splitlines()

    return make


def stand_in(path):
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return path


def test_a_sweep_of_mlp_is_run(make):
    assert make("sweep") == (0, ["sweeps run mlp"])


def test_a_sweep_that_fails_fails(make):
    assert make("sweep", FAILS="sweeps run") == (2, ["sweeps run mlp"])


@pytest.mark.parametrize("edited", ["pyproject.toml", "constraints.txt"])
def test_what_was_edited_is_installed_first_with_the_pins_and_once(make, tree, edited):
    os.utime(tree / edited, (3000, 3000))
    install = f"{PIP} install -q -e .[keras] -c constraints.txt"
    assert make("sweep", FAILS="install") == (2, [install]), "nothing is run after a failure"
    assert make("sweep") == (0, [install, "sweeps run mlp"])
    assert make("sweep") == (0, ["sweeps run mlp"])


def test_all_benchmarks_are_run_and_saved_one_after_the_other(make):
    run = [f"python -m benchmarks {name} --save" for name in BENCHMARKS]
    assert make("benchmark") == (0, run)
    assert all((ROOT / "benchmarks" / f"{name}.py").exists() for name in BENCHMARKS)


def test_one_benchmark_is_run_alone(make):
    only = ["python -m benchmarks engine --save"]
    assert make("benchmark", "NAME=engine") == (0, only)
    assert make("benchmark", "NAME=engine", FAILS="benchmarks engine") == (2, only)


def test_a_benchmark_that_fails_is_the_last(make):
    code, run = make("benchmark", FAILS="benchmarks engine")
    assert (code, run[-1]) == (2, "python -m benchmarks engine --save")
    assert len(run) == 2


def test_the_peers_of_benchmarks_are_installed_first(make, tree):
    (tree / ".venv" / ".installed-bench").unlink()
    code, run = make("benchmark", "NAME=engine")
    assert (code, run[-1]) == (0, "python -m benchmarks engine --save")
    assert run[:-1] == [f"{PIP} install -q -e .[bench] -c constraints.txt"]


@pytest.fixture
def installed(tmp_path):
    """Return what pip finds: the project itself, as a link to its source, and others."""
    folder = tmp_path / "installed"
    for name, version in (
        ("zope", "6.0"), ("Beta", "2.1.post1"), ("alpha", "1.0"), ("torch", "2.9.0+local.1"),
        ("pip", "25.0"), ("digit-sweeps", "0.1.0"),
    ):  # fmt: skip
        metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (metadata / "METADATA").write_text(text)
    link = '{"url": "file:///somewhere", "dir_info": {"editable": true}}'
    (folder / "digit_sweeps-0.1.0.dist-info" / "direct_url.json").write_text(link)
    return folder


def test_constraints_are_what_a_fresh_venv_has_sorted_without_the_project(make, tree, installed):
    python = stand_in(tree.parent / "python")
    code, run = make("constraints", f"PYTHON={python}", INSTALLED=str(installed))
    assert code == 0
    pins = (tree / "constraints.txt").read_text()
    assert pins == "alpha==1.0\nBeta==2.1.post1\ntorch==2.9.0\nzope==6.0\n"
    created, install, freeze = (line for line in run if line != "python -V")
    assert created == "python -m venv --clear build/pins"
    asked = re.fullmatch(rf"{PIP} install -q -e \.\[(.*)\]", install)
    assert asked, "not with the pins that are to be replaced"
    assert {"dev", "bench"} <= set(asked[1].split(","))
    assert re.match("python -m pip .*freeze", freeze)
    assert not (tree / "build" / "pins").exists()


@pytest.mark.parametrize("failing", ["-m venv", "install"])
def test_constraints_stay_if_they_cannot_be_found_out(make, tree, installed, failing):
    python = stand_in(tree.parent / "python")
    code, run = make("constraints", f"PYTHON={python}", INSTALLED=str(installed), FAILS=failing)
    assert (code, failing in run[-1]) == (2, True)
    assert (tree / "constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()


def test_the_oldest_versions_are_installed_apart_and_tested(make, tree):
    python = stand_in(tree.parent / "python")
    code, run = make("oldest", f"PYTHON={python}")
    assert code == 0
    created, _, install, tests = (line for line in run if line != "python -V")
    assert created == "python -m venv --clear build/oldest"
    assert "--python build/oldest/bin/python --resolution lowest-direct -e .[dev]" in install
    assert re.fullmatch("python -m pytest .* --tier first", tests)
    assert make("oldest", f"PYTHON={python}", FAILS="uv pip")[0] == 2, "and not with others"


def test_caches_and_build_products_are_removed_and_nothing_else(make, tree):
    need("a git checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    plant(tree, ".venv/lib/site/__pycache__/a.pyc", "mlruns/mlflow.db", "mlruns/records/x/0.record")
    before = files(tree)
    plant(
        tree,
        *(f"{name}/x" for name in ("build/lib", "dist", "htmlcov", ".hypothesis")),
        *(f".{name}_cache/v/x" for name in ("pytest", "mypy", "ruff", "import_linter")),
        *(".coverage", "sweeps/__pycache__/a.pyc", "tests/sweeps/cli/__pycache__/b.pyc"),
    )
    assert make("clean") == (0, [])
    after = files(tree)
    assert before.keys() ^ after.keys() == set()
    assert after == before
    folders = {path.name for path in tree.rglob("*") if path.is_dir() and ".venv" not in path.parts}
    assert folders.isdisjoint({"__pycache__", "build", "dist", ".pytest_cache"})
    assert make("clean") == (0, []), "there is nothing to be removed"


def plant(tree, *names):
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)


def files(tree):
    paths = (path for path in tree.rglob("*") if path.is_file())
    return {str(path.relative_to(tree)): path.stat().st_mtime_ns for path in paths}
