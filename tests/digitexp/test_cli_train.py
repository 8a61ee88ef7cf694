import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digitexp.cli import main
from digitexp.cli.train import parse_value
from digitexp.parameters import PARAMETERS

QUICK = ["--data", "sklearn-digits", "--epochs", "3", "--units", "12,8", "--batch-size", "64"]
FILES = {
    "config.json", "metrics.json", "history.csv", "model_summary.txt", "weights.npz",
    "confusion.npz", "loss_curves.png", "confusion_matrix.png", "confusion_matrix.json",
}  # fmt: skip


def run(monkeypatch, *arguments):
    """Run `digitexp train` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["digitexp", "train", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train in a process of its own, as a user does."""
    folder = tmp_path_factory.mktemp("train") / "a" / "b"
    code = "import sys; sys.argv[0] = 'digitexp'; from digitexp.cli import main; main()"
    options = ["--dropout", "0.1,0", "--set", "clipnorm=1.0", "--set", "activation=tanh"]
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *QUICK, *options, "--output", str(folder)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return folder, done


def test_it_says_how_good_the_net_is_and_nothing_on_stderr(trained):
    folder, done = trained
    assert (done.returncode, done.stderr) == (0, "")
    assert "epoch 3/3  loss" in done.stdout
    assert "True class in rows" in done.stdout
    accuracy = json.loads((folder / "metrics.json").read_text())["metrics"]["best_val_accuracy"]
    assert f"validation accuracy {accuracy:.2%}" in done.stdout


def test_the_folder_holds_everything(trained):
    folder, _ = trained
    assert {path.name for path in folder.iterdir()} == FILES
    params = json.loads((folder / "config.json").read_text())["parameters"]
    expected = {"units_2": 8, "dropout_1": 0.1, "clipnorm": 1.0, "activation": "tanh", "epochs": 3}
    assert {name: params[name] for name in expected} == expected
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[0]["learning_rate"]) == 0.001
    with np.load(folder / "weights.npz", allow_pickle=False) as weights:
        assert weights["hidden_1/kernel"].shape == (64, 12)
    assert "hidden_2" in (folder / "model_summary.txt").read_text()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_it_names_the_engine_and_shows_what_targeted_augmentation_did(
    monkeypatch, capsys, tmp_path
):
    turned = ["--set", "rotation=10", "--set", "augment_worst_classes=2"]
    assert run(monkeypatch, *QUICK, *turned, "-o", tmp_path) in {0, None}
    said = capsys.readouterr().out
    assert said.startswith("Engine keras: images are augmented by Keras's layers.\nepoch 1/3")
    table = said[said.index("Targeted augmentation of ") :].splitlines()
    assert sum(line.endswith("augmented") for line in table) == 2
    told = json.loads((tmp_path / "metrics.json").read_text())["info"]["targeted"]
    share = told["right_before"][0] / told["images"][0]
    assert table[1].split()[:2] == ["0", f"{share:.1%}"]


def test_overwrite_replaces_our_files_and_leaves_others(monkeypatch, capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "history.csv").write_text("old")
    code = run(monkeypatch, *QUICK, "--quiet", "--output", tmp_path, "--overwrite")
    assert code in {0, None}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "history.csv").read_text().startswith("epoch,loss")
    assert "epoch 1/3" not in capsys.readouterr().out


def test_a_diverged_training_is_a_failure_and_leaves_no_old_weights(monkeypatch, capsys, tmp_path):
    (tmp_path / "weights.npz").write_text("old")
    options = ["--data", "sklearn-digits", "--units", ",".join(["200"] * 10), "--learning-rate"]
    options += ["10", "--set", "activation=leaky_relu", "--output", tmp_path, "--overwrite"]
    assert run(monkeypatch, *options) == 1
    assert "Diverged in epoch 1: the loss is no longer a finite number" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == FILES - {
        "weights.npz", "confusion.npz", "confusion_matrix.png", "confusion_matrix.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "lerning_rate=0.1"], "Did you mean learning_rate"),
        (["--set", "clipnorm"], "write NAME=VALUE"),
        (["--set", "=3"], "write NAME=VALUE"),
        (["--epochs", "3", "--set", "epochs=4"], "epochs is given twice"),
        (["--set", "l2=0.1", "--set", "l2=0.2"], "l2 is given twice"),
        (["--units", "25,x"], "units_2 is 'x'"),
        (["--units", "25,15,"], "units_3 is ''"),
        (["--units", "8", "--dropout", "0.1,0.2"], "dropout_2 is given"),
        (["--dropout", "0.1", "--set", "dropout_1=0.2"], "both given"),
        (["--learning-rate", "nan"], "learning_rate is nan"),
        (["--seed", "-1"], "seed is -1"),
        (["--set", "plateau_patience_epochs=9"], "before the learning rate can fall"),
        (["--data", "no-such-data"], "no-such-data"),
    ],
)
def test_a_mistake_ends_with_2_one_message_and_nothing_made(
    monkeypatch, capsys, tmp_path, options, message
):
    assert run(monkeypatch, *options, "--output", tmp_path / "new") == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_in_use_is_refused(monkeypatch, capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert run(monkeypatch, *QUICK, "--output", tmp_path) == 2
    assert "is not empty; choose another or add --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_file_in_the_place_of_the_folder_is_refused(monkeypatch, capsys, tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    assert run(monkeypatch, *QUICK, "--output", tmp_path / "file" / inside) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_folder_without_permission_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != tmp_path)  # root may all
    assert run(monkeypatch, *QUICK, "--output", tmp_path / "new") == 2
    assert "no permission to write into" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32), ("1e-3", 0.001), ("none", None), ("OFF", None), ("relu", "relu"), ("-1", -1),
        ("True", True),
    ],
)  # fmt: skip
def test_values_are_read_by_their_form(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


def test_all_parameters_are_listed_with_what_is_allowed(monkeypatch, capsys):
    for option, told in (((), str), (("--json",), json.loads)):
        monkeypatch.setattr(sys, "argv", ["digitexp", "parameters", *option])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code in {0, None}
        listed = told(capsys.readouterr().out)
        assert all(name in listed for name in PARAMETERS)
    assert listed["batch_norm"]["default"] is False
