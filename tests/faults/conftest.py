"""Laboratories for the cases, the seeds they run over, and the table at the end."""

import os
import time

import pytest

from tests.faults.lab import Lab
from tests.faults.score import Score, save, summary

SCORES = pytest.StashKey[list]()


def seeds():
    """`FAULT_SEED=7` repeats one seed, `FAULT_SEEDS=3` runs over 1, 2 and 3; default 1."""
    if only := os.environ.get("FAULT_SEED"):
        return [int(only)]
    return list(range(1, int(os.environ.get("FAULT_SEEDS", "1")) + 1))


@pytest.fixture
def make_lab(tmp_path, migrated_database):
    labs = []

    def make(seed=1, kind=Lab):
        lab = kind(tmp_path / f"lab-{len(labs)}", seed, migrated_database)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        with lab.cleaned():
            pass


@pytest.fixture
def run_case(make_lab, request):
    """Run one case with one seed and enter what came of it into the table."""

    def run(case, seed, kind=Lab):
        lab = make_lab(seed, kind)
        score = lab.score
        score.case, score.title, score.seed = case.number, case.title, seed
        start = time.monotonic()
        try:
            case.run(lab)
            score.passed = True
        except BaseException as error:
            score.reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise
        finally:
            score.ended, score.seconds = True, time.monotonic() - start
            save(score)
            request.config.stash.setdefault(SCORES, []).append(score)

    return run


def pytest_collection_finish(session):
    """Enter the cases that are to be run: one that never comes to an end is missed then."""
    for item in session.items:
        if "run_case" in getattr(item, "fixturenames", ()):
            case, seed = item.callspec.params["case"], item.callspec.params["seed"]
            save(Score(case.number, case.title, seed))


def pytest_terminal_summary(terminalreporter, config):
    if scores := config.stash.get(SCORES, []):
        terminalreporter.section("faults")
        terminalreporter.write_line(summary(scores))
