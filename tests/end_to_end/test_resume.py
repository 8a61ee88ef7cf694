"""A sweep stopped by Ctrl-C and resumed equals one that was left alone."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps
from tests.sweeps.conftest import table

SPACE = Path(__file__).parents[2] / "examples" / "sklearn_digits.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("measure_children")]


def start(home, trials):
    words = ["run", str(SPACE), "--trials", str(trials), "--home", str(home), "--set", "epochs=3"]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


# TPE proposes what follows the tenth trial.
@pytest.mark.parametrize(
    ("stopped", "trials"), [(7, 14), pytest.param(13, 40, marks=pytest.mark.nightly)]
)
def test_interrupted_and_resumed_equals_undisturbed(make_home, stopped, trials):
    with start(make_home("disturbed"), trials) as disturbed:
        for line in disturbed.stderr:
            if line.startswith(f"[{stopped}/{trials}]"):
                disturbed.send_signal(signal.SIGINT)
                break
        stderr = disturbed.stderr.read()
        assert disturbed.wait(60) == 130, stderr
    done = [r for r in sweeps.load("sklearn_digits", make_home("disturbed")).rows() if r.objective]
    assert stopped <= len(done) < trials
    for home in ("disturbed", "undisturbed"):
        with start(make_home(home), trials) as process:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
    tables = [
        table(sweeps.load("sklearn_digits", make_home(home)))
        for home in ("disturbed", "undisturbed")
    ]
    assert len(tables[0]) == trials
    assert tables[0] == tables[1]
