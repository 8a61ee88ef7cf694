"""Where the kernel counts its kills for want of memory, and what another kill is."""

import signal

import pytest

from sweeps.workspace import processes

V1 = "4:memory:/jobs/7\n1:cpu,cpuacct:/\n0::/\n"
V2 = "0::/user.slice/session.scope\n"


@pytest.mark.parametrize(
    ("groups", "files", "count"),
    [
        (V1, {"memory/jobs/7/memory.oom_control": "under_oom 0\noom_kill 2\n"}, 2),
        (V1, {"memory/memory.oom_control": "oom_kill 3\n"}, 3),  # a container sees only its own
        (V1, {"memory/jobs/7/memory.oom_control": "under_oom 0\n"}, 9),  # before Linux 4.13
        (V2, {"user.slice/session.scope/memory.events": "oom 5\noom_kill 4\n"}, 4),
        (V2, {"user.slice/memory.events": "oom_kill 5\noom_group_kill 1\n"}, 5),
        ("0::/\n", {"memory.events": "oom_kill 6\n"}, 6),
        (V2, {}, 9),
        (None, {}, 9),
    ],
)
def test_the_nearest_group_that_counts_is_asked_else_the_machine(
    tmp_path, monkeypatch, groups, files, count
):
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 9\n")
    (tmp_path / "memory.events").write_text("oom_kill 1\n")  # outside of the mount
    for name, path in (("GROUPS", "groups"), ("MOUNT", "mount"), ("MACHINE", "vmstat")):
        monkeypatch.setattr(processes, name, tmp_path / path)
    assert processes.oom_kills() == count
    assert processes.why_killed(-signal.SIGKILL, count - 1) == "oom"
    assert processes.why_killed(-signal.SIGKILL, count) == "killed"
    assert processes.why_killed(-signal.SIGTERM, count - 1) == "killed", "the kernel sends SIGKILL"
    (tmp_path / "vmstat").unlink()
    assert processes.oom_kills() == (0 if count == 9 else count)


@pytest.mark.parametrize("code", [-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE])
def test_a_fault_of_the_process_itself_is_no_kill(code):
    assert processes.why_killed(code, 0) is None
