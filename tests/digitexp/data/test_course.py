"""The course's own files may not be passed on; these are of the same form, made from digits20."""

import numpy as np
import pytest
from scipy.io import savemat

from digitexp.data import DataError, files, load_source


@pytest.fixture
def ng_course(pixels, digits):
    """X (300, 400) float64, column by column, from -0.13 to 1.13; y (300, 1), 10 = 0."""
    images = pixels.astype(np.float64) / 255 * 1.26 - 0.13
    rows = images.transpose(0, 2, 1).reshape(300, 400)
    return rows, np.where(digits == 0, 10, digits)[:, None].astype(np.uint8)


@pytest.fixture
def expected(pixels):
    return np.clip(pixels.astype(np.float64) / 255 * 1.26 - 0.13, 0, 1).astype(np.float32)


POLICIES = (
    "flat rows of 400 pixels read column by column as 20x20 images",
    "pixels rounded from float64 to float32",
    "pixels clipped from [-0.13, 1.13] to [0, 1]",
    "label 10 read as the digit 0",
)


def save_pair(folder, images, labels):
    np.save(folder / "X.npy", images)
    np.save(folder / "y.npy", labels)


@pytest.mark.parametrize("form", ["folder", "X.npy", "mat", "compressed mat"])
def test_each_form_of_the_course_gives_the_original_digits(
    ng_course, expected, digits, tmp_path, form
):
    if "mat" in form:
        path = tmp_path / "ex4data1.mat"
        variables = {"X": ng_course[0], "y": ng_course[1]}
        savemat(path, variables, do_compression=form.startswith("compressed"))
    else:
        save_pair(tmp_path, *ng_course)
        path = tmp_path if form == "folder" else tmp_path / form
    source = load_source(str(path))
    assert np.array_equal(source.images, expected)
    assert np.array_equal(source.labels, digits)
    assert source.policies == POLICIES
    assert source.class_names == tuple("0123456789")
    assert source.test is None
    assert source.name == ("ex4data1" if "mat" in form else tmp_path.name)


def test_a_pair_with_labels_from_zero_keeps_them(ng_course, digits, tmp_path):
    save_pair(tmp_path, ng_course[0], digits.astype(np.int64)[:, None])
    source = load_source(str(tmp_path))
    assert np.array_equal(source.labels, digits)
    assert source.policies == POLICIES[:3]


@pytest.mark.parametrize(
    "shape", [(300, 20, 20), (300, 400)], ids=["whole images", "flat rows of bytes"]
)
def test_a_pair_of_another_form_is_read_row_by_row(pixels, digits, tmp_path, shape):
    save_pair(tmp_path, pixels.reshape(shape), digits)
    assert np.array_equal(load_source(str(tmp_path)).images * 255, pixels)


def test_whole_float_images_are_never_transposed_nor_clipped(pixels, digits, tmp_path):
    save_pair(tmp_path, pixels / 255, digits)
    assert np.allclose(load_source(str(tmp_path)).images * 255, pixels)
    save_pair(tmp_path, pixels / 255 * 1.26 - 0.13, digits)
    with pytest.raises(DataError, match=r"pixels from -0.13 to 1.13; expected floats in \[0, 1\]"):
        load_source(str(tmp_path))


@pytest.mark.parametrize(("kept", "missing"), [("X.npy", "y.npy"), ("y.npy", "X.npy")])
def test_half_a_pair_is_refused(ng_course, tmp_path, kept, missing):
    np.save(tmp_path / kept, ng_course[0])
    for source in (tmp_path, tmp_path / kept):
        with pytest.raises(DataError, match=f"found no {missing}; expected X.npy with y.npy"):
            load_source(str(source))


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"X": np.ones((3, 4))}, r"found X \(3, 4\); expected matrices X"),
        ({"x": np.ones((3, 4)), "y": np.ones((3, 1))}, "found x"),
        ({"X": np.ones((3, 2, 2)), "y": np.ones((3, 1))}, r"found X \(3, 2, 2\)"),
        ({}, "found nothing"),
    ],
)
def test_a_mat_file_without_both_matrices_is_refused(tmp_path, variables, found):
    savemat(tmp_path / "a.mat", variables)
    with pytest.raises(DataError, match=found):
        load_source(str(tmp_path / "a.mat"))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"?" * 300])
def test_a_file_that_is_no_mat_is_refused(tmp_path, damage):
    (tmp_path / "a.mat").write_bytes(damage(b""))
    with pytest.raises(DataError, match="no readable MATLAB file"):
        load_source(str(tmp_path / "a.mat"))


def test_a_mat_file_damaged_after_its_headers_is_refused(ng_course, tmp_path):
    path = tmp_path / "a.mat"
    noise = np.random.default_rng(0).random((300, 400))  # hardly compresses: header far from end
    savemat(path, {"y": ng_course[1], "X": noise}, do_compression=True)
    data = bytearray(path.read_bytes())
    data[-3000:-2000] = bytes(1000)
    path.write_bytes(data)
    with pytest.raises(DataError, match="no readable MATLAB file"):
        load_source(str(path))


def test_a_mat_file_that_declares_too_much_is_refused(ng_course, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_ARRAY_BYTES", 300 * 400 * 8 - 1)
    savemat(tmp_path / "a.mat", {"X": ng_course[0], "y": ng_course[1]}, do_compression=True)
    with pytest.raises(DataError, match=r"a.mat \(X\): found 960,000 bytes declared"):
        load_source(str(tmp_path / "a.mat"))
