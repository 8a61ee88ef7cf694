"""A seed gives the trials that it gave before: in one go, by workers, killed and resumed."""

from __future__ import annotations

import json
import math
import re
import signal
import time
from collections import Counter
from importlib.metadata import version

import pytest

import sweeps
from sweeps.errors import UsageError
from tests.golden.arithmetic_experiment import EPOCH_SECONDS, KILLED_AT
from tests.golden.trials import (
    GOLDEN,
    HALF,
    LIBRARIES,
    NAME,
    ROOT,
    SEED,
    TRIALS,
    VARIANTS,
    processor,
    run,
    trials_of,
)
from tests.sweeps.launching import Launched

ELSEWHERE = 1e-9
"""Tolerance on another processor than the one that made the golden trials.

Logarithms, exponentials and products of matrices differ there in their last bits: by `tpe` and
`cmaes` a parameter was off by up to 1.4e-14 where the processor was told to have no AVX-512.
"""
DEARER = {
    "random", "qmc", "gp", "tpe, conditional", "cmaes, conditional", "random, conditional",
    "qmc, conditional", "grid, conditional", "tpe, two objectives", "tpe, hyperband",
    "cmaes, extended", "qmc, extended", "tpe, learned",
}  # fmt: skip
"""Variants that are run by `make test-all` only."""


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture
def assert_golden(golden):
    """Compare the trials of a sweep with the golden ones of a variant."""
    made_by = golden["made_by"]
    if made_by["libraries"] != {name: version(name) for name in LIBRARIES}:
        pytest.skip(f"other libraries propose other trials: {made_by['libraries']}")
    is_same = processor() == made_by["processor"]

    def compare(name, sweep):
        is_tpe = VARIANTS[name].sampler == "tpe"
        if is_tpe and not is_same and "X86_V3" not in processor()["instructions"]:
            pytest.skip("TPE takes other draws where logarithms are computed without AVX2 and FMA")
        wanted = golden["trials"][name]
        differing = differences(trials_of(sweep), wanted, 0.0 if is_same else ELSEWHERE)
        assert not differing, f"{len(differing)} trials differ, the first one: {differing[0]}"

    return compare


def differences(found, wanted, tolerance):
    """Return a line for each trial that differs, with both."""
    pairs = zip(found, wanted, strict=False)
    differing = [f"{one}\n not {two}" for one, two in pairs if not is_alike(one, two, tolerance)]
    if len(found) != len(wanted):
        differing.append(f"{len(found)} trials, not {len(wanted)}")
    return differing


