import gzip

import numpy as np
import pytest

from digitexp.data import DataError, files, load_source
from digitexp.data.files import read_idx
from tests.digitexp.data.conftest import idx_bytes, write_idx_folder


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files_is_read_packed_or_not(parts, tmp_path, packed):
    source = load_source(str(write_idx_folder(tmp_path / "letters", packed=packed, **parts)))
    assert source.name == "letters"
    assert np.array_equal(source.images * 255, parts["train_images"])
    assert source.labels.tolist() == parts["train_labels"].tolist()
    assert source.test is not None
    assert source.test.labels.tolist() == parts["test_labels"].tolist()


def test_the_unpacked_file_is_taken_where_both_lie_there(parts, tmp_path):
    write_idx_folder(tmp_path, **parts)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"never read")
    assert len(load_source(str(tmp_path)).labels) == 300


def test_the_test_part_may_be_missing(pixels, digits, tmp_path):
    folder = write_idx_folder(tmp_path, train_images=pixels, train_labels=digits)
    assert load_source(str(folder)).test is None


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ("train-labels-idx1-ubyte", "train-images-idx3-ubyte"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"),
    ],
)
def test_half_a_pair_is_refused_naming_both(parts, tmp_path, missing, found):
    write_idx_folder(tmp_path, **parts)
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=f"found {found}; expected .*{missing}"):
        load_source(str(tmp_path))


def test_a_test_part_alone_is_refused(test_pixels, test_digits, tmp_path):
    write_idx_folder(tmp_path, test_images=test_pixels, test_labels=test_digits)
    with pytest.raises(DataError, match=r"found no train-\.\.\. files"):
        load_source(str(tmp_path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"begins with the bytes \(none\)"),
        (b"\x00\x00\x0d\x01" + bytes(8), "begins with the bytes 00 00 0d 01"),
        (b"\x00\x00\x08\x05" + bytes(8), "begins with the bytes 00 00 08 05"),
        (idx_bytes(np.zeros((4, 2), np.uint8))[:-1], r"found 7 bytes .* 8 bytes .* \(4, 2\)"),
        (idx_bytes(np.zeros((4, 2), np.uint8)) + b"!", "found more bytes"),
        (b"\x00\x00\x08\x02\x00\x00\x00", "bytes after the header"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "bytes declared; expected at most"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_file_is_refused(tmp_path, data, message, packed):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_a_damaged_gzip_is_refused(tmp_path, pixels):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx_bytes(pixels))[:-2000])
    with pytest.raises(DataError, match="a damaged gzip file"):
        read_idx(path)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ARRAY_BYTES", 1000)
    (tmp_path / "bomb").write_bytes(gzip.compress(idx_bytes(np.zeros((1001, 1), np.uint8))))
    with pytest.raises(DataError, match="1,001 bytes declared; expected at most 1,000"):
        read_idx(tmp_path / "bomb")
