"""What a trained network gets wrong, by command."""

import json
import shutil
import sys

import numpy as np
import pytest

from digitexp.cli import main

TRAIN = ["train", "--data", "sklearn-digits", "--epochs", "3", "--units", "12,8", "--quiet"]
FILES = {
    "summary.txt", "diagnostics.json", "predictions.png", "errors.png",
}  # fmt: skip


def run(monkeypatch, *arguments):
    """Run `digitexp` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["digitexp", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "net"
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, *TRAIN, "--output", folder) in {0, None}
    return folder


@pytest.fixture
def net(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "net")


@pytest.mark.tensorflow
class TestEvaluated:
    def test_it_measures_what_training_measured(self, monkeypatch, capsys, net):
        assert run(monkeypatch, "evaluate", net) in {0, None}
        printed = capsys.readouterr().out
        assert {path.name for path in (net / "evaluation").iterdir()} == FILES
        found = json.loads((net / "evaluation" / "diagnostics.json").read_text())
        metrics = json.loads((net / "metrics.json").read_text())["metrics"]
        assert found["accuracy"] == pytest.approx(metrics["best_val_accuracy"])
        assert found["train_accuracy"] == pytest.approx(metrics["train_accuracy"])
        matrix = json.loads((net / "confusion_matrix.json").read_text())
        assert found["confusion"] == matrix["counts"]
        assert (net / "evaluation" / "summary.txt").read_text() in printed
        assert f"{found['errors']} errors" in printed
        numbers = [mistake["image_number"] for mistake in found["mistakes"]]
        assert len(numbers) == len(set(numbers)) == found["errors"]

    def test_mistakes_name_their_image_in_the_source(self, monkeypatch, capsys, net):
        from digitexp.data import load_source

        run(monkeypatch, "evaluate", net, "--json")
        found = json.loads(capsys.readouterr().out)
        labels = load_source("sklearn-digits").labels
        for mistake in found["mistakes"]:
            assert str(labels[mistake["image_number"]]) == mistake["true"]

    def test_it_may_be_repeated_and_written_elsewhere(self, monkeypatch, net, tmp_path):
        for _ in range(2):
            assert run(monkeypatch, "evaluate", net) in {0, None}
        assert run(monkeypatch, "evaluate", net, "-o", tmp_path / "there") in {0, None}
        ours, theirs = (f / "diagnostics.json" for f in (net / "evaluation", tmp_path / "there"))
        assert ours.read_bytes() == theirs.read_bytes()

    def test_weights_of_another_net_are_refused(self, monkeypatch, capsys, net):
        config = json.loads((net / "config.json").read_text())
        config["parameters"]["units_1"] = 13
        (net / "config.json").write_text(json.dumps(config))
        assert run(monkeypatch, "evaluate", net) == 2
        assert "this model takes" in capsys.readouterr().err
        assert not (net / "evaluation").exists()

    def test_damaged_weights_are_refused(self, monkeypatch, capsys, net):
        whole = (net / "weights.npz").read_bytes()
        (net / "weights.npz").write_bytes(whole[: len(whole) // 2])
        assert run(monkeypatch, "evaluate", net) == 2
        assert "weights.npz cannot be read" in capsys.readouterr().err


def write_training(folder, **about):
    folder.mkdir()
    data = {"name": "sklearn-digits", "digest": "0" * 64, "split_seed": 0, "split_digest": "0" * 64,
            "image_shape": [8, 8], "class_names": list("0123456789")}  # fmt: skip
    document = {"parameters": {}, "data": {**data, **about}}
    ended = {"outcome": "complete", "stop_reason": "max_epochs", "metrics": {}}
    (folder / "metrics.json").write_text(json.dumps(ended))
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    (folder / "config.json").write_text(json.dumps(document))
    np.savez(folder / "weights.npz", a=np.zeros(1))


def test_other_data_are_refused(monkeypatch, capsys, tmp_path):
    write_training(tmp_path / "net")
    assert run(monkeypatch, "evaluate", tmp_path / "net") == 2
    error = capsys.readouterr().err
    assert "the network was trained on sklearn-digits (digest 000000000000" in error
    assert not (tmp_path / "net" / "evaluation").exists()


def test_data_that_are_no_known_source_are_to_be_named(monkeypatch, capsys, tmp_path):
    write_training(tmp_path / "net", name="mine.npz")
    assert run(monkeypatch, "evaluate", tmp_path / "net") == 2
    assert "Name the data of this training by --data" in capsys.readouterr().err


def test_a_folder_without_a_training_is_refused(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "evaluate", tmp_path) == 2
    assert "has no config.json" in capsys.readouterr().err


@pytest.mark.tensorflow
def test_a_training_that_diverged_is_refused(trained, monkeypatch, capsys, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "net")
    (folder / "weights.npz").unlink()
    assert run(monkeypatch, "evaluate", tmp_path / "net") == 2
    assert "it diverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "config.json cannot be read"),
        ("[]", "is not as `digitexp train` writes it"),
        ('{"parameters": {}, "data": {}}', "is not as `digitexp train` writes it"),
    ],
)
def test_a_configuration_of_something_else_is_refused(monkeypatch, capsys, tmp_path, text, said):
    write_training(tmp_path / "net")
    (tmp_path / "net" / "config.json").write_text(text)
    assert run(monkeypatch, "evaluate", tmp_path / "net") == 2
    assert said in capsys.readouterr().err


def test_a_folder_in_use_is_refused_before_anything_slow(monkeypatch, capsys, tmp_path):
    write_training(tmp_path / "net")
    assert run(monkeypatch, "evaluate", tmp_path / "net", "--output", tmp_path) == 2
    assert "is not empty" in capsys.readouterr().err
