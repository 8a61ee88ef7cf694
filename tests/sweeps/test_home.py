"""The home: what is in its folder, and what a killed process left there."""

import pytest

from sweeps.home import Home
from sweeps.journal.events import Started, to_line
from sweeps.journal.file import FILE
from sweeps.workspace.files import make_folder

LINE = to_line(Started(began_at=1, command="sweeps run toy", folder="/here"))


@pytest.mark.parametrize("left", [None, b"", LINE[:1], LINE[:-1]])
def test_a_sweep_whose_first_event_was_never_written_is_removed(tmp_path, left):
    folder = _folder(tmp_path, left)
    Home(tmp_path).remove_unborn()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["lock", "trials/0000-1.npz"])
def test_a_sweep_that_was_worked_on_is_never_removed_whatever_its_journal_is(tmp_path, name):
    folder = _folder(tmp_path, b"")
    make_folder((folder / name).parent)
    (folder / name).touch()
    Home(tmp_path).remove_unborn()
    assert (folder / name).exists()


@pytest.mark.parametrize("content", [LINE, LINE.replace(b"toy", b"t?y"), LINE + LINE[:9]])
def test_a_sweep_with_a_first_event_stays_whole_or_damaged(tmp_path, content):
    folder = _folder(tmp_path, content)
    Home(tmp_path).remove_unborn()
    assert (folder / FILE).read_bytes() == content


def _folder(home, journal):
    folder = home / "sweeps" / "one"
    make_folder(folder)
    if journal is not None:
        (folder / FILE).write_bytes(journal)
    return folder
