"""A sweep stopped by Ctrl-C and resumed equals one that was left alone."""

import signal
from pathlib import Path

import pytest

import sweeps
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched

SPACE = Path(__file__).parents[2] / "examples" / "sklearn_digits.yaml"

pytestmark = pytest.mark.slow


def start(home, trials):
    words = ["run", str(SPACE), "--trials", str(trials), "--home", str(home), "--set", "epochs=3"]
    return Launched([*words, "--verbose"])


# TPE proposes what follows the tenth trial.
@pytest.mark.parametrize(
    ("stopped", "trials"), [(7, 14), pytest.param(13, 40, marks=pytest.mark.nightly)]
)
def test_interrupted_and_resumed_equals_undisturbed(make_home, stopped, trials):
    disturbed = start(make_home("disturbed"), trials)
    disturbed.until_said(f"\n[{stopped}/{trials}]")
    disturbed.signal(signal.SIGINT)
    assert disturbed.wait() == 130, disturbed.stderr()
    done = [r for r in sweeps.load("sklearn_digits", make_home("disturbed")).rows() if r.objective]
    assert stopped <= len(done) < trials
    for home in ("disturbed", "undisturbed"):
        process = start(make_home(home), trials)
        assert process.wait() == 0, process.stderr()
    tables = [
        table(sweeps.load("sklearn_digits", make_home(home)))
        for home in ("disturbed", "undisturbed")
    ]
    assert len(tables[0]) == trials
    assert tables[0] == tables[1]
