"""Cases 2 and 29: killed at every write boundary, and a power cut that takes unsynced writes."""

from __future__ import annotations

import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.failpoints import OF_A_SWEEP
from tests.faults.lab import ROOT, Lab

SITE = Path(__file__).parent / "volatile_disk"
PAGE, FRAME, HEADER = 4096, 4096 + 24, 32
"""Of a WAL file: its pages, a page with its header, the file's header, in bytes."""


def cut_the_power(lab: Lab, trials: int = 16, cuts: int = 4) -> None:
    """All is killed and whatever was not fsynced is lost; what a user was told of is there.

    Files, the journal too: contents and names as of their last fsync (`volatile_disk`). Database:
    its `-wal` is cut to nothing, at a frame, and within a frame; it was not checkpointed, so that
    every such state may be found after a power cut with synchronous=NORMAL.
    """
    durable, told = lab.folder / "durable", lab.folder / "told"
    durable.mkdir()
    env = {"FAULT_DURABLE": str(durable), "PYTHONPATH": f"{SITE}:{ROOT}"}
    with told.open("wb") as stdout:
        process = lab.start(trials, "--json", seconds=0.1, env=env, stdout=stdout)
        assert lab.until_recorded(process, 6 + lab.random.randrange(6)), lab.stderr()
        lab.kill_all(process)
    acknowledged = _acknowledged(told)
    assert acknowledged
    table = lab.table(trials)
    for number in range(cuts):
        after = lab.sibling(f"after-{number}")
        with after.cleaned():
            _reboot(lab, durable, after.home, number)
            # Whatever was not durable may be trained again, and unmarked: nobody knows of it.
            after.recorded = acknowledged
            after.run(trials)
            found = after.check(trials, undisturbed=table)
            again = set(found.trainings) & set(acknowledged)
            assert not again, f"I5: trials {again} were recorded, and trained again"


def _acknowledged(told: Path) -> dict:
    """Return what a user was told: trials whose outcome was printed in a whole line."""
    lines = told.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    ended = [e for e in events if e["event"] == "trial_finished"]
    return {e["trial"]: (e["objective"], e["params"]) for e in ended}


def _reboot(lab: Lab, durable: Path, home: Path, number: int) -> None:
    """Make the home as the disk would have it."""
    for note in durable.glob("folder-*[0-9]"):
        path, names = json.loads(note.read_text())
        folder = home / Path(path).relative_to(lab.home)
        folder.mkdir(parents=True, exist_ok=True)
        for name, inode in names.items():
            content = durable / f"file-{inode}"
            if content.exists():
                shutil.copy(content, folder / name)
            elif not name.endswith((".db", "-wal", "-shm")):
                (folder / name).touch()  # its name outlived, its contents did not
    shutil.copy(lab.home / "mlflow.db", home / "mlflow.db")
    wal = lab.home / "mlflow.db-wal"
    if wal.exists():
        whole = wal.read_bytes()
        assert len(whole) < 1000 * FRAME, "checkpointed: not every cut is a possible state"
        (home / wal.name).write_bytes(whole[: _cut(lab, len(whole), number)])


def _cut(lab: Lab, length: int, number: int) -> int:
    if number == 0 or length <= HEADER:
        return 0
    frames = (length - HEADER) // FRAME
    at = HEADER + lab.random.randrange(frames) * FRAME
    return at if number % 2 else at + lab.random.randrange(1, FRAME)


def die_at_every_write(lab: Lab, trials: int = 4) -> None:
    """SIGKILL at every fail-point, at one of its first passages, then resume.

    Three seeds share them; `tests/sweeps/workspace/test_failpoints.py` dies at each, and while it
    extends.
    """
    names = OF_A_SWEEP[lab.seed % 3 :: 3]
    table = lab.table(trials)

    def die(name: str) -> str | None:
        what = name.partition(".")[0]
        passage = random.Random(f"{lab.seed} {name}").randrange(1, AGAIN.get(what, 1) + 1)
        with _at(lab, what, f"{name}:{passage}").cleaned() as other:
            total = 24 if what == "drop" else trials  # weights are dropped beyond the best 20
            point = {"SWEEPS_FAILPOINT": f"{name}:{passage}"}
            code = other.run(total, env=point, seconds=0.02)
            if other.records():
                other.note_recorded()
            other.killed += 1
            other.run(total)
            try:
                other.check(total, undisturbed=table if total == trials else None)
            except AssertionError as error:
                return f"{name}:{passage}: {error}"
        return None if code == -9 else f"{name}:{passage}: never reached, exit code {code}"

    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(die, names) if text]
    lab.score.note = f"{len(names)} fail-points"
    assert not wrong, "\n".join(wrong)


def _at(lab: Lab, what: str, name: str) -> Lab:
    """Return a laboratory in which the next start comes to that point."""
    other = lab.sibling(name)
    other.workers = 1
    if what == "tracking":
        (other.home / "mlflow.db").unlink()
    return other


AGAIN = {"weights": 2, "details": 2, "run": 2, "journal": 9}
"""What a start writes more than once -> up to which of its passages it is killed there."""
