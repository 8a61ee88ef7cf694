"""Cases 1, 3, 4, 8, 9, 31 and 32: processes that are killed, paused, or told another time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.lab import ROOT, Lab
from tests.faults.leftovers import children

SITE = Path(__file__).parent / "jumping_clock"


def kill_workers(lab: Lab, trials: int = 60, kills: int = 20) -> None:
    """SIGKILL one worker in mid-epoch again and again: the sweep ends by itself, nothing resumed.

    A trial takes 0.2 s. Kills are one recorded attempt apart at least; one trial may be hit more
    often than the default retries allow.
    """
    lab.workers = 2
    process = lab.start(trials, "--retries", f"crash={kills}", seconds=0.2)
    for _ in range(kills):
        if not lab.until_recorded(process, 1):
            lab.expect(False, f"I8: the sweep ended early: {lab.stderr()}")
            lab.run(trials)
            break
        time.sleep(0.2 * lab.random.random())
        with suppress(ProcessLookupError, IndexError):
            os.kill(lab.random.choice(lab.worker_pids(process)), signal.SIGKILL)
            lab.killed += 1
        lab.note_recorded()
    lab.wait_for(process)
    lab.check(trials, undisturbed=lab.table(trials))


def kill_everything(lab: Lab, trials: int = 60, seconds: float = 0.1) -> None:
    """SIGKILL the whole group whenever a start has recorded k new trials, k in 0..3, and resume.

    k = 0 kills at a random moment of the start. Bar for the wall time: undisturbed + kills x (one
    cold start + one trial per worker).
    """
    undisturbed = lab.undisturbed(trials, seconds=seconds)
    start, kills = time.monotonic(), 0
    while True:
        process = lab.start(trials, seconds=seconds)
        if not _came_so_far(lab, process, lab.random.randrange(4)):
            break
        lab.kill_all(process)
        kills += 1
    lab.wait_for(process)
    took = time.monotonic() - start
    lab.check(trials, undisturbed=undisturbed.table)
    after = lab.undisturbed(trials, seconds=seconds)  # the machine may have become slower
    cold = max(undisturbed.cold_seconds, after.cold_seconds)
    bar = max(undisturbed.seconds, after.seconds) + kills * (cold + lab.workers * seconds)
    lab.score.note = f"{kills} kills, {took:.0f} s of {bar:.0f} s allowed"
    lab.expect(took <= bar, f"time: {lab.score.note}")


def _came_so_far(lab: Lab, process, more: int) -> bool:
    """Wait until that many trials are recorded, or a moment; False if the sweep ends first."""
    if more:
        return lab.until_recorded(process, more) and process.poll() is None
    moment = time.monotonic() + 3 * lab.random.random()
    lab.until(lambda: time.monotonic() >= moment, process)
    return process.poll() is None


def kill_in_a_row(lab: Lab, trials: int = 6, kills: int = 10) -> None:
    """Kill the coordinator ten times before anything is recorded: no drift, no retry used up.

    A trial takes 3 s until the last start, where it takes no time. Then five times a Keras sweep.
    """
    for _ in range(kills):
        begun = lab.trainings()
        process = lab.start(trials, seconds=3)
        assert lab.until(lambda begun=begun: lab.trainings() > begun, process), lab.stderr()
        lab.kill_coordinator(process)
    lab.run(trials)
    lab.check(trials, undisturbed=lab.table(trials))
    if lab.is_ours:
        with lab.sibling("keras").cleaned() as other:
            kill_keras(other)


def kill_keras(lab: Lab, trials: int = 6, kills: int = 5) -> None:
    """A real Keras sweep, killed five times at random moments of its first 15 s."""
    lab.space = "smoke"
    for _ in range(kills):
        process = lab.start(trials)
        moment = time.monotonic() + 15 * lab.random.random()
        lab.until(lambda moment=moment: time.monotonic() >= moment, process)
        lab.kill_all(process)
    lab.run(trials)
    lab.check(trials, undisturbed=lab.table(trials))


def pause_a_worker(lab: Lab, trials: int = 10) -> None:
    """SIGSTOP a worker, then the coordinator, for 3 s each (60 s scaled) and SIGCONT: all go on.

    Nothing here declares a process dead by the clock; a pause beyond `--trial-timeout` is case 18.
    """
    process = lab.start(trials, seconds=0.3)
    assert lab.until_recorded(process, 1), lab.stderr()
    for pid in (*lab.worker_pids(process)[:1], process.pid):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)
    lab.wait_for(process)
    lab.check(trials, undisturbed=lab.table(trials))


def jump_the_clock(lab: Lab, trials: int = 10) -> None:
    """The wall clock jumps an hour ahead and two hours back: nothing is late, nothing negative."""
    offset = lab.folder / "offset"
    env = {"FAULT_CLOCK": str(offset), "PYTHONPATH": f"{SITE}:{ROOT}"}
    process = lab.start(trials, "--timeout", "600", seconds=0.3, env=env)
    for jump in (3600, -3600):
        assert lab.until_recorded(process, 2), lab.stderr()
        offset.write_text(str(jump))
    lab.wait_for(process)
    found = lab.check(trials, undisturbed=lab.table(trials))
    if not lab.is_ours:
        return
    assert len(found.spans) == trials
    assert all(0 <= seconds < 60 for seconds in found.spans), found.spans
    assert max(found.starts) - min(found.starts) > 3000, "the clock did not jump"


def stop_the_fork_server(lab: Lab, trials: int = 6) -> None:
    """SIGSTOP the fork server, then SIGKILL the only worker, which it must replace: it is replaced.

    That takes the time in which a server may be silent, 70 s in all.
    """
    lab.workers = 1
    process = lab.start(trials, seconds=2)
    assert lab.until(lambda: lab.trainings() >= 2, process), lab.stderr()
    (server,) = [child for child in children(process.pid) if children(child)]
    os.kill(server, signal.SIGSTOP)
    os.kill(lab.worker_pids(process)[0], signal.SIGKILL)
    lab.killed += 1
    lab.note_recorded()
    lab.wait_for(process)
    lab.expect(not _is_there(server), "I9: the stopped fork server is left")
    lab.check(trials, undisturbed=lab.table(trials))


def _is_there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def kill_from_outside(lab: Lab, trials: int = 30) -> None:
    """Thirty signals to workers with default retries, over two starts: no trial fails by them.

    One trial is hit 18 times, ten of them before the coordinator is killed, too. A trial takes
    0.3 s.
    """
    unlucky = lab.random.randrange(4)
    process = lab.start(trials, seconds=0.3)
    _hit(lab, process, unlucky, 10)
    lab.kill_coordinator(process)
    process = lab.start(trials, seconds=0.3)
    _hit(lab, process, unlucky, 8)
    for _ in range(12):
        assert lab.until_recorded(process, 1), f"it ended early: {lab.stderr()}"
        time.sleep(0.2 * lab.random.random())
        with suppress(ProcessLookupError, IndexError):
            os.kill(lab.random.choice(lab.worker_pids(process)), signal.SIGKILL)
            lab.killed += 1
        lab.note_recorded()
    lab.wait_for(process)
    found = lab.check(trials, undisturbed=lab.table(trials))
    most = max(attempt.number for attempt in found.attempts if attempt.trial == unlucky)
    lab.score.note = f"{lab.killed} workers killed, {most} attempts at trial {unlucky}"


def _hit(lab: Lab, process: subprocess.Popen[bytes], trial: int, times: int) -> None:
    """Send a signal to the worker that trains a trial, each time that it has begun to."""
    hit = len(_workers_of(lab, trial))
    for number in range(times):
        began = lab.until(lambda seen=hit + number: len(_workers_of(lab, trial)) > seen, process)
        assert began, f"it ended early: {lab.stderr()}"
        sent = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)[number % 3]
        with suppress(ProcessLookupError):
            os.kill(_workers_of(lab, trial)[-1], sent)
        lab.killed += 1


def _workers_of(lab: Lab, trial: int) -> list[int]:
    """Return the process of each training of a trial that was begun."""
    text = lab.trainings_file.read_text() if lab.trainings_file.exists() else ""
    lines = [[*map(int, line.split())] for line in text.splitlines()]
    return [pid for number, _, pid in lines if number == trial]
