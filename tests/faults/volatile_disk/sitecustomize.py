"""Notes what of a process's files would outlive a power cut, in the folder FAULT_DURABLE.

Nothing is durable until it is fsynced: a file's contents by an fsync of the file (kept by inode),
its name by an fsync of its folder (a listing of name and inode), the new name of a folder by an
fsync of the one that it lies in. SQLite syncs by itself, unseen here. Found by Python itself when
this folder is on PYTHONPATH.
"""

import json
import os
import shutil
import stat

_real = os.fsync


def _fsync(descriptor: int) -> None:
    _real(descriptor)
    folder, status = os.environ["FAULT_DURABLE"], os.fstat(descriptor)
    path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    if stat.S_ISDIR(status.st_mode):
        entries = list(os.scandir(path))
        names = {entry.name: entry.inode() for entry in entries if entry.is_file()}
        _note(status.st_ino, path, names)
        for entry in entries:
            note = os.path.join(folder, f"folder-{entry.inode()}")  # noqa: PTH118
            if entry.is_dir() and os.path.exists(note):  # noqa: PTH110
                with open(note, encoding="utf-8") as file:  # noqa: PTH123
                    _note(entry.inode(), entry.path, json.load(file)[1])
    else:
        copy = os.path.join(folder, f"file-{status.st_ino}")  # noqa: PTH118
        shutil.copyfile(path, f"{copy}.new")
        os.replace(f"{copy}.new", copy)  # noqa: PTH105


def _note(inode: int, path: str, names: dict[str, int]) -> None:
    note = os.path.join(os.environ["FAULT_DURABLE"], f"folder-{inode}")  # noqa: PTH118
    with open(f"{note}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump([path, names], file)
    os.replace(f"{note}.new", note)  # noqa: PTH105


if "FAULT_DURABLE" in os.environ:
    os.fsync = _fsync
