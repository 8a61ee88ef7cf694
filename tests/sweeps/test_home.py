"""The home: what is in its folder, and what a killed process left there."""

import pytest

from sweeps.home import Home
from sweeps.workspace.files import make_folder


def test_a_sweep_is_there_once_it_is_whole_and_what_a_kill_left_of_it_is_removed(tmp_path):
    home = Home(tmp_path)
    with home.arriving() as part:
        (part / "journal.jsonl").touch()
        assert [path.name[0] for path in home.sweeps_folder.iterdir()] == ["."]
        home.place(part, home.sweeps_folder / "one")
    killed = home.sweeps_folder / ".import-0" / "texts"
    make_folder(killed)
    home.remove_unborn()
    assert [path.name for path in home.sweeps_folder.iterdir()] == ["one"]
    assert (home.sweeps_folder / "one" / "journal.jsonl").exists()


def test_what_cannot_be_made_whole_leaves_nothing(tmp_path):
    home = Home(tmp_path)

    def fail():
        with home.arriving() as part:
            (part / "journal.jsonl").touch()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert not list(home.sweeps_folder.iterdir())


@pytest.mark.parametrize("name", ["lock", "trials/0000-1.npz", "journal.jsonl"])
def test_a_sweep_is_never_removed_whatever_is_in_its_folder(tmp_path, name):
    path = tmp_path / "sweeps" / "one" / name
    make_folder(path.parent)
    path.touch()
    Home(tmp_path).remove_unborn()
    assert path.exists()
