"""The score of the fault suite is added up case by case."""

from __future__ import annotations

import os

import pytest

from benchmarks import faults
from benchmarks.__main__ import main

# In pytest's place at case 28: seed 1 passes, then the process dies as if it had been killed.
KILLED_AT_SEED_2 = """
import os
from tests.faults.score import Score, save

def pytest_runtest_protocol(item):
    if item.callspec.params["seed"] == 2:
        os._exit(137)
    save(Score(28, "malicious files", 1, ended=True, passed=True))
    return True
"""


def score(case, seed, passed, **counts):
    counts = {"lost": 0, "running": 0, "repeated": 0, "killed": 0, **counts}
    wrong = [] if passed else ["I2: trial 3 is RUNNING", "I4: 5 trials have an outcome"]
    return {"case": case, "title": "kill", "seed": seed, "passed": passed, "reason": "",
            "violations": wrong, "unpromised": ["I7: x", "I8: y"], "seconds": 1.0,
            **counts}  # fmt: skip


def test_a_case_passes_if_every_seed_does():
    ours = [score(1, 1, True, killed=2), score(1, 2, True, repeated=1), score(3, 1, True)]
    stock = [score(1, 1, True), score(1, 2, False, running=1)]
    text = faults.table({"seeds": 2, "scores": {"ours": ours, "stock": stock}})
    assert (
        "ours: 2 of 2 faults; finished trials lost 0, left RUNNING 0, attempts repeated 1" in text
    )
    assert "stock: 0 of 1 faults; finished trials lost 0, left RUNNING 1" in text
    assert "stock, case 1, seed 2: I2, I4: I2: trial 3 is RUNNING" in text
    assert "| 1 | kill | 2 of 2 | 1 of 2 | I2, I4 | I7, I8 |" in text
    assert "| 3 | kill | 1 of 1 | - |  |  |" in text


def test_what_is_published_says_case_by_case_which_promises_were_broken():
    measured = {"seeds": 1, "scores": {
        "ours": [score(1, 1, True, killed=2), score(2, 1, True)],
        "stock": [score(1, 1, False, lost=1)],
    }}  # fmt: skip
    small = faults.summarized(measured)
    assert small["totals"]["stock"] == {
        "cases": 1, "passed": 0, "lost": 1, "running": 0, "repeated": 0, "killed": 0
    }  # fmt: skip
    assert small["scores"]["stock"][0]["violations"] == ["I2", "I4"]
    for result in (measured, small):
        rows = faults.table(result).splitlines()
        assert rows[2:4] == [
            "| 1 | kill | 1 of 1 | 0 of 1 | I2, I4 | I7, I8 |",
            "| 2 | kill | 1 of 1 | - |  |  |",
        ]


@pytest.fixture
def _killed_at_seed_2(tmp_path, monkeypatch):
    (tmp_path / "killed_at_seed_2.py").write_text(KILLED_AT_SEED_2)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p killed_at_seed_2 -p no:cacheprovider")


@pytest.mark.slow
@pytest.mark.usefixtures("_killed_at_seed_2")
def test_a_case_that_left_no_score_fails_and_is_named(capfd):
    assert main(["faults", "--seeds", "3", "--only", "malicious"]) == 1
    out, err = capfd.readouterr()
    assert "faults" not in out, "no table of those that did"
    missing = "; ".join(f"case 28 (malicious files), seed {seed}" for seed in (2, 3))
    assert err.splitlines()[-1] == f"faults: of ours left no score: {missing}; see above"


@pytest.mark.slow
@pytest.mark.usefixtures("_killed_at_seed_2")
def test_cases_that_all_left_a_score_make_the_table(capfd):
    assert main(["faults", "--seeds", "1", "--only", "malicious"]) == 0
    assert "ours: 1 of 1 faults" in capfd.readouterr().out
