"""A folder of `digitexp train` read back: settings, data, network."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from digitexp.cli import app
from digitexp.metrics import accuracy
from digitexp.trained import logits_of, read_folder

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
NETS = {
    "mlp": ["--units", "12,8", "--learning-rate", "0.01"],  # else it is little better than chance
    "cnn": ["--units", "12", "--set", "architecture=cnn", "--set", "filters_1=4"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    for name, net in NETS.items():
        options = ["--data", "sklearn-digits", "--epochs", "3", "--quiet", "-o", folder / name]
        assert CliRunner().invoke(app, ["train", *map(str, options), *net]).exit_code == 0
    return folder


@pytest.mark.parametrize("name", list(NETS))
def test_the_network_is_the_one_that_was_trained(trained, name):
    run = read_folder(trained / name)
    source, split = run.load_data()
    assert (run.outcome, run.epochs, run.config.epochs) == ("complete", 3, 3)
    assert run.config.architecture == name
    logits = logits_of(run.load_model(), source.images[split.validation_indices])
    right = accuracy(logits, source.labels[split.validation_indices])
    assert right == pytest.approx(run.metrics["best_val_accuracy"])
    assert run.counts.trace() == round(right * len(split.validation_indices))


def test_other_data_are_refused(trained):
    run = read_folder(trained / "mlp")
    with pytest.raises(ValueError, match=r"data: found digits20 .*; the network was trained on"):
        run.load_data("digits20")
    with pytest.raises(ValueError, match="nowhere"):
        run.load_data("nowhere")


def broken(trained, tmp_path, file, content):
    for path in (trained / "mlp").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", None, r"has no config.json, so `digitexp train --output` did not fill it"),
        ("config.json", b"{", "config.json cannot be read"),
        ("config.json", b"{}", "not as `digitexp train` writes it"),
        ("config.json", json.dumps({"parameters": {}, "data": {}}).encode(), "not as"),
        ("history.csv", None, "has no history.csv"),
        ("weights.npz", b"PK\x03\x04", "weights.npz cannot be read"),
    ],
)
def test_what_is_missing_or_damaged_is_named(trained, tmp_path, file, content, said):
    with pytest.raises(ValueError, match=said):
        read_folder(broken(trained, tmp_path, file, content))


def test_no_folder_and_no_weights_are_said(trained, tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        read_folder(tmp_path / "none")
    run = read_folder(broken(trained, tmp_path, "weights.npz", None))
    with pytest.raises(ValueError, match="it diverged"):
        run.load_model()


def test_an_attack_of_size_zero_changes_nothing_and_larger_ones_hurt_more(trained, tmp_path):
    from digitexp.diagnostics import attacked_accuracies

    run = read_folder(trained / "mlp")
    source, split = run.load_data()
    images = source.images[split.validation_indices].reshape(len(split.validation_indices), -1)
    labels = source.labels[split.validation_indices]
    found = attacked_accuracies(run.load_model(), images, labels, (0.0, 0.05, 0.2, 0.4))
    assert found[0] == pytest.approx(run.metrics["best_val_accuracy"])
    assert list(found) == sorted(found, reverse=True)
    assert found[-1] < found[0] - 0.3


def test_the_command_draws_and_prints_the_curves(trained, tmp_path, monkeypatch):
    folders = [str(trained / name) for name in NETS]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["robustness", *folders, "-o", "curves.png", "--json"])
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert list(told["accuracies"]) == folders
    for name, folder in zip(NETS, folders, strict=True):
        first = told["accuracies"][folder][0]
        assert first == pytest.approx(read_folder(trained / name).metrics["best_val_accuracy"])
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert np.all(np.diff(told["epsilons"]) > 0)
