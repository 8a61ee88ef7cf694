import shutil
from pathlib import Path

import numpy as np
import pytest

import digitexp
from digitexp.data import DataError, load_source
from digitexp.data.checking import fingerprint_images
from digitexp.data.loading import PATH, read_digits20


def test_digits20_is_what_the_readme_says():
    source = load_source()
    assert source.name == "digits20"
    assert source.test is not None
    for part in (source, source.test):
        assert part.images.shape == (5000, 20, 20)
        assert np.bincount(part.labels).tolist() == [500] * 10
        assert (part.images.min(), part.images.max()) == (0, 1)
    assert source.digest == "a9ac799ec45d3f95ee778bfc811cfd07217b87c1dba7a02effdea3650861af22"
    assert source.test.digest == "cad53c434a8dc750b926466977acd6206c64ccbb379f3b6cc763fa1b494d3510"


def test_no_image_of_digits20_occurs_twice():
    source = load_source()
    assert source.test is not None
    keys = fingerprint_images(source.images) + fingerprint_images(source.test.images)
    assert len(set(keys)) == 10_000


def test_every_digit_touches_the_frame_in_one_direction_and_is_centred_in_the_other():
    images = read_digits20().train.images
    rows, columns = images.any(axis=2), images.any(axis=1)
    assert (rows.all(axis=1) | columns.all(axis=1)).mean() > 0.99
    for ink in (rows, columns):
        before, after = ink.argmax(axis=1), ink[:, ::-1].argmax(axis=1)
        assert set((after - before).tolist()) <= {0, 1}


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_one_changed_bit_is_noticed(tmp_path, name):
    with np.load(PATH) as file:
        arrays = dict(file)
    arrays[name].reshape(-1)[1234] ^= 1
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=rf"d.npz \({name}\): found .*build_digits20 mnist"):
        read_digits20(tmp_path / "d.npz")


def test_missing_and_retyped_arrays_are_noticed(tmp_path):
    with np.load(PATH) as file:
        arrays = dict(file)
    np.savez(tmp_path / "d.npz", **{**arrays, "test_labels": arrays["test_labels"].astype(int)})
    with pytest.raises(DataError, match=r"\(test_labels\): found dtype int64"):
        read_digits20(tmp_path / "d.npz")
    del arrays["test_labels"]
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=r"\(test_labels\): found no such array"):
        read_digits20(tmp_path / "d.npz")


def test_a_missing_or_truncated_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        read_digits20(tmp_path / "d.npz")
    shutil.copy(PATH, tmp_path / "d.npz")
    with (tmp_path / "d.npz").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(DataError, match="no readable zip archive"):
        read_digits20(tmp_path / "d.npz")


def test_the_package_holds_one_npz_with_licence_and_attribution_beside_it():
    package = Path(digitexp.__file__).parent
    assert list(package.rglob("*.npz")) == [PATH]
    assert 1_400_000 < PATH.stat().st_size < 1_700_000
    licence = (PATH.parent / "LICENSE-CC-BY-SA-3.0.txt").read_text("utf-8")
    assert "Attribution-ShareAlike 3.0 Unported" in licence
    assert "8. Miscellaneous" in licence
    attribution = (PATH.parent / "ATTRIBUTION.md").read_text("utf-8")
    assert all(word in attribution for word in ("LeCun", "Cortes", "Burges", "NIST", "20x20"))
