"""A 40-trial sweep stopped at 13 by Ctrl-C and resumed equals one that was left alone."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps
from tests.sweeps.conftest import table

SPACE = Path(__file__).parents[2] / "examples" / "sklearn_digits.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("measure_children")]


def start(home):
    words = ["run", str(SPACE), "--trials", "40", "--home", str(home), "--set", "epochs=3"]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_interrupted_and_resumed_equals_undisturbed(make_home):
    with start(make_home("disturbed")) as disturbed:
        for line in disturbed.stderr:
            if line.startswith("[13/40]"):
                disturbed.send_signal(signal.SIGINT)
                break
        stderr = disturbed.stderr.read()
        assert disturbed.wait(60) == 130, stderr
    done = [r for r in sweeps.load("sklearn_digits", make_home("disturbed")).rows() if r.objective]
    assert 13 <= len(done) < 40
    for home in ("disturbed", "undisturbed"):
        with start(make_home(home)) as process:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
    tables = [
        table(sweeps.load("sklearn_digits", make_home(home)))
        for home in ("disturbed", "undisturbed")
    ]
    assert len(tables[0]) == 40
    assert tables[0] == tables[1]
