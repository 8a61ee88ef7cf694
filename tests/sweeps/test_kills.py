"""SIGKILL to everything at any moment, as often as you like: the sweep ends as if left alone.

Seeds are printed; `KILL_SEED=7` repeats one.
"""

import os
import random
import shutil
import time

import pytest

import sweeps
from sweeps.home import Home
from tests.sweeps.conftest import TOY, table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

pytestmark = pytest.mark.faults

WORKERS = 2
TRIALS = 60
TRIAL_SECONDS = 0.1


class Killed:
    """A sweep that is started again and again, and killed."""

    def __init__(self, folder, words, chance):
        self.home, self._words, self._chance = folder, words, chance
        self.kills = 0

    def start(self):
        return Launched([*self._words, "--home", str(self.home)])

    def recorded(self):
        return len(list(self.home.glob("records/*/*.record")))

    def undisturbed(self):
        """Run it to its end; return its wall time and that until its first record, in seconds."""
        began, first = time.monotonic(), None
        running = self.start()
        while running.is_alive():
            first = first or (time.monotonic() if self.recorded() else None)
            time.sleep(0.005)
        assert running.wait() == 0, running.stderr()
        return time.monotonic() - began, first - began

    def kill_after(self, records, seconds):
        """Start it, wait for so many new records and so long, then kill it; False if it ended."""
        running, before = self.start(), self.recorded()
        while running.is_alive() and self.recorded() < before + records:
            time.sleep(0.002)
        time.sleep(seconds)
        if not running.is_alive():
            assert running.wait() == 0, running.stderr()
            return False
        running.kill()
        self.kills += 1
        return True


@pytest.fixture
def seed():
    chosen = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10_000)))
    print(f"KILL_SEED={chosen}")
    return chosen


@pytest.fixture
def make_killed(tmp_path, migrated_database, seed):
    space = tmp_path / "toy.yaml"
    space.write_text(TOY)

    def make(name, *more, space=str(space), trials=TRIALS):
        home = tmp_path / name
        home.mkdir()
        shutil.copy(migrated_database, home / "mlflow.db")
        words = ["run", space, "--trials", str(trials), "--workers", str(WORKERS), *more]
        return Killed(home, words, random.Random(seed))

    return make


SLOW = ("--set", f"longest_seconds={TRIAL_SECONDS}")


@pytest.mark.timeout(900)
def test_fifty_kills_at_random_moments(make_killed, seed):
    alone = make_killed("alone", *SLOW)
    seconds, _ = alone.undisturbed()
    expected = table(sweeps.load("toy", alone.home))
    chance, kills, number = random.Random(seed), 0, 0
    while kills < 50:
        number += 1
        killed = make_killed(str(number), *SLOW)
        while killed.kill_after(0, chance.uniform(0, seconds)):
            pass
        assert_sound(killed.home, expected)
        kills += killed.kills
        shutil.rmtree(killed.home)


@pytest.mark.timeout(900)
def test_killed_whenever_a_start_has_recorded_up_to_three_trials(make_killed, seed):
    alone = make_killed("alone", *SLOW)
    seconds, cold = alone.undisturbed()
    expected = table(sweeps.load("toy", alone.home))
    killed, chance = make_killed("killed", *SLOW), random.Random(seed)
    began = time.monotonic()
    while killed.kill_after(chance.randrange(4), 0.0):
        pass
    took = time.monotonic() - began
    assert_sound(killed.home, expected)
    seconds_after, cold_after = make_killed("after", *SLOW).undisturbed()  # if it became slower
    seconds, cold = max(seconds, seconds_after), max(cold, cold_after)
    bound = seconds + killed.kills * (cold + WORKERS * TRIAL_SECONDS)
    print(f"{killed.kills} kills: {took:.1f} s, undisturbed {seconds:.1f} s, bound {bound:.1f} s")
    assert took <= bound


@pytest.mark.tensorflow
@pytest.mark.timeout(900)
def test_five_kills_of_a_sweep_that_trains_with_keras(make_killed, seed):
    options = {"space": "smoke", "trials": 6}
    alone = make_killed("alone", **options)
    seconds, _ = alone.undisturbed()
    (info,) = Home(alone.home).sweeps()
    expected = table(sweeps.load(info.id, alone.home))
    killed, chance = make_killed("killed", **options), random.Random(seed)
    while killed.kills < 5 and killed.kill_after(0, chance.uniform(0, seconds)):
        pass
    assert killed.start().wait() == 0
    assert_sound(killed.home, expected, name="smoke")
