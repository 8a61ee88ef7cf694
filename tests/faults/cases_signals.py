"""Cases 5, 6 and 7: being asked to stop, and talking to nobody."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

from tests.faults.lab import Lab
from tests.faults.leftovers import processes_of


def terminate(lab: Lab, trials: int = 12) -> None:
    """SIGTERM once: trials end at their next epoch, runs are closed, exit 143 within 5 s.

    The bound here is 15 s: a machine that runs other things as well is no fault of the sweep.
    """
    process = _begun(lab, trials)
    took = _stopped(lab, process, [signal.SIGTERM], 143)
    lab.score.note = f"{took:.1f} s"
    lab.expect(took < 15, f"I8: SIGTERM took {took:.1f} s")
    _resumed(lab, trials)


def interrupt(lab: Lab, trials: int = 12) -> None:
    """SIGINT once: as SIGTERM, exit 130. Twice: a hard stop at once, all the same resumable."""
    _stopped(lab, _begun(lab, trials), [signal.SIGINT], 130)
    process = _begun(lab, trials, seconds=12)
    _stopped(lab, process, [signal.SIGINT, signal.SIGINT], 130, closed=False)
    _resumed(lab, trials)


def hang_up(lab: Lab, trials: int = 12) -> None:
    """`| head -1` closes stdout: the sweep goes on. SIGHUP to the group: it stops, resumable."""
    words = lab.command(trials // 2, [])
    piped = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" 2>&1 | head -1', "bash", *words],
        env=lab.environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    lab.expect(piped.returncode == 0, f"I8: exit code {piped.returncode} {piped.stderr!r}")
    process = _begun(lab, trials, preexec_fn=_hears_hang_ups)
    _stopped(lab, process, [signal.SIGHUP], 129)
    _resumed(lab, trials)


def _hears_hang_ups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make faults` must not change the case


def _begun(lab: Lab, trials: int, seconds: float = 1.2, **popen: Any) -> subprocess.Popen[bytes]:
    """Start a sweep of trials of four epochs; return once every worker has begun one more."""
    begun = lab.trainings()
    process = lab.start(trials, seconds=seconds, **popen)
    wanted = begun + lab.workers + (seconds < 2)  # with short trials, one has ended as well
    assert lab.until(lambda: lab.trainings() >= wanted, process), lab.stderr()
    time.sleep(lab.random.random())
    return process


def _stopped(
    lab: Lab,
    process: subprocess.Popen[bytes],
    signals: list[int],
    code: int,
    *,
    closed: bool = True,
) -> float:
    """Send the signals half a second apart; return how long the end took, in seconds."""
    start = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.5 if len(signals) > 1 else 0)
    ended = lab.wait_for(process)
    took = time.monotonic() - start
    lab.expect(ended == code, f"I8: exit code {ended}, must be {code}\n{lab.stderr()}")
    lab.expect("Traceback" not in lab.stderr(), f"I8: {lab.stderr()}")
    lab.until(lambda: not processes_of(lab.marker))
    lab.killed += lab.workers  # those that were stopped are trained again
    lab.note_recorded()
    if closed:
        statuses = [run.status for run in lab.runs()]
        lab.expect("RUNNING" not in statuses, f"I2: MLflow run: after the end {statuses}")
    return took


def _resumed(lab: Lab, trials: int) -> None:
    lab.run(trials)
    lab.check(trials, undisturbed=lab.table(trials))
