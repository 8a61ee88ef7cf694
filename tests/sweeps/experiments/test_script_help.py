"""`sweeps init --from`: a space from the `--help` of a script."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.experiments import script_help
from sweeps.experiments.script_help import read_help

HELPS = Path(__file__).with_name("helps")
"""Scripts, and the help that two more printed whose parsers no test environment has."""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write the space of a script; return what it holds, and its text."""
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name, text=None):
        script = tmp_path / name
        script.write_text((HELPS / name).read_text() if text is None else text)
        result = CliRunner().invoke(app, ["init", "--from", str(script)])
        assert result.exit_code == 0, result.output
        found = script.with_suffix(".yaml").read_text()
        assert found in result.stdout
        return yaml.safe_load(found), found

    return write


RATE = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
BATCH = {"type": "int", "low": 16, "high": 256, "log": True}
OPTIMIZER = {"type": "categorical", "choices": ["sgd", "adam"]}
AUGMENT = {"type": "categorical", "choices": ["--augment", "--no-augment"]}
FRACTION = {"type": "float", "low": 0, "high": 0.9}


def test_argparse(written):
    space, text = written("train_argparse.py")
    assert " ".join(space["command"].split()) == (
        "python3 train_argparse.py {data} --lr {lr} --batch-size {batch_size} --optimizer "
        "{optimizer} --dropout {dropout} {augment} --seed {seed} --out {output} --weight-decay "
        "{weight_decay}"
    )
    decay = space["parameters"].pop("weight_decay")
    assert space["parameters"] == {
        "lr": RATE, "batch_size": BATCH, "optimizer": OPTIMIZER, "dropout": FRACTION,
        "augment": AUGMENT,
    }  # fmt: skip
    assert decay["type"] == "float"
    assert "--nesterov, --epochs 10, --units" in text
    assert "No baseline: the default of weight_decay is not known" in text


def test_what_the_help_leaves_out_is_in_the_source(written):
    space, text = written("train_plain.py")
    assert space["parameters"] == {
        "learning_rate": {"type": "float", "low": 0.0001, "high": 0.01, "log": True},
        "depth": {"type": "int", "low": 1, "high": 24},
        "l2": {"type": "float", "low": 0, "high": 0.1},
        "model": {"type": "categorical", "choices": ["svm", "forest"]},
    }
    assert "not varied, its own defaults hold: --tag" in text.lower()


def test_click(written):
    space, _ = written("train_click.py")
    decay = space["parameters"].pop("weight_decay")
    assert space["parameters"] == {
        "lr": RATE, "batch_size": BATCH, "optimizer": OPTIMIZER,
        "momentum": {"type": "float", "low": 0, "high": 0.99}, "augment": AUGMENT,
    }  # fmt: skip
    assert decay["type"] == "float"


def test_typer(written):
    space, _ = written("train_typer.py")
    width = space["parameters"].pop("width")
    assert width["type"] == "int"
    assert space["parameters"] == {
        "lr": RATE, "batch_size": BATCH, "optimizer": OPTIMIZER, "augment": AUGMENT,
        "dropout": FRACTION,
    }  # fmt: skip
    assert "train_typer.py {width} --lr {lr}" in " ".join(space["command"].split())


def test_fire():
    options = {option.name: option for option in read_help((HELPS / "fire.txt").read_text())}
    assert {name: option.spelled for name, option in options.items()} == {
        "width": "{}", "lr": "--lr={}", "batch_size": "--batch_size={}",
        "optimizer": "--optimizer={}", "augment": "--augment={}", "name": "--name={}",
        "decay": "--decay={}",
    }  # fmt: skip
    assert [options[name].default for name in ("lr", "batch_size", "optimizer", "name")] == [
        0.01, 64, "adam", None,
    ]  # fmt: skip
    assert options["augment"].choices == ("True", "False")  # Fire reads true as a text
    assert (options["decay"].kind, options["batch_size"].kind) == ("float", "int")


def test_hydra(written):
    text = f"# hydra\nprint({(HELPS / 'hydra.txt').read_text()!r})"
    space, written_text = written("train.py", text)
    assert " ".join(space["command"].split()) == (
        "python3 train.py hydra.run.dir={output} optimizer={optimizer} lr={lr} augment={augment} "
        "model.width={model_width} seed={seed} data={data} out={output}"
    )
    assert space["parameters"] == {
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "lr": RATE,
        "augment": {"type": "categorical", "choices": [True, False]},
        "model_width": BATCH,
    }
    assert space["baselines"]["default"]["optimizer"] == "adam"
    assert "epochs=10, model.activation=relu, model.layers" in written_text


