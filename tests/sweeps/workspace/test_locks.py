"""Locks, and file systems on which they do not work, such as NFS as it is often mounted."""

import errno
import fcntl
import os

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.workspace.locks import check_locks, is_at

DENIED = {
    "no locks available": OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)),
    "not implemented": OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)),
    "not supported": OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)),
}


def denying(error):
    def flock(descriptor, operation):
        raise error

    return flock


def granting(descriptor, operation):
    """Grant every lock, as a mount with the option `nolock` may."""


def test_a_file_system_with_locks_is_accepted_and_nothing_is_left(tmp_path):
    check_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", DENIED.values(), ids=DENIED)
def test_a_file_system_that_denies_locks_is_refused(tmp_path, monkeypatch, error):
    monkeypatch.setattr(fcntl, "flock", denying(error))
    with pytest.raises(UsageError) as caught:
        check_locks(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: locks do not work on its file system ({error.strerror}), and two processes "
        "could run one sweep; give a home on a local disk with --home, and where several hosts "
        "share sweeps, the PostgreSQL database with --storage"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_grants_a_lock_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", granting)
    with pytest.raises(UsageError, match=r"\(two processes get the same one\)"):
        check_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_left_to_what_is_written_there(tmp_path):
    check_locks(tmp_path / "gone")


@pytest.mark.parametrize("flock", [granting, denying(DENIED["no locks available"])])
def test_a_sweep_there_is_refused_and_nothing_is_made(toy_space, tmp_path, monkeypatch, flock):
    monkeypatch.setattr(fcntl, "flock", flock)
    home = tmp_path / "new" / "home"
    words = ["run", str(toy_space), "--trials", "2", "--workers", "0", "--home", str(home)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    assert "locks do not work on its file system" in result.stderr
    assert "--storage" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [toy_space]


def test_an_open_file_is_at_its_path_until_another_takes_it(tmp_path):
    path = tmp_path / "file"
    path.touch()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert is_at(path, descriptor)
        path.rename(tmp_path / "away")
        assert not is_at(path, descriptor)
        path.touch()
        assert not is_at(path, descriptor)
    finally:
        os.close(descriptor)
