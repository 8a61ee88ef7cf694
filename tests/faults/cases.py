"""The table of the cases (facts on reliability, part B): what is done, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import cases_concurrency as concurrency
from tests.faults import cases_inputs as inputs
from tests.faults import cases_power as power
from tests.faults import cases_processes as processes
from tests.faults import cases_signals as signals
from tests.faults import cases_stores as stores
from tests.faults import cases_tracking as tracking
from tests.faults import cases_trials as trials
from tests.faults.lab import Lab


@dataclass(frozen=True)
class Case:
    """One kind of trouble.

    Attributes:
        number: Its row in the facts; from 31 on, what later attacks found.
        run: Does it, resumes, and lets the oracle judge.
        stock: Whether the stock recipe can be put through the same. Not 18: it has no time limit
            for a trial, and a trial that crashes its process ends its sweep.
        missing: Why it cannot pass yet; empty if it must.
    """

    number: int
    title: str
    run: Callable[[Lab], None]
    stock: bool = False
    missing: str = ""

    def __str__(self) -> str:
        return f"{self.number:02}-{self.run.__name__}"


CASES = [
    Case(1, "workers are killed in mid-epoch", processes.kill_workers, stock=True),
    Case(2, "killed at every write boundary", power.die_at_every_write),
    Case(3, "everything is killed, then resumed", processes.kill_everything, stock=True),
    Case(4, "killed ten times in a row, Keras five times", processes.kill_in_a_row, stock=True),
    Case(5, "SIGTERM", signals.terminate, stock=True),
    Case(6, "Ctrl-C, once and twice", signals.interrupt, stock=True),
    Case(7, "a closed stdout, SIGHUP", signals.hang_up, stock=True),
    Case(8, "processes are paused", processes.pause_a_worker, stock=True),
    Case(9, "the wall clock jumps", processes.jump_the_clock, stock=True),
    Case(10, "the tracking server is away", tracking.lose_the_server),
    Case(11, "replies of the tracking server are lost", tracking.lose_replies),
    Case(12, "the disk is full", stores.fill_the_disk, stock=True),
    Case(13, "folders vanish or are read-only", stores.take_the_folder_away),
    Case(14, "database and journal are locked", stores.lock_the_databases, stock=True),
    Case(15, "database and journal are damaged", stores.damage_the_databases),
    Case(16, "the journal torn at every byte", stores.tear_the_last_records),
    Case(17, "trials diverge", trials.diverge, stock=True),
    Case(18, "trials raise, crash and hang", trials.misbehave),
    Case(19, "files are damaged", trials.damage_files),
    Case(20, "bad data", inputs.bad_data),
    Case(21, "bad configurations, changed ground", inputs.bad_configurations),
    Case(22, "two starts of one sweep", concurrency.start_twice, stock=True),
    Case(23, "16 workers on one store", concurrency.many_workers, stock=True),
    Case(24, "many points, many workers", concurrency.many_points, stock=True),
    Case(25, "runs and experiments are meddled with", tracking.meddle_with_runs),
    Case(26, "readers while the sweep writes", concurrency.read_while_writing),
    Case(27, "500 trials in one process", concurrency.long_sweep),
    Case(28, "malicious files", inputs.malicious_files),
    Case(29, "a power cut takes unsynced writes", power.cut_the_power),
    Case(30, "any workers, any interruptions: same trials", concurrency.same_everywhere),
    Case(31, "the fork server is stopped", processes.stop_the_fork_server),
    Case(32, "workers are killed from outside, default retries", processes.kill_from_outside),
]