def test_a_text_that_is_needed_is_fixed_until_it_is_edited(written):
    space, text = written(
        "train.py",
        "import argparse\np = argparse.ArgumentParser()\n"
        "p.add_argument('--name', type=str, required=True)\n"
        "p.add_argument('--trial', type=int, default=4, nargs='?')\n"
        "p.add_argument('--batch', type=int, help='(default: one per core)')\n"
        "p.add_argument('--sizes', type=int, default=4, nargs=2)\np.parse_args()\n",
    )
    assert space["fixed"] == {"name": "EDIT"}
    assert list(space["parameters"]) == ["trial_", "batch"]  # {trial} is the number of a trial
    assert "baselines" not in space
    assert space["command"].split() == [
        "python3", "train.py", "--name", "{name}", "--trial", "{trial_}", "--batch", "{batch}",
    ]  # fmt: skip
    assert "Not varied, its own defaults hold: --sizes 4" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fold", "--n-splits"], "--fold {fold} --n-splits {folds}"),
        (["--cv-fold"], "--cv-fold {fold}"),
        (["--folds"], ""),  # how many, and nothing says which
        (["--fold", "--random-state"], "--fold {fold} --random-state {seed}"),
    ],
)
def test_options_for_fold_and_seed_are_those_of_the_sweep(written, options, words):
    lines = [f"p.add_argument('{option}', type=int, default=0)" for option in options]
    space, text = written(
        "train.py",
        "\n".join(["import argparse", "p = argparse.ArgumentParser()",
                   "p.add_argument('--lr', type=float, default=0.1)", *lines, "p.parse_args()"]),
    )  # fmt: skip
    assert " ".join(space["command"].split()) == f"python3 train.py --lr {{lr}} {words}".strip()
    assert ("# {fold} is 0 in the search" in text) is ("{fold}" in words)


def test_folds_and_seeds_of_hydra_may_lie_deeper(written):
    text = "Powered by Hydra (https://hydra.cc)\npowered by Hydra\n== Config ==\nOver\n\n"
    config = "lr: 0.1\ntrain:\n  seed: 3\ndata:\n  fold: 0\n  folds: 5\n\n\n"
    space, _ = written("train.py", f"# hydra\nprint({text + config!r})")
    assert " ".join(space["command"].split()) == (
        "python3 train.py hydra.run.dir={output} lr={lr} train.seed={seed} data.fold={fold} "
        "data.folds={folds}"
    )


def test_the_python_of_a_script_may_be_named(tmp_path, monkeypatch):
    python = tmp_path / "its own" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nFROM_IT=1 exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "train.py").write_text(
        "import argparse, os\nos.environ['FROM_IT']\np = argparse.ArgumentParser()\n"
        "p.add_argument('--lr', type=float, default=0.1)\np.parse_args()\nprint('acc', 1)"
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app, ["init", "--from", "train.py", "--python", "its own/bin/python"]
    )
    assert result.exit_code == 0, result.output
    command = yaml.safe_load((tmp_path / "train.yaml").read_text())["command"]
    assert command.startswith(f"'{python}' train.py --lr")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "train.py", "--python", "nosuch/python"], "there is no program 'nosuch/pyth"),
        (["--from", "train.sh", "--python", sys.executable], "train.sh is no Python script"),
        (["new", "--python", sys.executable], "--python is for --from"),
    ],
)
def test_a_python_that_cannot_be_used_is_refused(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    for name in ("train.py", "train.sh"):
        Path(name).write_text("# argparse")
    result = CliRunner().invoke(app, ["init", *words])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split()), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.py", "train.sh"]


