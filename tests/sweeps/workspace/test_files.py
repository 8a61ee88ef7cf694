"""Files that are written whole or not at all, and that a power cut leaves where they are."""

import os
import sys
from pathlib import Path

import pytest

from sweeps.workspace.files import write_atomically


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file a descriptor is of")
def test_contents_are_durable_before_the_name_and_the_name_before_it_returns(tmp_path, monkeypatch):
    # The real power cuts are in tests/faults (volatile_disk).
    synced, sync = [], os.fsync

    def noted(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        there.append((tmp_path / "file").exists())
        sync(descriptor)

    there: list[bool] = []
    monkeypatch.setattr(os, "fsync", noted)
    write_atomically(tmp_path / "file", b"data", "conclusion")
    contents, name = synced
    assert (contents.parent, contents.suffix, there[0]) == (tmp_path, ".tmp", False)
    assert (name, there[1]) == (tmp_path, True)
    assert (tmp_path / "file").read_bytes() == b"data"
