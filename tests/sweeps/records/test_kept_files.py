"""What an attempt wrote is taken within bounds, and nothing from outside of its folder."""

from __future__ import annotations

import io
import os
import zipfile

import pytest

from sweeps.records import kept_files
from sweeps.records.kept_files import collect_files, last_lines, pack_files, unpack_files
from sweeps.workspace.files import FormatError, remove


def write(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_without_a_folder_there_are_no_files(tmp_path):
    assert collect_files(tmp_path / "none") == {}
    assert collect_files(tmp_path) == {}


def test_links_pipes_and_strange_names_are_left_out_and_named(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    write(outside, secret=b"secret")
    write(folder, output__kept=b"kept")
    (folder / "output" / "file").symlink_to(outside / "secret")
    (folder / "output" / "folder").symlink_to(outside)
    os.mkfifo(folder / "output" / "pipe")
    (folder / "output" / "back\\slash").touch()
    (folder / "output" / "new\nline").touch()
    files = collect_files(folder)
    assert files.pop("left_out.txt").decode().splitlines() == [
        "Left out:",
        "'output/back\\\\slash': a name that cannot be kept",
        "'output/new\\nline': a name that cannot be kept",
        "output/file: a link",
        "output/folder: a link",
        "output/pipe: no file",
    ]
    assert files == {"output/kept": b"kept"}


@pytest.mark.parametrize(("name", "levels"), [("d" * 200, 25), ("d", 1200)])
def test_paths_longer_than_the_system_takes_are_left_out_and_removed(
    tmp_path, monkeypatch, name, levels
):
    folder = tmp_path / "folder"
    write(folder, output__kept=b"kept")
    monkeypatch.chdir(folder / "output")
    for _ in range(levels):
        os.mkdir(name)  # noqa: PTH102 - a path of all of them is too long
        os.chdir(name)
    os.close(os.open("file", os.O_CREAT))
    os.chdir(tmp_path)
    files = collect_files(folder)
    assert files.pop("left_out.txt").endswith(
        b": a path of more than 1000 characters, or 50 folders\n"
    )
    assert files == {"output/kept": b"kept"}
    remove(folder)
    assert not folder.exists()


@pytest.mark.parametrize("instead", ["a link", "a file"])
def test_what_lies_in_place_of_the_folder_is_not_read(tmp_path, instead):
    write(tmp_path / "outside", secret=b"secret")
    if instead == "a link":
        (tmp_path / "folder").symlink_to(tmp_path / "outside")
    else:
        (tmp_path / "folder").touch()
    (said,) = collect_files(tmp_path / "folder").values()
    assert b"all that it wrote: its folder cannot be read (" in said


def test_a_folder_that_became_a_link_meanwhile_is_not_followed(tmp_path, monkeypatch):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    write(outside, file=b"secret")
    write(folder, output__file=b"ours")
    real = kept_files._sizes

    def and_then(*args):
        found = list(real(*args))
        (folder / "output").rename(folder / "moved")
        (folder / "output").symlink_to(outside)
        return found

    monkeypatch.setattr(kept_files, "_sizes", and_then)
    assert collect_files(folder).keys() == {"left_out.txt"}


def test_of_too_much_the_smallest_are_kept_but_what_was_printed_always(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_files, "MOST_BYTES", 1000)
    write(tmp_path, **{"stdout.txt": bytes(500), "output__a": bytes(600), "output__b": bytes(300)})
    files = collect_files(tmp_path)
    assert files.keys() == {"stdout.txt", "output/b", "left_out.txt"}
    assert b"output/a: 600 bytes; more than" in files["left_out.txt"]


def test_of_too_many_some_are_kept_and_not_all_others_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_files, "MOST_FILES", 2)
    write(tmp_path, **{f"output__{n:04d}": b"x" for n in range(300)})
    files = collect_files(tmp_path)
    assert files.keys() == {"output/0000", "output/0001", "left_out.txt"}
    assert files["left_out.txt"].endswith(b"and 98 more\n")


def test_an_archive_gives_back_what_went_in_and_is_the_same_each_time():
    files = {"stdout.txt": b"printed", "output/deep/model.bin": bytes(range(256))}
    packed = pack_files(files)
    assert unpack_files(packed) == files
    assert pack_files(dict(reversed(files.items()))) == packed


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\\b"])
def test_an_archive_that_leads_out_of_itself_is_refused(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"out")
    with pytest.raises(FormatError, match="leads out of it"):
        unpack_files(buffer.getvalue())


def test_what_is_no_archive_or_too_large_a_one_is_refused(monkeypatch):
    with pytest.raises(FormatError, match="no whole archive"):
        unpack_files(b"nothing")
    packed = pack_files({"zeros": bytes(10_000)})
    monkeypatch.setattr(kept_files, "MOST_BYTES", 1000)
    with pytest.raises(FormatError, match="more than is ever kept"):
        unpack_files(packed)


def test_the_last_lines_are_those_of_both_streams():
    printed = {"stdout.txt": b"".join(b"%d\n" % n for n in range(100)), "stderr.txt": b"why\n"}
    told = last_lines(printed)
    assert told.startswith("\n\nThe last lines of its stderr:\nwhy\n\n")
    assert told.endswith("\n98\n99")
    assert "\n79\n" not in told
    assert last_lines({"output/x": b"x"}) == ""
    assert last_lines({"stderr.txt": b"1%\r2%\r3%\ndone"}).endswith("stderr:\n3%\ndone")
