"""Cases 17, 18 and 19: trials that diverge, raise, crash or hang, and damaged files."""

from __future__ import annotations

import re

import pytest

import sweeps
from digitexp.data import DataError
from digitexp.data.loading import PATH, read_digits20
from sweeps.home import Home
from sweeps.records import RecordError
from tests.faults.lab import Lab


def diverge(lab: Lab, trials: int = 12) -> None:
    """NaN at the last epoch of two trials: FAILED, reason `diverged`; killed once, the same."""
    trouble = "2:diverge 7:diverge"
    process = lab.start(trials, seconds=0.2, trouble=trouble)
    assert lab.until_recorded(process, 4), lab.stderr()
    lab.kill_all(process)
    lab.run(trials, trouble=trouble)
    table = lab.table(trials, trouble)
    lab.check(trials, failing=frozenset({2, 7}), undisturbed=table)
    if not lab.is_ours:
        return
    rows = sweeps.load("faults", lab.home).rows()
    reasons = {row.trial: row.reason for row in rows if row.state == "FAILED"}
    assert reasons == {2: "diverged", 7: "diverged"}


def misbehave(lab: Lab, trials: int = 14) -> None:
    """Raise, need too much memory, segfault, exit(3), be killed, hang: only that trial suffers.

    `--trial-timeout 2` ends the trial that hangs. Those that crash once are run again.
    """
    trouble = "1:raise! 3:memory! 5:segfault 7:exit 9:kill 11:hang"
    lab.run(trials, "--trial-timeout", "2", trouble=trouble)
    # Once more each; a trial that raised is tried again, and ends when it says the same.
    lab.killed = 4 + 2 * 3
    found = lab.check(trials, failing=frozenset({1, 3}))
    states = {trial.number: trial.state for trial in found.trials}
    assert [states[n] for n in (5, 7, 9, 11)] == ["COMPLETE"] * 4
    if not lab.is_ours:
        return
    rows = {row.trial: row for row in sweeps.load("faults", lab.home).rows()}
    assert (rows[1].state, rows[1].reason) == ("FAILED", "error")
    assert (rows[3].state, rows[3].reason) == ("FAILED", "oom")
    with lab.sibling("breaker").cleaned() as other:
        _crash_in_a_row(other)


def _crash_in_a_row(lab: Lab) -> None:
    """Every trial crashes: the sweep stops with the common cause instead of going through all."""
    trouble = " ".join(f"{n}:segfault!" for n in range(40))
    code = lab.run(40, trouble=trouble)
    assert code == 1, lab.stderr()
    assert "SIGSEGV" in lab.stderr()
    rows = sweeps.load("faults", lab.home).rows()
    assert len(rows) < 20, f"{len(rows)} trials were tried before it stopped"


def damage_files(lab: Lab, trials: int = 6) -> None:
    """Every flipped or missing byte of weights and records is noticed, and named."""
    lab.run(trials)
    lab.note_recorded()
    found = lab.check(trials, undisturbed=lab.table(trials))
    best = found.best
    assert best is not None
    (info,) = Home(lab.home).sweeps()
    folder = Home(lab.home).store(info.id).folder
    weights, record = folder / f"{best[0]:04d}-1.weights", folder / f"{best[0]:04d}-1.record"
    for path in (weights, record):
        whole = path.read_bytes()
        for number in _places(lab, len(whole)):
            flipped = bytearray(whole)
            flipped[number] ^= 1 << lab.random.randrange(8)
            for damaged in (bytes(flipped), whole[:number]):
                path.write_bytes(damaged)
                _must_be_noticed(lab, path.name)
        path.write_bytes(whole)
    assert sweeps.load("faults", lab.home).trial(best[0]).load_model() is not None
    _damage_the_data(lab)
    lab.check(trials)


def _damage_the_data(lab: Lab) -> None:
    """The embedded digits with a flipped byte are refused, or read to the very same arrays."""
    whole, copy, refused = PATH.read_bytes(), lab.folder / "digits20.npz", 0
    for number in _places(lab, len(whole)):
        copy.write_bytes(whole[:number] + bytes([whole[number] ^ 1]) + whole[number + 1 :])
        try:
            read_digits20(copy)  # verifies the digests of the arrays
        except DataError:
            refused += 1
    assert refused > 20, f"only {refused} damaged archives were refused"


def _must_be_noticed(lab: Lab, name: str) -> None:
    with pytest.raises((RecordError, UserWarning), match=re.escape(name)):
        sweeps.load("faults", lab.home).best().load_model()


def _places(lab: Lab, length: int) -> list[int]:
    return sorted(lab.random.sample(range(length), min(40, length)))
