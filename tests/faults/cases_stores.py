"""Cases 12 to 16: full and read-only disks, locked and damaged databases and journals, torn files.

A damaged database is refused. A damaged journal costs the events that were hurt: each trial that
lost its outcome by it is run again, and comes out the same. One that is lost as a whole is refused.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeps.home import Home
from sweeps.journal import Journal
from sweeps.journal.events import to_line
from tests.faults.lab import Lab


def fill_the_disk(lab: Lab, trials: int = 20) -> None:
    """No file may grow beyond a limit (RLIMIT_FSIZE): one message, nothing damaged, resumable.

    The limits let in, in turn: no record; some of a stock study; not all of MLflow. Before, in
    mid-sweep: no more than a part of the journal's next line.
    """
    assert lab.run(10 if lab.is_ours else 2) == 0, lab.stderr()
    if lab.is_ours:
        _fill_the_journal(lab, trials)
    codes = []
    for limit in (1_500, 400_000) if lab.is_ours else (1_500, 100_000, 400_000):
        full = lab.random.randrange(limit // 2, limit)
        process = lab.start(
            trials,
            seconds=0.05,
            preexec_fn=lambda full=full: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
        )
        codes.append(lab.wait_for(process))
        lab.killed += lab.workers  # what could not be recorded is trained again
        _databases_are_whole(lab)
        lab.note_recorded()
    lab.expect(codes[0] == 1 and set(codes) <= {0, 1, 3}, f"I8: exit codes {codes}")
    lab.score.note = f"exit codes {codes}"
    lab.run(trials)
    lab.check(trials, undisturbed=lab.table(trials))


def _fill_the_journal(lab: Lab, trials: int) -> None:
    """Leave the coordinator no room for another event: it is longer than any other file by now."""
    process = lab.start(trials, seconds=0.3)
    assert lab.until_recorded(process, 1), lab.stderr()
    full = _journal(lab).stat().st_size + lab.random.randrange(100)
    largest = max(path.stat().st_size for path in lab.home.glob("sweeps/*/trials/*"))
    assert full > largest, "files of trials would not be written either"
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, full))
    assert lab.wait_for(process) == 1, lab.stderr()
    assert "journal.jsonl: cannot be written (File too large); make room" in lab.stderr()
    lab.note_recorded()


def take_the_folder_away(lab: Lab, trials: int = 12) -> None:
    """The sweep's folder is moved away in mid-sweep; then the home is read-only: a message each."""
    process = lab.start(trials, seconds=0.2)
    assert lab.until_recorded(process, 2), lab.stderr()
    (info,) = Home(lab.home).sweeps()
    folder = Home(lab.home).store(info.id).folder
    folder.rename(lab.folder / "away")
    assert lab.wait_for(process) == 1, lab.stderr()
    lab.killed += lab.workers
    shutil.rmtree(folder, ignore_errors=True)
    (lab.folder / "away").rename(folder)
    lab.note_recorded()
    lab.run(trials)
    lab.check(trials, undisturbed=lab.table(trials))
    _read_only(lab.sibling("read-only"), lab.table(8))


def _read_only(other: Lab, table: list[Any]) -> None:
    """Take the write permission from a home while its sweep runs."""
    with other.cleaned():
        process = other.start(8, seconds=0.2, preexec_fn=_heed_permissions)
        assert other.until_recorded(process, 2), other.stderr()
        folders = [p for p in (other.home, *other.home.rglob("*")) if p.is_dir()]
        for path in folders:
            path.chmod(0o555)
        assert other.wait_for(process) == 1, other.stderr()
        assert other.run(8, preexec_fn=_heed_permissions) == 2, other.stderr()
        for path in folders:
            path.chmod(0o755)
        other.killed += other.workers
        other.note_recorded()
        other.run(8, preexec_fn=_heed_permissions)
        other.check(8, undisturbed=table)


def _heed_permissions() -> None:
    """Let root be refused like anybody: without the capabilities to override permissions."""
    if os.geteuid() == 0:
        drop, override, read = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        for capability in (override, read):
            assert ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0) == 0


def lock_the_databases(lab: Lab, trials: int = 12) -> None:
    """Another process holds journal (or stock study) and database for 8 s each.

    That is beyond every driver's own wait of 5 s. At the start and in mid-sweep. 90 s are scaled
    to 8 s. Without the journal no attempt begins.
    """
    assert lab.run(2) == 0
    for path in (_journal(lab) if lab.is_ours else lab.home / "optuna.db", lab.home / "mlflow.db"):
        with _Held(path):
            begun = lab.trainings()
            process = lab.start(7 if path.name == "mlflow.db" else 4)
            time.sleep(8)
            if path.name == "journal.jsonl":
                assert process.poll() is None, lab.stderr()
                assert lab.trainings() == begun, "an attempt has begun without being asked for"
        lab.wait_for(process)
        process = lab.start(trials, seconds=0.3)
        assert lab.until_recorded(process, 1), lab.stderr()
        with _Held(path):
            time.sleep(8)
        lab.wait_for(process)
        trials += 4
    lab.check(trials - 4, undisturbed=lab.table(trials - 4))


