"""A short sweep, told to any display."""

from __future__ import annotations

import math

from sweeps.analysis.summary import Summary, summarize
from sweeps.progress import Progress
from sweeps.progress.tally import Tally
from tests.sweeps.render.builders import record, sweep_info

DONE = [record(0, 0.91, origin="baseline tutorial")]
ENDED = [
    record(1, 0.923),
    record(2, outcome="failed", error="ValueError: boom\n  at x"),
    record(3, outcome="diverged"),
    record(4, outcome="pruned"),
]


def summary() -> Summary:
    return summarize(sweep_info(), [*DONE, *ENDED], asked=5, seconds=9.0, stopped_by=None)


def play(progress: Progress, *, finish: bool = True) -> None:
    progress.note("importing")
    progress.started(Tally(sweep_info(), 5, DONE))
    for ended in ENDED:
        progress.trial_started(ended.spec("mlp-1a2b3c"), ended.params)
        for epoch in range(2):
            progress.epoch(ended.spec("mlp-1a2b3c"), epoch, {"val_accuracy": 0.8, "loss": math.nan})
        progress.trial_finished(ended)
    if finish:
        progress.trials_ended(summary())
        progress.finished(summary())
    progress.close()
    progress.close()
