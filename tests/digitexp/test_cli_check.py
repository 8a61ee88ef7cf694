"""`digitexp check`, on real trainings and on data as users have it."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from digitexp.cli import app
from digitexp.data import load_source

OVER_FITTED = [
    "--units", "512,256", "--epochs", "40", "--batch-size", "16",
    "--set", "early_stopping_patience_epochs=none",
]  # fmt: skip


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def checked(*words):
    """Run `digitexp check --json`; return exit code and findings by part and name."""
    done = run("check", *words, "--json")
    findings = json.loads(done.stdout)["findings"]
    return done.exit_code, {(one["part"], one["name"]): one for one in findings}


def save(path, images, labels):
    np.savez(path, images=images, labels=labels)
    return path


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 8, 8) / 16).astype("float32"), labels


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "run"
    assert run("train", "-o", folder, "--data", "sklearn-digits", "-q").exit_code == 0
    return folder


def test_data_alone_is_checked_without_a_folder():
    code, found = checked()
    assert code == 0
    assert {part for part, _ in found} == {"data"}
    assert {one["verdict"] for one in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("spoil", "failed"),
    [(lambda x, y: (x * 255, y), "pixels"), (lambda x, y: (x, y + 1), "labels"),
     (lambda x, y: (np.vstack([x, x[:1]]), np.append(y, 9 - y[0])), "duplicates")],
)  # fmt: skip
def test_spoilt_data_ends_with_1(tmp_path, digits, spoil, failed):
    code, found = checked("--data", save(tmp_path / "own.npz", *spoil(*digits)))
    assert code == 1
    assert [name for (_, name), one in found.items() if one["verdict"] == "fail"] == [failed]


def test_expected_numbers_are_the_assertions_of_the_tutorial():
    assert run("check", "--features", 400, "--classes", 10).exit_code == 0
    assert run("check", "--features", 784).exit_code == 1
    assert run("check", "--classes", 9).exit_code == 1


@pytest.mark.tensorflow
def test_a_good_training_fails_nowhere_and_fits_a_terminal(good):
    done = run("check", good)
    assert done.exit_code == 0
    wide = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert all(line.startswith("  digitexp train ") for line in wide)  # whole, to be copied
    assert "0 failed" in done.stdout
    code, found = checked(good)
    assert code == 0
    assert {part for part, _ in found} >= {"data", "model", "training"}
    assert found["model", "rebuilt"]["verdict"] == "ok"
    assert found["data", "same data"]["verdict"] == "ok"
    assert found["training", "loss falls"]["verdict"] == "ok"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_rate_of_ten_fails_and_is_advised_to_be_lowered(tmp_path):
    folder = tmp_path / "run"
    run("train", "-o", folder, "--data", "sklearn-digits", "-q", "--learning-rate", 10)
    done = run("check", folder)
    assert done.exit_code == 1
    assert "Loss does not fall" in done.stdout
    code, found = checked(folder)
    assert code == 1
    advice = found["advice", "loss does not fall"]
    assert advice["command"].startswith(f"digitexp train --output {folder}-2 --data sklearn-digits")


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_wide_net_on_few_images_is_over_fitted(tmp_path):
    source = load_source("digits20")
    few = save(tmp_path / "few.npz", source.images[::10], source.labels[::10])
    assert run("train", "-o", tmp_path / "run", "--data", few, "-q", *OVER_FITTED).exit_code == 0
    code, found = checked(tmp_path / "run")
    assert code == 0
    gap = found["training", "over-fitting"]
    assert gap["verdict"] == "warn"
    assert "training accuracy 100.0%" in gap["seen"]
    assert found["advice", "over-fitting"]["advice"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_class_with_few_images_is_found_in_data_and_training(tmp_path, digits):
    images, labels = digits
    kept = np.flatnonzero((labels != 8) | (np.cumsum(labels == 8) <= 12))
    own = save(tmp_path / "own.npz", images[kept], labels[kept])
    run("train", "-o", tmp_path / "run", "--data", own, "-q", "--epochs", 6)
    _, found = checked(tmp_path / "run")
    assert found["data", "class balance"]["verdict"] == "warn"
    worst = found["training", "worst class"]
    assert worst["verdict"] in {"warn", "fail"}
    assert worst["seen"].startswith("8: recall")
    assert found["data", "class balance"]["advice"].startswith("Collect more images of class 8")
    assert found["advice", "one class is poor"]["advice"]


@pytest.mark.tensorflow
def test_other_data_than_trained_on_is_told(good, tmp_path, digits):
    images, labels = digits
    other = save(tmp_path / "other.npz", images[:-1], labels[:-1])
    code, found = checked(good, "--data", other)
    assert code == 1
    assert found["data", "same data"]["verdict"] == "fail"
    assert ("model", "rebuilt") not in found


@pytest.mark.slow
@pytest.mark.tensorflow
def test_data_that_is_gone_is_a_warning_and_the_rest_is_checked(tmp_path, digits):
    own = save(tmp_path / "own.npz", *digits)
    run("train", "-o", tmp_path / "run", "--data", own, "-q", "--epochs", 20)
    own.unlink()
    code, found = checked(tmp_path / "run")
    assert code == 0
    assert found["data", "source"]["verdict"] == "warn"
    assert found["model", "last layer"]["verdict"] == "ok"


@pytest.mark.tensorflow
def test_weights_of_another_training_are_told(good, tmp_path):
    mixed = shutil.copytree(good, tmp_path / "mixed")
    with np.load(mixed / "weights.npz") as stored:
        np.savez(mixed / "weights.npz", **{name: array * 0 for name, array in stored.items()})
    code, found = checked(mixed)
    assert code == 1
    assert found["model", "rebuilt"]["verdict"] == "fail"


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [(lambda folder: (folder / "history.csv").unlink(), "has no history.csv"),
     (lambda folder: (folder / "metrics.json").write_text("{"), "metrics.json cannot be read"),
     (lambda folder: (folder / "metrics.json").write_text("{}"), "KeyError: 'outcome'"),
     (lambda folder: (folder / "weights.npz").write_bytes(b"PK"), "weights.npz cannot be read")],
)  # fmt: skip
def test_a_folder_that_is_not_whole_is_refused(good, tmp_path, spoil, message):
    broken = shutil.copytree(good, tmp_path / "broken")
    spoil(broken)
    error = run("check", broken).exception
    assert isinstance(error, ValueError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder 'nowhere'"),
        (["--data", "no-such"], "no-such"),
        (["."], ""),
    ],
)
def test_nothing_to_check_is_a_mistake(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    error = run("check", *words).exception
    assert isinstance(error, ValueError)
    assert message in str(error)
    assert not list(tmp_path.iterdir())
