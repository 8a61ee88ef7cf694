"""`digitexp calibrate` on what `digitexp train` wrote."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from digitexp.calibration import cross_fit
from digitexp.cli import app
from digitexp.data import load_source, split_source

pytestmark = pytest.mark.tensorflow
TRAIN = ("train", "--data", "sklearn-digits", "--epochs", 8, "--units", 24, "-q", "-o")


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate") / "net"
    assert run(*TRAIN, folder).exit_code == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "net")


def test_it_prints_before_and_after_and_leaves_picture_and_data(folder):
    done = run("calibrate", folder)
    assert done.exit_code == 0, done.output
    document = json.loads((folder / "calibration.json").read_text())
    ece, nll = document["ece"], document["nll"]
    assert f"Temperature {document['temperature']:.3f}, fitted on" in done.stdout
    assert "{:.2f} ({:.2f} to {:.2f})".format(*(100 * value for value in ece["before"])) in (
        done.stdout
    )
    assert "{:.3f} ({:.3f} to {:.3f})".format(*nll["change"]) in done.stdout
    with Image.open(folder / "reliability.png") as picture:
        assert picture.size == (1248, 731)


def test_what_it_says_is_of_the_validation_part_by_weights_alone(folder):
    document = json.loads(run("calibrate", folder, "--json").stdout)
    source = load_source("sklearn-digits")
    place = split_source(source, 0).validation_indices
    with np.load(folder / "weights.npz") as archive:
        weights = dict(archive)
    images = source.images[place].reshape(len(place), -1)
    hidden = np.maximum(images @ weights["hidden_1/kernel"] + weights["hidden_1/bias"], 0)
    logits = hidden @ weights["output/kernel"] + weights["output/bias"]
    expected = cross_fit(logits, source.labels[place]).to_dict()
    assert document["images"] == len(place)
    assert document["temperature"] == pytest.approx(expected["temperature"], rel=1e-4)
    for name in ("ece", "nll"):
        assert document[name]["before"] == pytest.approx(expected[name]["before"], abs=1e-4)
        assert document[name]["after"] == pytest.approx(expected[name]["after"], abs=1e-4)
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert document["nll"]["before"][0] == pytest.approx(metrics["best_val_cross_entropy"])
    assert document["accuracy"] == pytest.approx(metrics["best_val_accuracy"])


def test_twice_gives_the_same_files(folder):
    files = ("calibration.json", "reliability.png")
    assert run("calibrate", folder).exit_code == 0
    once = [(folder / name).read_bytes() for name in files]
    assert run("calibrate", folder).exit_code == 0
    assert [(folder / name).read_bytes() for name in files] == once


@pytest.mark.slow
def test_another_training_in_the_folder_takes_its_calibration_away(folder):
    assert run("calibrate", folder).exit_code == 0
    assert run(*TRAIN, folder, "--overwrite", "--seed", 5).exit_code == 0
    assert not (folder / "calibration.json").exists()
    assert not (folder / "reliability.png").exists()


def _without(folder, name):
    (folder / name).unlink()


def _torn(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def _of_other_data(folder, _name):
    written = json.loads((folder / "config.json").read_text())
    written["data"]["digest"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(written))


def _of_another_net(folder, _name):
    written = json.loads((folder / "config.json").read_text())
    written["parameters"]["units_1"] = 25
    (folder / "config.json").write_text(json.dumps(written))


@pytest.mark.parametrize(
    ("spoil", "name", "said"),
    [
        (_without, "config.json", "has no config.json, so `digitexp train"),
        (_without, "weights.npz", "has no weights: it diverged"),
        (_torn, "config.json", "config.json cannot be read"),
        (_torn, "weights.npz", "weights.npz cannot be read"),
        (_of_other_data, "", "Name those data by --data"),
        (_of_another_net, "", "this model takes"),
    ],
)
def test_what_is_no_whole_training_is_refused_and_nothing_written(folder, spoil, name, said):
    spoil(folder, name)
    done = run("calibrate", folder)
    assert isinstance(done.exception, ValueError)
    assert said in str(done.exception)
    assert not {"calibration.json", "reliability.png"} & {path.name for path in folder.iterdir()}


def test_a_folder_that_is_not_there_and_other_data_by_name_are_refused(folder, tmp_path):
    assert "there is no folder" in str(run("calibrate", tmp_path / "none").exception)
    other = run("calibrate", folder, "--data", "digits20")
    assert "data: found digits20" in str(other.exception)
