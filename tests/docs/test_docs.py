"""Every command block of README and documentation, run in an empty folder, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GOLDEN = DOCS.parent / "tests" / "golden" / "home-a482ec2f.tar.xz"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "evidence" not in page.parts)


@pytest.fixture
def folder(tmp_path, make_home):
    """An empty folder but for MLflow's store in the home: its migrations take seconds."""
    make_home("mlruns")
    return tmp_path


def blocks(page):
    return re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def marked(page):
    """Put what begins somewhere, and trains for long, into the nightly tests."""
    marks = [pytest.mark.nightly] if page.stem in {"how-to", "networks"} else []
    return pytest.param(page, marks=marks, id=page.stem)


@pytest.mark.cpu_seconds(15)  # seven trials of digits: what a newcomer sees first
def test_the_first_commands_of_the_tutorial_work_with_half_of_their_trials(folder, warm):
    plan, run, more, look, *_ = blocks(DOCS / "tutorial.md")
    assert ("sweeps plan" in plan, "--trials 6" in run, "--trials 8" in more) == (True,) * 3
    fewer = run.replace("--trials 6", "--trials 3"), more.replace("--trials 8", "--trials 4")
    type_all([plan, *fewer, look], folder, warm)


@pytest.mark.slow
@pytest.mark.parametrize("page", [marked(p) for p in PAGES if blocks(p)])
def test_every_command_works(folder, page, warm):
    if page.stem == "upgrading":
        with tarfile.open(GOLDEN) as packed:
            packed.extractall(folder, filter="data")
        shutil.copytree(folder / "home", folder / "mlruns", dirs_exist_ok=True)
    type_all(blocks(page), folder, warm)


@pytest.mark.slow
def test_every_command_of_the_readme_works_with_a_tenth_of_its_trials(folder, warm):
    # What sets up is run by .ci/run, the UI by tests/end_to_end/test_first_ten_minutes.py, a
    # confirmation, which is a hundred trainings, by tests/sweeps/confirm/, what `sweeps init`
    # writes by tests/sweeps/cli/test_init.py.
    elsewhere = re.compile(
        r"^(make|python3 -m venv|pip|sweeps (ui|confirm)"
        r"|cd mine && sweeps run)\b.*$",
        re.MULTILINE,
    )
    typed = [elsewhere.sub("", block) for block in blocks(DOCS.parent / "README.md")]
    fewer = [re.sub(r"--trials (\d+)0\b", r"--trials \1", block) for block in typed]
    type_all([re.sub(r"run mlp$", "run mlp --trials 2", block) for block in fewer], folder, warm)


def type_all(blocks, folder, warm):
    left_out = {"MLFLOW_TRACKING_URI", "SWEEPS_HOME", "GITHUB_STEP_SUMMARY"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    script = f'set -eux\npython() {{ {sys.executable} "$@"; }}\n{warm.functions()}'
    typed = "\n".join(blocks)
    # The same trials; workers, each of which imports TensorFlow anew, are tested elsewhere.
    sweeping = r"^((cd \S+ && )?sweeps (run|confirm) (?!.*--workers)[^#\n]*)"
    typed = re.sub(sweeping, r"\1 --workers 0 ", typed, flags=re.M)
    ran = subprocess.run(
        ["bash", "-c", script + typed],
        cwd=folder, env=kept, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.nightly
def test_the_code_of_the_page_on_python_is_one_program(tmp_path):
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    program = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    (tmp_path / "program.py").write_text(program)
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env=kept | {"SWEEPS_HOME": "mlruns"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "timeout: 'soon' is no duration" in ran.stdout
    assert (tmp_path / "pyramid.html").is_file()
    assert {"README.md", "model.keras"} <= {path.name for path in (tmp_path / "model").iterdir()}


def test_every_link_leads_somewhere():
    root = DOCS.parent
    for page in [*DOCS.rglob("*.md"), *root.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_reference_is_what_the_code_says():
    command = [sys.executable, str(DOCS / "build_reference.py"), "--check"]
    ran = subprocess.run(command, check=False, env=os.environ | {"COLUMNS": "100"})
    assert ran.returncode == 0, "run: python docs/build_reference.py"


def test_every_command_of_the_reference_shows_what_it_prints():
    commands = {page.stem for page in DOCS.glob("reference/*-*.md")}
    assert len(commands) > 30
    assert commands == {path.stem for path in DOCS.glob("reference/outputs/*.txt")}
