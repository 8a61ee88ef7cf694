"""Closed, full and narrow streams: trouble of the terminal never touches a trial."""

import os
import subprocess
import sys

import pytest

import sweeps
from tests.sweeps.conftest import TOY

pytestmark = pytest.mark.slow


@pytest.fixture
def toy_space(tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    return file


SHELL = "{python} -m sweeps run {space} --home {home} --trials 2"


@pytest.mark.parametrize(
    "redirected",
    [
        *("<&- >&- 2>&-", "| true"),
        *(
            pytest.param(other, marks=pytest.mark.nightly)
            for other in ("2>&-", ">&-", ">/dev/full", "2>&1 | head -1", "--json | head -1")
        ),
    ],
)
def test_a_sweep_survives_whatever_happens_to_its_streams(toy_space, make_home, redirected):
    command = SHELL.format(python=sys.executable, space=toy_space, home=make_home())
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {redirected}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == (2 if "full" in redirected else 0), done.stderr
    assert "Traceback" not in done.stderr
    states = [row.state for row in sweeps.load("toy", make_home()).rows()]
    assert states == ["COMPLETE", "COMPLETE"]


def test_a_terminal_that_knows_no_unicode_gets_question_marks(toy_space, make_home):
    command = SHELL.format(python=sys.executable, space=toy_space, home=make_home("höme ✓"))
    done = subprocess.run(
        [*command.split(" --home ")[0].split(), "--home", make_home("höme ✓"), "--trials", "1"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
