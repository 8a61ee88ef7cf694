"""`digitexp transfer`, and `digitexp train` from weights, as a user types them."""

import json
import sys

import numpy as np
import pytest

from digitexp.cli import main
from digitexp.weights_files import file_digest

TINY = ["--data", "sklearn-digits", "--set", "architecture=mlp", "--set", "units_1=8"]
TINY += ["--set", "epochs=2", "--seeds", "2", "--images-per-class", "5,10"]


def run(monkeypatch, command, *arguments):
    """Run a command of `digitexp` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["digitexp", command, *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_it_pretrains_compares_and_says_what_came_of_it(monkeypatch, capsys, tmp_path):
    out = tmp_path / "out"
    options = ["--from", "digits20", "--source-images", "100", "--freeze", "0,1", "--output", out]
    assert run(monkeypatch, "transfer", *TINY, *options) in {0, None}
    captured = capsys.readouterr()
    assert "pretraining on digits20: 100 images, 8x8" in captured.err
    assert "12/12  10 a class, seed 1, from nothing: " in captured.err
    assert "from nothing  transferred   gain  95 % interval" in captured.out
    assert "Intervals: over 2 pairs of seed and images. Took " in captured.out
    told = json.loads((out / "transfer.json").read_text())
    assert told["from"]["weights_sha256"] == file_digest(out / "weights.npz")
    rows = told["comparisons"]
    asked = [(row["images_per_class"], row["frozen_layers"]) for row in rows]
    assert asked == [(5, 0), (5, 1), (10, 0), (10, 1)]
    for row in rows:
        gain = np.mean(row["transferred"]) - np.mean(row["from_nothing"])
        assert row["gain"] == pytest.approx(gain)
        assert row["interval"][0] <= row["gain"] <= row["interval"][1]
        assert f"{row['gain'] * 100:+.1f}" in captured.out

    # The same start again, now from the folder: the same numbers, as JSON.
    assert run(monkeypatch, "transfer", *TINY, "--from", out, "--json") in {0, None}
    again = json.loads(capsys.readouterr().out)
    assert again["comparisons"] == [row for row in rows if row["frozen_layers"] == 0]
    assert again["from"]["weights_sha256"] == told["from"]["weights_sha256"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_training_starts_from_the_folder_of_another_one(monkeypatch, capsys, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    same = ["--data", "sklearn-digits", "--units", "8", "--epochs", "2", "--quiet", "--output"]
    assert run(monkeypatch, "train", *same, first) in {0, None}
    start = ["--set", f"initial_weights={first}", "--set", "frozen_layers=1"]
    assert run(monkeypatch, "train", *same, second, *start, "--seed", "4") in {0, None}
    told = json.loads((second / "metrics.json").read_text())
    assert told["engine"] == "compiled"
    assert told["info"]["initial_weights"] == {
        "path": str(first),
        "sha256": file_digest(first / "weights.npz"),
        "layers": ["hidden_1"],
    }
    with np.load(first / "weights.npz") as before, np.load(second / "weights.npz") as after:
        np.testing.assert_array_equal(before["hidden_1/kernel"], after["hidden_1/kernel"])
        assert not np.array_equal(before["output/kernel"], after["output/kernel"])
    capsys.readouterr()
    wider = ["--data", "sklearn-digits", "--units", "9", "--quiet", "--output", tmp_path / "third"]
    assert run(monkeypatch, "train", *wider, "--set", f"initial_weights={first}") == 2
    assert (
        "kernel of layer hidden_1 has shape (64, 8) there, (64, 9) here" in capsys.readouterr().err
    )
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--freeze", "2"], "--freeze: received 2; this net has 1 layers before the output layer"),
        (["--freeze", "0,0"], "--freeze: received '0,0'; write different whole numbers from 0"),
        (["--images-per-class", "20,x"], "--images-per-class: received '20,x'"),
        (["--images-per-class", "0"], "whole numbers from 1"),
        (["--images-per-class", "900"], "expected 900 at least, as --images-per-class asks"),
        (["--set", "seed=3"], "the comparison has --seeds for it"),
        (["--from", "fashion"], "data source 'fashion'"),
        (["--from", "away.weights.h5"], "there is no such file"),
        (["--freeze", "1", "--from", "away.weights.h5"], "there is no such file"),
    ],
)
def test_a_mistake_ends_with_2_one_message_and_nothing_made(
    monkeypatch, capsys, tmp_path, options, message
):
    np.savez(tmp_path / "weights.npz", **{"hidden_1/kernel": np.zeros((64, 8))})
    given = [*TINY[:6], "--from", str(tmp_path), *options, "--output", tmp_path / "new"]
    assert run(monkeypatch, "transfer", *given) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert not (tmp_path / "new").exists()


def test_weights_are_not_pretrained_again(monkeypatch, capsys, tmp_path):
    np.savez(tmp_path / "w.npz", **{"hidden_1/kernel": np.zeros((64, 8))})
    assert run(monkeypatch, "transfer", "--from", tmp_path / "w.npz", "--source-images", "9") == 2
    assert "holds weights, nothing is pretrained" in capsys.readouterr().err


def test_weights_that_start_nothing_are_refused_before_a_training(monkeypatch, capsys, tmp_path):
    start = ["--set", f"initial_weights={tmp_path / 'away.npz'}", "--output", tmp_path / "new"]
    assert run(monkeypatch, "train", *start) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
