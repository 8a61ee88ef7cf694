import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from digitexp.data import DataError, files, load_source
from digitexp.data.files import read_npy, read_npz


def npy_bytes(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def declaring(shape: str) -> bytes:
    """Return a `.npy` that declares a shape of float64 and holds 8 bytes."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + b"\n" + bytes(8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_array_comes_back_in_either_order(pixels, tmp_path, order, version):
    path = tmp_path / "a.npy"
    path.write_bytes(npy_bytes(np.asarray(pixels, order=order), version=version))
    assert np.array_equal(read_npy(path), pixels)


@pytest.mark.parametrize(
    "names",
    [
        ("X", "y"),
        ("images", "labels"),
        ("train_images", "train_labels"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_layout_of_an_npz_is_read(parts, tmp_path, names, save):
    save(tmp_path / "mine.npz", **dict(zip(names, parts.values(), strict=False)))
    source = load_source(str(tmp_path / "mine.npz"))
    assert source.name == "mine"
    assert source.images.shape == (300, 20, 20)
    assert np.array_equal(source.labels, parts["train_labels"])
    assert (source.test is None) == (len(names) == 2)
    if source.test is not None:
        assert np.array_equal(source.test.labels, parts["test_labels"])


@pytest.mark.parametrize(
    "names",
    [
        ("images", "label"),
        ("images",),
        (),
        ("X", "y", "images", "labels"),
        ("images", "labels", "test_images", "test_labels"),
        ("train_images", "train_labels", "test_images"),
        ("x_train", "y_train", "x_tset", "y_test"),
    ],
)
def test_other_array_names_are_refused_with_the_layouts(parts, tmp_path, names):
    path = tmp_path / "mine.npz"
    np.savez(path, **dict.fromkeys(names, parts["train_images"]))
    found = ", ".join(names) or r"\(none\)"
    with pytest.raises(DataError, match=f"found the arrays {found}; expected exactly one of: X, y"):
        read_npz(path)


class Trap:
    """Unpickled, it would raise something else than a DataError."""

    def __reduce__(self):
        return (pickle.loads, (b"not a pickle",))


def test_pickled_objects_are_refused_and_never_unpickled(tmp_path):
    objects = np.array([Trap()], dtype=object)
    (tmp_path / "a.npy").write_bytes(npy_bytes(objects))
    with pytest.raises(DataError, match="pickled Python objects"):
        read_npy(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", images=objects, labels=objects)
    with pytest.raises(DataError, match=r"a\.npz \(images\.npy\): found pickled Python objects"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no array"),
        (b"PK\x03\x04", "no array"),
        (pickle.dumps([1, 2]), "no array"),
        (b"\x93NUMPY\x09\x00" + bytes(60), "no array"),
        (declaring("(2,)"), r"136 bytes; expected a header and 16 bytes of \(2,\)"),
        (declaring("()")[:-1], "135 bytes; expected a header and 8 bytes"),
        (declaring("()") + b"!", "137 bytes; expected a header and 8 bytes"),
        (declaring("(1000000, 1000000, 1000)"), "8,000,000,000,000,000 bytes declared"),
    ],
)
def test_a_damaged_or_lying_array_is_refused_before_it_is_read(tmp_path, data, message):
    path = tmp_path / "a.npy"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_npy(path)


def test_arrays_are_refused_by_what_they_declare_together(tmp_path, monkeypatch):
    monkeypatch.setattr("digitexp.data.files.MAX_ARRAY_BYTES", 100_000)
    arrays = {f"hidden_{n}/kernel": np.zeros(90_000, np.uint8) for n in range(6)}
    np.savez_compressed(tmp_path / "many.npz", **arrays)
    with pytest.raises(DataError, match="540,768 bytes declared by all its arrays"):
        read_npz(tmp_path / "many.npz")


def test_a_zip_bomb_is_refused_by_its_declared_size(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ARRAY_BYTES", 100_000)
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((300, 20, 20), np.uint8))
    with pytest.raises(DataError, match="120,128 bytes declared; expected at most 100,000"):
        read_npz(tmp_path / "bomb.npz")


def test_an_archive_that_declares_less_than_it_holds_is_refused(tmp_path, pixels, digits):
    path = tmp_path / "liar.npz"
    np.savez_compressed(path, images=pixels, labels=digits)
    size = struct.pack("<I", pixels.nbytes + 128)
    assert size in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(size, struct.pack("<I", 1000)))
    with pytest.raises(DataError, match="no readable zip archive"):
        read_npz(path)


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="no readable zip archive"):
        read_npz(tmp_path / "a.npz")


def test_damaged_bytes_inside_an_archive_are_refused(tmp_path, pixels, digits):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy_bytes(pixels))
        archive.writestr("labels.npy", npy_bytes(digits))
    data = bytearray(path.read_bytes())
    data[5000] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"no readable zip archive .*CRC"):
        read_npz(path)
