"""The benchmark that learns the portfolio of a shipped space."""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from benchmarks import portfolio
from benchmarks.tables import files, others


def test_drawn_signs_are_small_pictures_the_same_again(monkeypatch, tmp_path):
    face = "DejaVuSans"
    monkeypatch.setattr(others, "FONTS", Path(matplotlib.get_data_path(), "fonts", "ttf"))
    monkeypatch.setattr(others, "IMAGES", 10)
    images, labels = others._drawn("AB", [face], turn=10, noise=0.1, seed=1)
    assert images.shape == (10, 20, 20)
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    assert np.bincount(labels).tolist() == [5, 5]
    assert (images == others._drawn("AB", [face], turn=10, noise=0.1, seed=1)[0]).all()


def test_no_data_set_is_that_of_the_sweeps_or_of_nist():
    assert not {"digits20", "mnist"} & set(others.DATA)


def test_scans_are_as_large_as_the_digits():
    images, labels = others.scans()
    assert images.shape == (1797, 20, 20)
    assert labels.shape == (1797,)


def test_the_expected_least_of_a_draw_is_exact():
    values = np.array([3.0, 1.0, 2.0])
    assert portfolio.expected_least(values, 1) == pytest.approx(2)
    assert portfolio.expected_least(values, 2) == pytest.approx((1 + 1 + 2) / 3)
    assert portfolio.expected_least(values, 9) == pytest.approx(1)


def test_the_set_that_is_left_out_has_no_part_in_its_portfolio():
    rows = [[0.5, 0.0, 0.0], [1.0, 0.5, 0.5], [0.2, 9.0, 9.0], [0.9, 0.0, 1.5], [0.8, 1.5, 0.0]]
    found = portfolio.left_out(np.array(rows), 0, baselines=1)
    assert found["points"] == 4
    assert found["first"] == 1.0  # not the baseline, nor the row that only this set likes
    assert found["portfolio"] == 0.2
    assert found["baselines"] == 0.5


def test_what_was_trained_becomes_a_portfolio(tmp_path, monkeypatch):
    names = ["one", "two"]
    monkeypatch.setattr(others, "DATA", dict.fromkeys(names))
    monkeypatch.setattr(portfolio, "train_missing", lambda options: None)
    monkeypatch.setattr(
        portfolio, "_data", lambda cache, space, name: argparse.Namespace(digest=f"{name:0>64}")
    )
    monkeypatch.setattr(portfolio, "SHIPPED", tmp_path)
    monkeypatch.setattr(others, "ORIGINALS", {"three": "three"})
    monkeypatch.setattr(
        portfolio, "prepared", lambda space, source: argparse.Namespace(digest=f"{source:0>64}")
    )
    for number, name in enumerate(names):
        for first in (0, 10):
            values = np.abs(np.arange(10.0) + first - 5 - number)
            files.save(portfolio.part(tmp_path, "mlp", name, first), {"values": values})
    options = argparse.Namespace(space="mlp", cache=tmp_path, count=20, write=True)
    found = portfolio.run(options)
    assert found["configurations"] == 20
    assert found["points"][0]["regrets"].keys() == {"one", "two"}
    shipped = json.loads((tmp_path / "mlp.json").read_text())
    assert [one["name"] for one in shipped["learned_from"]] == [*names, "three"]
    assert len(shipped["points"]) == 5
    assert "| one | 5 |" in portfolio.table(found)
    assert found["digits20"]["portfolio"] <= 2
