"""Trees of real processes, watched from outside."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.process_tree import HERE, Usage, free_port, in_background, processes, run_tree

BURN = "import time\nwhile time.process_time() < 1.5: pass"
SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def watched(command: list[str], folder: Path, *, timeout_seconds: float = 60) -> Usage:
    return run_tree(command, folder=folder, timeout_seconds=timeout_seconds)


@pytest.mark.slow
def test_the_cpu_time_of_a_grandchild_counts(tmp_path):
    child = f"import subprocess, sys; subprocess.run({python(BURN)!r}, check=True)"
    used = watched(python(child), tmp_path)
    assert used.cpu_seconds > 1.0
    assert used.wall_seconds > used.cpu_seconds / len(os.sched_getaffinity(0))


def test_the_memory_of_a_child_counts(tmp_path):
    hold = "import time; held = b'x' * 200_000_000; time.sleep(3)"
    child = f"import subprocess; subprocess.run({python(hold)!r}, check=True)"
    assert watched(python(child), tmp_path).peak_bytes > 200_000_000


def test_a_process_stays_in_the_tree_when_its_parent_has_gone():
    orphan = f"import subprocess; print(subprocess.Popen({python(SLEEPER)!r}).pid, flush=True)"
    code = f"import subprocess, time; subprocess.run({python(orphan)!r}); time.sleep(60)"
    root = subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        lines = sorted(root.stdout.readline().strip() for _ in range(2))
        assert lines[-1] == "ready"
        tree = {process.pid: process for process in processes(root.pid)}
        assert tree[root.pid].depth == 0
        orphaned = tree[int(lines[0])]
        assert "sleep(60)" in orphaned.command
        assert orphaned.memory_bytes("Rss") >= orphaned.memory_bytes("Pss") > 1_000_000
        assert orphaned.descriptors() >= 3
    finally:
        for process in processes(root.pid):
            with contextlib.suppress(ProcessLookupError):  # the one in between ends by itself
                os.kill(process.pid, 9)
        root.communicate()


def test_nothing_of_the_tree_is_left(tmp_path):
    code = f"import subprocess; print(subprocess.Popen({python(SLEEPER)!r}).pid)"
    watched(python(code), tmp_path)
    left = int((tmp_path / "output.log").read_text().split()[0])
    end = time.monotonic() + 10
    while (alive := Path(f"/proc/{left}/cmdline").exists()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3.*what went wrong"):
        watched(python("print('what went wrong'); raise SystemExit(3)"), tmp_path)


def test_a_server_answers_inside_the_block_and_is_gone_after_it(tmp_path):
    port = free_port()
    command = ["http.server", "--bind", HERE, str(port)]
    with in_background(command, tmp_path / "server", port) as pid:
        socket.create_connection((HERE, port), 5).close()
        assert [process.pid for process in processes(pid)] == [pid]
    assert processes(pid) == []


def test_a_server_that_ends_at_once_says_why(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"(?s)nonsense does not answer:.*unrecognized arguments"),
        in_background(["http.server", "--nonsense"], tmp_path / "server", free_port()),
    ):
        pass


def test_a_command_that_takes_too_long_is_killed(tmp_path):
    with pytest.raises(RuntimeError, match=r"took more than 1 s"):
        watched(python(SLEEPER), tmp_path, timeout_seconds=1)