def damage_the_databases(lab: Lab, trials: int = 6) -> None:
    """Database empty, torn, overwritten, no database, of a newer schema: refused untouched.

    Moved away, it is made anew from the journal by the same command. Then the journal.
    """
    assert lab.run(trials // 2) == 0
    lab.note_recorded()
    path = lab.home / "mlflow.db"
    whole = path.read_bytes()
    for damage in (_empty, _torn, _overwritten, _text, _newer):
        damage(path, lab)
        _refused(lab, trials, path, damage.__name__)
        _replace(path, whole)
    _replace(path, None)
    assert lab.run(trials + 3) == 0, lab.stderr()
    lab.check(trials + 3, undisturbed=lab.table(trials + 3))
    _refuse_the_journal(lab, trials + 6)
    for harm in (_gone, _empty, _torn, _flipped, _zeroed, _text, _earlier):
        with lab.sibling(harm.__name__).cleaned() as other:
            _hurt_the_journal(other, harm)
            _lose_the_journal(other, harm)


def _refused(lab: Lab, trials: int, path: Path, damage: str, **popen: Any) -> None:
    before = _digest(path)
    code = lab.run(trials, **popen)
    said = lab.stderr()[-2000:]
    assert code in {1, 2}, f"{path.name}, {damage}: exit code {code}\n{said}"
    assert path.name in said, f"{path.name}, {damage}: it is not named\n{said}"
    assert _digest(path) == before, f"{path.name}, {damage}: it was changed"


def _refuse_the_journal(lab: Lab, trials: int) -> None:
    """A journal with an event of a later version, and one that is read-only: refused untouched."""
    path = _journal(lab)
    whole = path.read_bytes()
    text = b'{"kind":"asked 99","number":1000,"by":"99.0"}'
    path.write_bytes(whole + b"\n%b %08x\n" % (text, zlib.crc32(text)))
    _refused(lab, trials, path, "of a later version")
    assert lab.exit_code == 2
    assert "use the one that wrote it (99.0)" in lab.stderr()
    path.write_bytes(whole)
    path.chmod(0o444)
    _refused(lab, trials, path, "read-only", preexec_fn=_heed_permissions)
    path.chmod(0o644)
    assert lab.run(trials) == 0, lab.stderr()
    lab.check(trials, undisturbed=lab.table(trials))


def _hurt_the_journal(lab: Lab, harm: Callable[[Path, Lab], None], trials: int = 24) -> None:
    """Hurt it twice while the sweep runs, which goes on; then kill everything and resume."""
    lab.lost_events = True
    process = lab.start(trials, seconds=0.4)
    assert lab.until_recorded(process, 2), lab.stderr()
    path = _journal(lab)
    shutil.copy(path, lab.folder / "earlier")
    said = "was deleted" if harm is _gone else "was changed by another program"
    said = f"journal.jsonl {said} while the sweep runs"
    for more in (2, 3):
        assert lab.until_recorded(process, more), lab.stderr()
        lab.killed += lab.records()  # each outcome that is lost is trained for again
        before = lab.stderr().count(said)
        harm(path, lab)
        is_said = lab.until(lambda before=before: lab.stderr().count(said) > before, process)
        assert is_said, f"{harm.__name__}: {lab.stderr()}"
    assert lab.until_recorded(process, 1), lab.stderr()
    lab.kill_all(process)
    assert lab.run(trials) == 0, f"{harm.__name__}: {lab.stderr()}"
    lab.check(trials, undisturbed=lab.table(trials))


def _lose_the_journal(lab: Lab, harm: Callable[[Path, Lab], None], trials: int = 24) -> None:
    """Hurt it while nothing runs: what is left is taken up; if nothing is, it is refused."""
    path = _journal(lab)
    whole = path.read_bytes()
    lab.note_recorded()
    lab.killed += lab.records()
    harm(path, lab)
    hurt = path.read_bytes() if path.exists() else None
    if b'"begun 1"' in b"".join(_whole_lines(hurt or b"")):
        assert lab.run(trials) == 0, f"{harm.__name__}: {lab.stderr()}"
    else:
        assert lab.run(trials) == 1, f"{harm.__name__}: {lab.stderr()}"
        assert "journal.jsonl" in lab.stderr()
        assert "bring it back from a backup, or move its folder away" in lab.stderr()
        assert (path.read_bytes() if path.exists() else None) == hurt, "it was changed"
        path.write_bytes(whole)
        assert lab.run(trials) == 0, lab.stderr()
    lab.check(trials, undisturbed=lab.table(trials))


def _whole_lines(content: bytes) -> Iterator[bytes]:
    for line in content.split(b"\n"):
        text, _, checksum = line.rpartition(b" ")
        if checksum == f"{zlib.crc32(text):08x}".encode():
            yield line


def tear_the_last_records(lab: Lab, trials: int = 8) -> None:
    """Cut the journal at every byte of its last three outcomes; leave temporary files, too.

    Every event before is read, and nothing else; the next start runs what is lost again.
    """
    assert lab.run(trials) == 0
    (info,) = Home(lab.home).sweeps()
    store = Home(lab.home).store(info.id)
    path, copy = store.journal.path, Journal(lab.folder)
    whole, events = path.read_bytes(), store.journal.read(pytest.fail)
    outcomes = [found.start() for found in re.finditer(rb'\n{"kind":"ended 2"', whole)]
    ends = [found.end() for found in re.finditer(rb" [0-9a-f]{8}(?=\n)", whole)]
    assert len(ends) == len(events)
    for length in range(outcomes[-3], len(whole)):
        copy.path.write_bytes(whole[:length])
        left = [to_line(event) for event in copy.read(pytest.fail)]
        assert left == [to_line(event) for event in events[: sum(end <= length for end in ends)]]
    lab.lost_events = True
    for _ in range(3):
        whole = path.read_bytes()
        outcomes = [found.start() for found in re.finditer(rb'\n{"kind":"ended 2"', whole)]
        length = lab.random.randrange(outcomes[-3], len(whole))
        path.write_bytes(whole[:length])
        lab.killed += whole.count(b'"kind":"ended 2"') - len(store.state().ended)
        details = lab.random.choice(sorted(store.folder.glob("trials/[0-9]*-1.npz")))
        content = details.read_bytes()
        torn = details.with_name(f".{details.name}.1.tmp")
        torn.write_bytes(content[: lab.random.randrange(len(content))])
        stray = details.with_name("0099-1.npz")  # written before its event, which never was
        stray.write_bytes(content)
        assert lab.run(trials) == 0, lab.stderr()
        assert not stray.exists()
    lab.check(trials, undisturbed=lab.table(trials))


def _databases_are_whole(lab: Lab) -> None:
    for path in lab.home.glob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        assert answer == "ok", f"{path.name}: {answer}"


def _journal(lab: Lab) -> Path:
    (info,) = Home(lab.home).sweeps()
    return Home(lab.home).store(info.id).folder / "journal.jsonl"


class _Held:
    """Holds a database or a journal for writing from another process."""

    def __init__(self, path: Path) -> None:
        hold = (
            "connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n"
            "connection.execute('BEGIN EXCLUSIVE')\n"
        )
        if path.name == "journal.jsonl":
            hold = "file = open(sys.argv[1])\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        code = f"import fcntl, sqlite3, sys\n{hold}print(flush=True)\nsys.stdin.read()"
        self._command = [sys.executable, "-c", code, str(path)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def _gone(path: Path, _: Lab) -> None:
    path.unlink()


def _empty(path: Path, _: Lab) -> None:
    path.write_bytes(b"")


def _flipped(path: Path, lab: Lab) -> None:
    """Flip 20 bits, anywhere."""
    whole = bytearray(path.read_bytes())
    for _ in range(20):
        whole[lab.random.randrange(len(whole))] ^= 1 << lab.random.randrange(8)
    path.write_bytes(whole)


def _zeroed(path: Path, lab: Lab) -> None:
    """Lose a piece in the middle, as a disk may."""
    whole = bytearray(path.read_bytes())
    start = lab.random.randrange(len(whole) // 2)
    whole[start : start + 500] = bytes(len(whole[start : start + 500]))
    path.write_bytes(whole)


def _earlier(path: Path, lab: Lab) -> None:
    """Bring the copy of an earlier time back."""
    shutil.copy(lab.folder / "earlier", path)


def _torn(path: Path, _: Lab) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 100])


def _overwritten(path: Path, _: Lab) -> None:
    whole = bytearray(path.read_bytes())
    for page in range(4096, len(whole) // 2, 4096):
        whole[page : page + 100] = bytes(100)
    path.write_bytes(whole)


def _text(path: Path, _: Lab) -> None:
    path.write_text("This is no database.\n" * 1000)


def _newer(path: Path, _: Lab) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _replace(path: Path, content: bytes | None) -> None:
    """Put a database back as it was, or take it away, without what lies beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
