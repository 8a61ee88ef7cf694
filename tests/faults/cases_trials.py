"""Cases 17, 18 and 19: trials that diverge, raise, crash or hang, and damaged files."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import sweeps
from digitexp.data import DataError
from digitexp.data.loading import PATH, read_digits20
from sweeps.home import Home
from sweeps.journal.events import to_line
from sweeps.records import RecordError, RecordStore
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
    """Every flipped or missing byte of weights, of arrays and of an outcome is noticed and named.

    A damaged outcome costs the outcome of its trial, which comes back the same; damaged arrays cost
    no outcome.
    """
    lab.run(trials)
    lab.note_recorded()
    table = lab.table(trials)
    found = lab.check(trials, undisturbed=table)
    best = found.best
    assert best is not None
    (info,) = Home(lab.home).sweeps()
    store, key = Home(lab.home).store(info.id), f"{best[0]:04d}-1"
    for path in (store.weights_path(key), store.details_path(key)):
        whole = path.read_bytes()
        for number in _places(lab, len(whole)):
            for damaged in (_flipped(lab, whole, number), whole[:number]):
                path.write_bytes(damaged)
                _must_be_noticed(path.name, lambda: _load(lab, best[0]))
        path.write_bytes(whole)
    assert sweeps.load("faults", lab.home).trial(best[0]).load_model() is not None
    _damage_an_outcome(lab, store, key)
    lab.killed += 1
    lab.lost_events = True
    assert lab.run(trials) == 0, lab.stderr()
    _damage_the_data(lab)
    lab.check(trials, undisturbed=table)


def _load(lab: Lab, trial: int) -> None:
    view = sweeps.load("faults", lab.home).trial(trial)
    view.load_model()
    view.result.arrays  # noqa: B018 - it is read when it is asked for


def _damage_an_outcome(lab: Lab, store: RecordStore, key: str) -> None:
    """Flip each of some bytes of the line of an outcome, its newlines among them; leave the last.

    That event is named, and no other one is lost.
    """
    whole, events = store.journal.path.read_bytes(), store.journal.read(pytest.fail)
    (event,) = [event for event in events if getattr(event, "key", None) == key]
    line = to_line(event)
    begin = whole.index(line)
    others = [repr(to_line(other)) for other in events if other != event]
    places = [0, len(line) - 1, *_places(lab, len(line))]
    for number in places:
        store.journal.path.write_bytes(_flipped(lab, whole, begin + number))
        said: list[str] = []
        read = store.journal.read(said.append)
        left = [repr(to_line(other)) for other in read if other != event]
        assert left == others, "another event was lost"
        assert len(read) == len(events) or said, "an event was lost, and nothing is said"
        assert all(f"event {event.number} is damaged" in one for one in said), said
    assert said, "the last one must be one that hurts"


def _flipped(lab: Lab, whole: bytes, number: int) -> bytes:
    flipped = bytearray(whole)
    flipped[number] ^= 1 << lab.random.randrange(8)
    return bytes(flipped)


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


def _must_be_noticed(name: str, read: Callable[[], None]) -> None:
    with pytest.raises((RecordError, UserWarning), match=re.escape(name)):
        read()


def _places(lab: Lab, length: int) -> list[int]:
    return sorted(lab.random.sample(range(length), min(40, length)))
