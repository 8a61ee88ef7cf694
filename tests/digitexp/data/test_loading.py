import subprocess
import sys

import numpy as np
import pytest

from digitexp.data import DataError, known_sources, load_source
from tests.digitexp.data.conftest import write_idx_folder


def test_every_known_name_has_a_description():
    known = known_sources()
    assert list(known) == ["digits20", "sklearn-digits", "mnist", "fashion_mnist"]
    assert all(known.values())


def test_no_name_means_digits20():
    assert load_source(None).digest == load_source("digits20").digest


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digit20", "Did you mean 'digits20'?"),
        ("sklearn_digits", "Did you mean 'sklearn-digits'?"),
        ("fashion-mnist", "Did you mean 'fashion_mnist'?"),
        ("qqqq", "or a .mat file."),
        ("", "or a .mat file."),
        ("  ", "or a .mat file."),
        ("https://example.org/digits.zip", "or a .mat file."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        load_source(name)
    assert f"data source '{name}'" in str(raised.value)
    assert str(raised.value).endswith(hint)


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-of-that-name/digits.npz"])
def test_a_path_the_system_rejects_is_refused(name):
    with pytest.raises(DataError, match="found something unreadable"):
        load_source(name)


def test_a_missing_file_is_refused_with_the_nearest_one_beside_it(tmp_path):
    (tmp_path / "digits.npz").touch()
    with pytest.raises(DataError, match=r"no file or folder .* mean '.*digits\.npz'"):
        load_source(str(tmp_path / "digit.npz"))


def test_a_name_wins_over_a_folder_and_a_path_reaches_it(parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_idx_folder(tmp_path / "digits20", **parts)
    assert len(load_source("digits20").labels) == 5000
    assert len(load_source("./digits20").labels) == 300


def test_a_path_may_begin_with_the_home_folder(pixels, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "mine.npz", images=pixels, labels=digits)
    assert len(load_source("~/mine.npz").labels) == 300


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "digits.csv").touch()
    with pytest.raises(DataError, match=r"a file 'digits\.csv'; expected a folder of IDX files"):
        load_source(str(tmp_path / "digits.csv"))


def test_a_folder_with_nothing_or_with_two_sources_is_refused(parts, tmp_path):
    with pytest.raises(DataError, match="a folder without either"):
        load_source(str(tmp_path))
    write_idx_folder(tmp_path, **parts)
    np.save(tmp_path / "X.npy", parts["train_images"])
    with pytest.raises(DataError, match=r"both IDX files and X\.npy"):
        load_source(str(tmp_path))


def test_a_folder_named_like_a_file_is_refused(tmp_path):
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(DataError, match="a folder without either"):
        load_source(str(tmp_path / "a.npz"))


def test_loading_digits20_needs_nothing_but_numpy():
    code = (
        "import sys; from digitexp.data import load_source, split_source; "
        "split_source(load_source()); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'pandas', 'matplotlib'}; "
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
