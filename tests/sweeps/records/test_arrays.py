"""Arrays in a file come back to the bit, and a file that is altered anywhere is refused."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from sweeps.records.arrays import (
    FormatError,
    pack_arrays,
    read_arrays,
    unpack_arrays,
)

ARRAYS = {
    "confusion": np.arange(18, dtype=np.uint16).reshape(2, 3, 3),
    "odd": np.array([np.nan, -0.0, np.inf, 5e-324]),
    "half": np.float16([[0.1]]),
    "nothing": np.zeros((0, 2), np.float32),
    "one": np.array(7),
    "texts": np.array(["a", "\u65e5"]),
    "file": np.array([True, False]),
    "allow_pickle": np.array([2**63], np.uint64),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "0007-2.npz"


def write(path, content):
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_come_back_with_their_types_shapes_and_bits(path, compressed):
    found = read_arrays(path, write(path, pack_arrays(ARRAYS, compressed=compressed)))
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes(), name


def test_only_the_wanted_arrays_are_unpacked():
    found = unpack_arrays(io.BytesIO(pack_arrays(ARRAYS)), lambda name: name == "one")
    assert found == {"one": ARRAYS["one"]}


def test_every_truncation_is_noticed(path):
    content = pack_arrays({"confusion": ARRAYS["confusion"]})
    digest = write(path, content)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError, match="its checksum does not fit its attempt"):
            read_arrays(path, digest)
        with pytest.raises(FormatError):
            unpack_arrays(io.BytesIO(content[:length]))


def test_every_flipped_bit_is_noticed(path):
    content = pack_arrays({"confusion": ARRAYS["confusion"]})
    digest = write(path, content)
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << position % 8
        path.write_bytes(altered)
        with pytest.raises(FormatError, match="its checksum does not fit its attempt"):
            read_arrays(path, digest)


def test_a_whole_archive_of_another_attempt_is_refused(path):
    digest = write(path, pack_arrays(ARRAYS))
    write(path, pack_arrays({"confusion": ARRAYS["confusion"]}))
    with pytest.raises(FormatError, match="its checksum does not fit its attempt"):
        read_arrays(path, digest)


def test_a_file_that_is_gone_is_told_from_one_that_is_damaged(path):
    with pytest.raises(FileNotFoundError):
        read_arrays(path, "0" * 64)
    path.mkdir()
    with pytest.raises(FormatError, match="it is a folder, a pipe or a device"):
        read_arrays(path, "0" * 64)


def test_pickled_arrays_are_never_written_and_never_unpickled(path):
    hostile = np.array([print], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        pack_arrays({"confusion": hostile})
    buffer = io.BytesIO()
    np.savez(buffer, confusion=hostile)
    with pytest.raises(FormatError, match="allow_pickle"):
        read_arrays(path, write(path, buffer.getvalue()))
