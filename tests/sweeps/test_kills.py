"""SIGKILL to everything at any moment, as often as you like: the sweep ends as if left alone.

Cases 3 and 4 of `tests/faults/` kill after so many records, against the clock, and a Keras sweep.
Seeds are printed; `KILL_SEED=7` repeats one.
"""

import os
import random
import shutil
import time

import pytest

import sweeps
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

TRIALS = 30
TRIAL_SECONDS = 0.06
KILLS = 50


@pytest.fixture
def seed():
    chosen = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10_000)))
    print(f"KILL_SEED={chosen}")
    return chosen


@pytest.fixture
def start_in(tmp_path, migrated_database):
    space = tmp_path / "toy.yaml"
    space.write_text(TOY)

    def start(name):
        home = tmp_path / name
        if not home.exists():
            home.mkdir()
            shutil.copy(migrated_database, home / "mlflow.db")
        words = ["run", str(space), "--trials", str(TRIALS), "--workers", "2"]
        slow = ["--set", f"longest_seconds={TRIAL_SECONDS}"]
        return Launched([*words, *slow, "--home", str(home)]), home

    return start


# Fifty starts, and every few of them a report is drawn: ten minutes alone on two cores, half
# an hour beside other work. A limit that only ends what hangs.
@pytest.mark.faults
@pytest.mark.timeout(5400)
def test_fifty_kills_at_random_moments(start_in, seed):
    began = time.monotonic()
    running, alone = start_in("alone")
    assert running.wait() == 0, running.stderr()
    seconds = time.monotonic() - began
    expected = table(sweeps.load("toy", alone))
    chance, kills, number = random.Random(seed), 0, 0
    while kills < KILLS:
        number += 1
        while True:
            running, home = start_in(str(number))
            time.sleep(chance.uniform(0, seconds))
            if not running.is_alive():
                break
            running.kill()
            kills += 1
        assert running.wait() == 0, running.stderr()
        assert_sound(home, expected)
        shutil.rmtree(home)
