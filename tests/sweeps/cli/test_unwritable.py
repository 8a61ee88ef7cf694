"""A home that cannot be written: it is read as ever, and refused before anything is created."""

from __future__ import annotations

import stat

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
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


def test_one_that_cannot_be_made_is_refused_or_empty(commands, tmp_path, sealed):
    folder = tmp_path / "sealed"
    folder.mkdir()
    sealed(folder)
    home = folder / "new" / "home"
    expected = {
        "run": (2, f"error: home {home}: nothing can be written into {folder}\n"),
        "list": (0, f"no sweeps in {home} yet; begin with: sweeps run smoke\n"),
        "report": (2, f"error: no sweep 'toy' in {home}; there are no sweeps yet\n"),
    }
    assert {name: launch(words, home) for name, words in commands.items()} == expected
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sealed", "toy.yaml"]


def test_one_whose_records_cannot_be_read_is_not_taken_for_an_empty_one(commands, tmp_path, sealed):
    home = tmp_path / "home"
    (home / "records").mkdir(parents=True)
    sealed(home)
    (home / "records").chmod(0)
    said = f"error: [Errno 13] Permission denied: '{home / 'records'}'\n"
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
