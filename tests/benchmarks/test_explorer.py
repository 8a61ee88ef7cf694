"""Times of the explorer, as somebody who plays with it waits for them."""

import argparse

import pytest

from benchmarks import explorer
from tests.tools import need


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.tensorflow
def test_everything_that_is_done_answers_as_often_as_asked_for():
    need("chromium")
    result = explorer.run(argparse.Namespace(times=2))
    counts = {what: found["n"] for what, found in result["milliseconds"].items()}
    assert counts.pop("until it listens") == counts.pop("until the first paint") == 1
    assert len(counts) == 4
    assert set(counts.values()) == {2}
    assert all(0 < f["median"] <= f["max"] for f in result["milliseconds"].values())
    assert "| a move of the plane |" in explorer.table(result)


def test_without_chromium_nothing_is_measured(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="Chromium and the extras dev and explorer"):
        explorer.run(argparse.Namespace(times=2))
