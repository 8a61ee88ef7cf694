"""The fail-points of a sweep that runs, see `sweeps.workspace.failpoints`."""

FILES = ("text", "weights", "details")
STEPS = ("begun", "opened", "written", "synced", "renamed", "done")
"""Steps of an atomic write: nothing done yet, the temporary file empty, its contents written, the
file fsynced, renamed, and the folder fsynced."""
APPENDED = ("begun", "opened", "written", "synced", "done")
"""Steps of an append to the journal: nothing done yet, the file there and locked, the events
written, fsynced, and read again, with the lock released."""

OF_A_SWEEP = (
    *("home.begun", "import.unpacked", "import.done"),
    *(f"{file}.{step}" for file in FILES for step in STEPS),
    *("lock.opened", "lock.taken", "lock.signed", "lock.cleared"),
    *(f"journal.{step}" for step in APPENDED),
    *("drop.begun", "drop.done"),
    *("tracking.begun", "tracking.made", "tracking.named", "experiment.created"),
    *("parent.begun", "parent.created", "parent.valued", "parent.filed", "parent.running"),
    *("run.begun", "run.created", "run.valued", "run.filed", "run.ended"),
    *("end.named", "end.begun", "end.valued", "end.filed", "end.done"),
)
"""Roughly in the order in which it reaches them: its files, its lock, its journal, dropped weights,
MLflow's store and experiment, the parent run, an attempt's run, the end of the parent run."""