def is_alike(one, two, tolerance):
    """Whether two documents are the same, floats within a tolerance, and dicts in their order."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return is_alike(list(one.items()), list(two.items()), tolerance)
    if isinstance(one, list | tuple):
        pairs = zip(one, two, strict=False)
        return len(one) == len(two) and all(is_alike(*pair, tolerance) for pair in pairs)
    if isinstance(one, float):
        return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)
    return one == two


def cases(names):
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in DEARER else name for name in names
    ]


@pytest.mark.parametrize("name", cases(VARIANTS))
def test_a_seed_gives_the_trials_that_it_gave(name, tmp_path, make_home, assert_golden):
    assert_golden(name, run(VARIANTS[name], tmp_path, make_home()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("tpe, conditional", 2), ("cmaes", 3), ("gp", 2), ("tpe, median", 3), ("random, asha", 2),
        ("nsga2, two objectives", 2), ("tpe, extended", 3), ("tpe, enqueued", 2),
    ],
)  # fmt: skip
def test_workers_change_no_trial(name, workers, tmp_path, make_home, assert_golden, monkeypatch):
    monkeypatch.setenv(EPOCH_SECONDS, "0.01")  # so that trials do not end in their order
    assert_golden(name, run(VARIANTS[name], tmp_path, make_home(), workers))


def start(space, home, environment, *words, workers=0):
    """Run the sweep of a space file in a process of its own."""
    options = {"home": home, "seed": SEED, "workers": workers, "trials": TRIALS}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return Launched(["run", space, *given, "--no-check-determinism", *words], environment)


def ended(home):
    """Return how many trials have ended so far."""
    try:
        rows = sweeps.load(NAME, home).rows()
    except UsageError:  # it has not begun
        return 0
    return len([row for row in rows if row.state != "WAITING"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe, conditional", "cmaes", "qmc", "random, asha"])
def test_killed_within_trials_and_resumed_it_has_the_same(name, tmp_path, make_home, assert_golden):
    space, home = VARIANTS[name].write_space(tmp_path), make_home()
    for key in ("0013-1", "0013-2", "0029-1"):
        killed = start(space, home, {KILLED_AT: key})
        assert killed.wait() == -signal.SIGKILL, killed.stderr()
        assert ended(home) == int(key[:4])
    assert_golden(name, run(VARIANTS[name], tmp_path, home))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe, extended", "cmaes, extended"])
def test_killed_after_its_extension_it_has_the_same(name, tmp_path, make_home, assert_golden):
    variant, home = VARIANTS[name], make_home()
    options = {"home": home, "seed": SEED, "workers": 0, "progress": "quiet"}
    sweeps.run(variant.write_space(tmp_path), trials=HALF, **options)
    space = variant.write_space(tmp_path, variant.wider)
    for key, words in (("0022-1", ["--extend"]), ("0029-1", [])):
        killed = start(space, home, {KILLED_AT: key}, *words)
        assert killed.wait() == -signal.SIGKILL, killed.stderr()
        assert ended(home) == int(key[:4])
    assert_golden(name, sweeps.run(space, trials=TRIALS, **options))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe, median", "nsga2, two objectives"])
def test_killed_while_workers_train_it_has_the_same(name, tmp_path, make_home, assert_golden):
    space, home = VARIANTS[name].write_space(tmp_path), make_home()
    launched = start(space, home, {EPOCH_SECONDS: "0.06"}, workers=2)
    while ended(home) < 10:
        assert launched.is_alive(), launched.stderr()
        time.sleep(0.05)
    launched.kill()
    assert ended(home) < TRIALS
    assert_golden(name, run(VARIANTS[name], tmp_path, home))


def test_steps_change_no_trial(tmp_path, make_home, assert_golden):
    space = VARIANTS["tpe, median"].write_space(tmp_path)
    for trials in (1, 14, 15):
        sweeps.run(space, home=make_home(), seed=SEED, workers=0, trials=trials, progress="quiet")
    assert_golden("tpe, median", run(VARIANTS["tpe, median"], tmp_path, make_home()))


def test_the_golden_trials_are_of_every_kind(golden):
    trials = [trial for trials in golden["trials"].values() for trial in trials]
    assert golden["trials"].keys() == VARIANTS.keys()
    assert {len(of_one) for of_one in golden["trials"].values()} == {36, TRIALS}
    reasons = Counter(reason for *_, reason, _, _ in trials)
    assert min(reasons[one] for one in ("max_epochs", "pruned", "diverged", "error")) >= 10
    origins = {re.split(r"[ ,]", origin)[0] for _, origin, *_ in trials}
    assert origins == {"baseline", "sampled", "grid", "enqueued", "learned"}


def test_the_golden_trials_are_those_of_the_pinned_libraries(golden):
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    made_by = {f"{name}=={number}" for name, number in golden["made_by"]["libraries"].items()}
    assert made_by <= set(pins), "another version: make them anew (tests/golden/trials.py)"


@pytest.mark.parametrize("tolerance", [0.0, ELSEWHERE])
def test_one_parameter_of_one_trial_makes_a_difference(golden, tolerance):
    wanted = golden["trials"]["tpe"]
    found = json.loads(json.dumps(wanted))
    assert not differences(found, wanted, tolerance)
    rate = wanted[17][3]["rate"]
    for other in (math.nextafter(rate, 1), rate + 2 * ELSEWHERE * max(rate, 1), 1, "0.01"):
        found[17][3]["rate"] = other
        is_beyond = not isinstance(other, float) or abs(other - rate) > tolerance
        assert len(differences(found, wanted, tolerance)) == is_beyond
    assert len(differences(wanted[:-1], wanted, tolerance)) == 1
