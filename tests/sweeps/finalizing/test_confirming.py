"""A confirmation end to end: the real digits, small nets, eight blocks; interrupted and resumed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.finalizing.finalists import choose_finalists, confirming_space
from tests.sweeps.factories import make_info, make_record

SPACE = """
experiment: digitexp.experiment:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 1e-3, high: 1e-2, log: true}
fixed: {hidden_layers: 1, units_1: 16, epochs: 4, batch_size: 128}
baselines:
  slow: {learning_rate: 0.001}
"""


@pytest.fixture
def call(make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(make_home())])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_best_and_the_baseline_are_judged_on_the_same_fresh_blocks(call, make_home, tmp_path):
    file = tmp_path / "nets.yaml"
    file.write_text(SPACE)
    assert call("run", file, "--trials", 4, "--quiet", "--workers", 2).exit_code == 0
    result = call("finalize", "nets", "--top", 2, "--blocks", 8, "--workers", 2, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["confirmation"], told["blocks"]) == ("nets-final", 8)
    labels = [standing["finalist"] for standing in told["standings"]]
    assert len(labels) == 3
    assert "baseline-slow" in labels

    confirmation = sweeps.load("nets-final", make_home())
    store = confirmation.home.store(confirmation.info.id)
    records = [store.read(record.spec.key) for record in store.read_all()]
    assert len(records) == 24
    judged = {}
    for record in records:
        arrays = record.result.arrays
        judged.setdefault(record.params["block"], set()).add(arrays["block_images"].tobytes())
        share = arrays["block_correct"].mean()
        assert record.result.metrics["block_accuracy"] == pytest.approx(share)
        assert record.objective == record.result.metrics["block_accuracy"]
    assert all(len(images) == 1 for images in judged.values()), "the same for every finalist"
    means = [
        np.mean([r.objective for r in records if r.params["finalist"] == label]) for label in labels
    ]
    assert [s["accuracy"] for s in told["standings"]] == pytest.approx(means)

    np.savez(tmp_path / "other.npz", X=np.random.default_rng(0).random((200, 20, 20)),
             y=np.repeat(np.arange(10), 20))  # fmt: skip
    other = call("finalize", "nets", "--top", 2, "--blocks", 8, "--data", tmp_path / "other.npz")
    assert (other.exit_code, "was made on other data" in other.stderr) == (2, True), other.output
    again = call("finalize", "nets", "--top", 2, "--blocks", 8)
    assert again.exit_code == 0, again.output
    assert "24 of 24 trials" in again.output
    assert "The best of the search" in again.stdout
    assert call("doctor").exit_code == 0
    page = sweeps.load("nets", make_home()).report(tmp_path / "nets.html").read_text()
    confirmed = page[page.index('<section id="confirmed">') : page.index('<section id="history">')]
    assert all(label in confirmed for label in labels)
    assert "The best of the search" in confirmed
    more = call("run", file, "--trials", 8, "--quiet", "--workers", 2)
    assert more.exit_code == 0
    names = {row["name"] for row in json.loads(call("list", "--json").stdout)}
    assert names == {"nets", "nets-final"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["toy"], "has no fresh blocks"),
        (["toy", "--blocks", "10"], "multiple of four"),
        (["nothing"], "no sweep 'nothing'"),
    ],
)
def test_what_cannot_be_confirmed_is_said_and_creates_nothing(
    run_toy, call, make_home, words, said
):
    run_toy(trials=3, workers=0)
    result = call("finalize", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert not (make_home() / "finalists").exists()


def test_finalists_are_distinct_and_the_best_baseline_is_among_them():
    records = [make_record(slot) for slot in range(6)]
    chosen = choose_finalists(make_info(), records, 3)
    assert [finalist.place for finalist in chosen] == [1, 2, 3]
    assert len({repr(f.config) for f in chosen}) == 3
    text = confirming_space("a.b:c", chosen, 8)
    assert "block: " in text or "block:\n" in text
    assert all(finalist.label in text for finalist in chosen)
