"""The short selection: some cases with fewer trials, so that every `make test` injects faults."""

import pytest

from tests.faults import cases_inputs, cases_signals, cases_trials

QUICK = {
    "SIGTERM": lambda lab: cases_signals.terminate(lab, trials=4),
    "damaged files": lambda lab: cases_trials.damage_files(lab, trials=3),
    "malicious files": cases_inputs.malicious_files,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_nothing_is_lost(make_lab, name):
    QUICK[name](make_lab(seed=1))
