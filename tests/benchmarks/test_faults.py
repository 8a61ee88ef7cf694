"""The score of the fault suite is added up case by case."""

from __future__ import annotations

from benchmarks import faults


def score(case, seed, passed, **counts):
    counts = {"lost": 0, "running": 0, "repeated": 0, "killed": 0, **counts}
    wrong = [] if passed else ["I2: slot 3 is RUNNING", "I4: 5 slots have an outcome"]
    return {"case": case, "title": "kill", "seed": seed, "passed": passed, "reason": "",
            "violations": wrong, **counts}  # fmt: skip


def test_a_case_passes_if_every_seed_does():
    ours = [score(1, 1, True, killed=2), score(1, 2, True, repeated=1), score(3, 1, True)]
    stock = [score(1, 1, True), score(1, 2, False, running=1)]
    text = faults.table({"seeds": 2, "scores": {"ours": ours, "stock": stock}})
    assert (
        "ours: 2 of 2 faults; finished trials lost 0, left RUNNING 0, attempts repeated 1" in text
    )
    assert "stock: 0 of 1 faults; finished trials lost 0, left RUNNING 1" in text
    assert "stock, case 1, seed 2: I2, I4: I2: slot 3 is RUNNING" in text
    assert "|    1 | kill" in text
    assert "| 2 of 2 | 1 of 2 |" in text
    assert "| 1 of 1 | -      |" in text
