"""`sweeps run` says what it has found once the last trial has ended; MLflow comes after it."""

import errno
from importlib import import_module

import pytest

import sweeps
from sweeps.cli import app
from sweeps.tracking.parent import ParentRun

run = import_module("sweeps.cli.run")


@pytest.fixture
def sent(monkeypatch, capsys):
    """Return what was on stdout when MLflow was sent the end."""
    found, finish = [], ParentRun.finish

    def spy(self, *arguments, **options):
        found.append(capsys.readouterr().out)
        return finish(self, *arguments, **options)

    monkeypatch.setattr(ParentRun, "finish", spy)
    return found


def words(toy_space, home):
    return ["run", str(toy_space), "--trials", "2", "--workers", "0", "--home", str(home)]


def test_the_answer_does_not_wait_for_mlflow(toy_space, make_home, sent, capsys):
    app(words(toy_space, make_home()), standalone_mode=False)
    assert "best observed" in sent[0]
    assert "--trials 4" in sent[0].splitlines()[-1], "to go on"
    assert capsys.readouterr().out == ""


def test_an_answer_that_nobody_hears_keeps_nothing_from_mlflow(
    toy_space, make_home, sent, monkeypatch, capsys
):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(run, "_answer", full)
    app(words(toy_space, make_home()), standalone_mode=False)
    assert capsys.readouterr().err.splitlines()[-1] == "error: [Errno 28] no space"
    sweep = sweeps.load("toy", make_home())
    assert sweep.home.store(sweep.info.id).state().finished.status == "FINISHED"
    assert len(sent) == 1


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_is_told_for_what_it_waits(
    toy_space, make_home, monkeypatch, capsys, is_terminal
):
    monkeypatch.setattr("sweeps.cli.console.can_redraw", lambda stream: is_terminal)
    app(words(toy_space, make_home()), standalone_mode=False)
    line = "\x1b[2mMLflow gets the report\x1b[0m\r\x1b[K"
    assert (line in capsys.readouterr().err) is is_terminal
