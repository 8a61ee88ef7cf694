"""What a run costs in MLflow: each way writes the trials of a small sweep for real."""

from __future__ import annotations

import argparse
from types import SimpleNamespace

import pytest

from benchmarks import projection


def row(way: str, store: str, client: float, server: float = 0.0) -> dict:
    return {"way": way, "store": store, "client_ms": client, "server_ms": server}


def test_the_table_says_what_was_asked_of_ours_and_adds_client_and_server_up():
    rows = [row("ours", "file", 9.0), row("ours", "server", 5.0, 21.0), row("batch", "file", 50.0),
            row("batch", "server", 60.0, 2.0)]  # fmt: skip
    text = projection.table({"trials": 200, "rows": rows})
    assert "| sweeps | 9.0 | 5.0 | 21.0 | 26.0 | 10: kept, 25 each: kept, kept |" in text
    assert "| `mlflow`, one batch | 50.0 | 60.0 | 2.0 | 62.0 |  |" in text


def test_the_metrics_of_an_epoch_are_those_of_the_same_place_in_each_curve():
    history = {"loss": [0.5, 0.25], "val_loss": [0.75, 1.0]}
    record = SimpleNamespace(result=SimpleNamespace(history=history))
    found = list(projection.epochs_of(record))
    assert found == [{"loss": 0.5, "val_loss": 0.75}, {"loss": 0.25, "val_loss": 1.0}]


@pytest.mark.nightly
def test_every_way_writes_every_trial():
    options = argparse.Namespace(space="smoke", trials=2, ways=list(projection.WAYS))
    rows = projection.run(options)["rows"]
    assert len(rows) == 2 * len(projection.WAYS)
    assert all(one["runs"] == 2 and one["client_ms"] > 0 for one in rows)
    assert all((one["server_ms"] > 0) == (one["store"] == "server") for one in rows)
