"""A home that cannot be written: it is read as ever, and refused before anything is created."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.cli.results import write
from sweeps.errors import UsageError
from sweeps.manage.sharing import import_sweep, share_sweep
from sweeps.tracking.address import resolve_tracking_uri
from tests.sweeps.launching import Launched, give_up_the_rights_of_root


@pytest.fixture
def commands(toy_space, tmp_path):
    """Return the words of each command; the report goes to a folder that can be written."""
    report = tmp_path / "report" / "toy.html"
    return {
        "run": ["run", str(toy_space), "--trials", "3", "--workers", "0"],
        "list": ["list"],
        "report": ["report", "toy", "--output", str(report)],
    }


@pytest.fixture
def sealed():
    """Take the right to write from a folder and all in it; give it back at the end."""
    modes = {}

    def seal(folder):
        for path in (folder, *folder.rglob("*")):
            modes[path] = stat.S_IMODE(path.stat().st_mode)
            path.chmod(modes[path] & ~0o222)

    yield seal
    for path, mode in modes.items():
        path.chmod(mode)


def launch(words, home):
    """Return exit code and output of a command that heeds the modes of files, as users have to."""
    words = [*words, "--home", str(home)]
    running = Launched(words, before=[give_up_the_rights_of_root], hears_all=True)
    return running.wait(), running.stderr()


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_one_that_is_read_only_is_shown_and_not_run(commands, finished_toy, sealed):
    home = finished_toy(trials=2).home.path
    before = contents(home)
    sealed(home)
    code, said = launch(commands["run"], home)
    assert (code, said) == (2, f"error: home {home}: nothing can be written into {home}\n")
    code, said = launch(commands["list"], home)
    assert code == 0
    assert "toy" in said
    assert "FINISHED" in said
    code, said = launch(commands["report"], home)
    page = commands["report"][-1]
    assert (code, said) == (0, f"{page}\n")
    assert contents(home) == before


WRITING = [
    ["sync"],
    ["sync", "toy"],
    ["rename", "toy", "other"],
    ["archive", "toy"],
    ["delete", "toy", "--yes"],
    ["gc"],
    ["note", "toy", "a text"],
    ["enqueue", "toy", "x=0.1", "layers=0", "kind=a"],
    ["import", "toy.sweep"],
    ["trust", "foreign", "--yes"],
    ["doctor"],  # SQLite opens no database of ours there, not even to read it
    ["ui"],
    ["doctor", "--fix"],
]


@pytest.fixture
def shared(finished_toy, tmp_path, monkeypatch):
    """Return a home with a sweep of its own and an imported one; beside it lies a shared one."""
    monkeypatch.chdir(tmp_path)
    sweep = finished_toy(trials=2)
    share_sweep(sweep.home, sweep.info, tmp_path / "toy.sweep")
    other = finished_toy("away", name="foreign", trials=1)
    share_sweep(other.home, other.info, tmp_path / "foreign.sweep")
    store = resolve_tracking_uri(sweep.home.path, None)
    import_sweep(sweep.home, tmp_path / "foreign.sweep", store)
    return sweep.home.path


@pytest.mark.slow
@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_what_would_write_into_one_that_is_read_only_says_so(words, shared, sealed):
    before = contents(shared)
    sealed(shared)
    assert launch(words, shared) == (
        2,
        f"error: home {shared}: nothing can be written into {shared}\n",
    )
    assert contents(shared) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        *(["run", "smoke"], WRITING[0]),
        *(pytest.param(words, marks=pytest.mark.nightly) for words in WRITING[1:-1]),
    ],
    ids=" ".join,
)
def test_a_process_that_may_hardly_open_files_is_told_so(words, shared):
    before = contents(shared)
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (16, 16))
    running = Launched([*words, "--home", str(shared)], before=[few], hears_all=True)
    assert running.wait() == 2
    assert running.stderr() == (
        "error: the system lets this process have 16 open files, too few for databases; allow "
        "more first: ulimit -n 256\n"
    )
    assert contents(shared) == before


def test_a_process_that_may_have_hardly_any_memory_says_so(toy_space, tmp_path):
    line = 'ulimit -v 200000; "$0" -m sweeps run "$1" --workers 0'
    ran = subprocess.run(
        ["sh", "-c", line, sys.executable, str(toy_space)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr.splitlines()[-1:]) == (
        1, ["error: there is too little memory; more is needed (ulimit -v)"],
    )  # fmt: skip
    assert "Traceback" not in ran.stderr


def test_a_process_allows_itself_the_files_that_it_may_have(finished_toy):
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (16, 256))
    words = ["sync", "--home", str(finished_toy().home.path)]
    assert Launched(words, before=[few]).wait() == 0


def test_one_that_cannot_be_made_is_refused_or_empty(commands, tmp_path, sealed):
    folder = tmp_path / "sealed"
    folder.mkdir()
    sealed(folder)
    home = folder / "new" / "home"
    expected = {
        "run": (2, f"error: home {home}: nothing can be written into {folder}\n"),
        "list": (
            0,
            f"no sweeps in {home} yet; begin with one of:\n  sweeps run smoke --home {home}\n"
            f"  sweeps run mlp --home {home}\n"
            "  sweeps init FOLDER   an experiment of your own: Keras or any program\n",
        ),
        "report": (2, f"error: no sweep 'toy' in {home}; there are no sweeps yet\n"),
    }
    assert {name: launch(words, home) for name, words in commands.items()} == expected
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sealed", "toy.yaml"]


def test_one_whose_records_cannot_be_read_is_not_taken_for_an_empty_one(commands, tmp_path, sealed):
    home = tmp_path / "home"
    (home / "sweeps").mkdir(parents=True)
    sealed(home)
    (home / "sweeps").chmod(0)
    said = f"error: [Errno 13] Permission denied: '{home / 'sweeps'}'\n"
    for name in ("list", "report"):
        assert launch(commands[name], home) == (2, said)


@pytest.mark.parametrize("command", ["run", "list", "report"])
def test_one_below_a_file_is_refused(commands, tmp_path, command):
    file = tmp_path / "file"
    file.write_text("a file")
    home = file / "new" / "home"
    result = CliRunner().invoke(app, [*commands[command], "--home", str(home)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: home {home}: {file} is a file; give a folder with --home\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "toy.yaml"]
    assert file.read_text() == "a file"


@pytest.fixture
def small_files():
    """Let this process write files of 1000 bytes at most, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextmanager
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


def test_a_page_that_finds_no_room_leaves_the_former_one(tmp_path, small_files):
    page = tmp_path / "toy.html"
    page.write_text("the former")
    with small_files(), pytest.raises(UsageError, match=r"toy\.html: cannot be written"):
        write(page, bytes(2000))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the former"]


def test_a_sweep_that_finds_no_room_is_not_shared_and_the_file_is_named(
    finished_toy, tmp_path, small_files
):
    sweep, file = finished_toy(trials=2), tmp_path / "toy.sweep"
    with small_files(), pytest.raises(UsageError, match=r"toy\.sweep: cannot be written"):
        share_sweep(sweep.home, sweep.info, file)
    assert not list(tmp_path.glob("*.sweep*"))