@pytest.mark.parametrize(
    ("more", "metric", "direction", "where"),
    [
        ("print('val_loss', 3)", "val_loss", "minimize", "metrics"),
        ("print('accuracy', 3)", "accuracy", "maximize", "metrics"),
        ("'val_loss'; import mlflow\nmlflow.log_metric", "val_loss", "minimize", "result"),
        ("import json\n{'result': {'auc': 3}}", "auc", "maximize", None),
    ],
)
def test_the_objective_is_guessed_from_the_source(written, more, metric, direction, where):
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', default=0.1)\n"
    space, _ = written("train.py", f"{text}p.parse_args()\n{more}\n")
    assert space["objective"] == {"metric": metric, "direction": direction}
    assert [key for key in ("metrics", "result") if key in space] == ([where] if where else [])


TRAIN = """    print(f'Epoch {epoch} train: acc {acc}')\n"""
BEGIN = """import argparse
p = argparse.ArgumentParser()
p.add_argument('--lr', default=0.1)
args = p.parse_args()
for epoch in range(6):
    acc = loss = 0.5
"""
EPOCH = """    print(f"Epoch {epoch + 1}/6: loss {loss:.3f} acc {acc:.4f}")\n"""


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("""print("Test: loss %.3f acc %.4f" % (loss, acc))""",
         "# Not read, since it says test: line 8: print("),
        ("""print("best acc: {:.4f}".format(acc))""",
         r"# To take that number as the score: final: 'best acc: (\S+)'"),
        ("import logging; logging.info('best epoch %d with acc %.3f', epoch, acc)",
         r"final: 'with acc (\S+)'"),
        ("print('done')", "EDIT: matches in its output\n\n"),
    ],
)  # fmt: skip
def test_what_a_script_prints_beside_its_epochs_is_said(written, last, said):
    space, text = written("train.py", BEGIN + EPOCH + last)
    assert space["objective"] == {"metric": "acc", "direction": "maximize"}
    assert "final" not in space
    assert said in text


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (TRAIN + TRAIN.replace("train", "valid"), ["line 7: print(f'Epo", "line 8: print(f'Epo"]),
        (TRAIN.replace("train: acc {acc}", "train acc {acc}, valid acc {acc}"), ["line 7: pr"] * 2),
        ("""print("Test accuracy and acc", acc)""", ["of the test set only", "line 7: print("]),
        ("""print("acc", acc)\nprint("best acc", acc)""", ["line 7: pr", "line 8: pr"]),
    ],
)  # fmt: skip
def test_a_guess_between_two_lines_is_refused(tmp_path, lines, shown):
    (tmp_path / "train.py").write_text(BEGIN + lines.replace("accuracy", "set"))
    result = CliRunner().invoke(app, ["init", "--from", str(tmp_path / "train.py")])
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    for text in shown:
        assert text in said
        said = said.partition(text)[2]
    assert "Nothing was written" in said
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.py", None, "there is no such file"),
        ("train.py", "import sys\nopen('ran', 'w')", "it reads no options that `--help` would"),
        ("train.py", "import argparse, nosuch", "ended with exit code 1: ModuleNotFoundError: "),
        ("train.py", "import argparse", "no option was found in what `python3 train.py --help` pr"),
        ("train.py", "import argparse, time\ntime.sleep(600)", "did not end within 1 s"),
    ],
)  # fmt: skip
def test_a_script_without_help_is_refused_and_nothing_is_written(
    tmp_path, monkeypatch, name, text, said
):
    monkeypatch.setattr(script_help, "HELP_SECONDS", 1)
    if text is not None:
        (tmp_path / name).write_text(text)
    result = CliRunner().invoke(app, ["init", "--from", str(tmp_path / name)])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split()), result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ([name] if text else [])


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "train.py").write_text("import argparse")
    (tmp_path / "train.yaml").write_text("mine")
    result = CliRunner().invoke(app, ["init", "--from", str(tmp_path / "train.py")])
    assert (result.exit_code, (tmp_path / "train.yaml").read_text()) == (2, "mine")
    assert "is there already" in result.stderr


@pytest.mark.parametrize("words", [["init"], ["init", "new", "--from", "train.py"]])
def test_a_folder_or_a_script_is_needed(words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "give either a folder to write into, or --from and a script" in result.stderr


@pytest.mark.parametrize("name", ["fire.txt", "hydra.txt"])
def test_half_a_help_text_is_read_as_well(name):
    text = (HELPS / name).read_text()
    whole = {option.name for option in read_help(text)}
    last = len(text) - 40
    for end in range(0, last, 40):
        assert len(read_help(text[:end])) <= len(whole)
    assert {option.name for option in read_help(text[:last])} <= whole
