"""Where TensorFlow is not installed, what needs it says so in one message, and the rest works.

The commands and their workers find neither TensorFlow, Keras nor h5py, as if the extra `keras` were
not installed; `.ci/without-keras` runs tests in an environment that really lacks them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import sweeps
from sweeps.home import Home
from sweeps.manage.former import take_over
from sweeps.tracking.store import open_client

HIDING = Path(__file__).parent / "without_keras"
GOLDEN = Path(__file__).parents[1] / "golden" / "home-b7e3d90.tar.xz"
MODEL = """\
{}
from digitexp.keras_experiment import KerasExperiment

def build(params):
    raise AssertionError("no model is built")

def load():
    raise AssertionError("no data are loaded")

experiment = KerasExperiment(build, load, {{"units": 16}})
"""
SPACE = """\
experiment: {}:experiment
objective: {{metric: best_val_loss, direction: minimize}}
parameters: {{units: {{type: int, low: 1, high: 9}}}}
"""

# The first line of output is JSON: by its words, the exit code and the output of each command.
DRIVER = """
import contextlib, io, json, sys
import digitexp.cli, sweeps, sweeps.cli
from sweeps.errors import UsageError

def ran(words):
    sys.argv = words.split()
    main = digitexp.cli.main if sys.argv[0] == "digitexp" else sweeps.cli.main
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            main()
        except SystemExit as ended:
            return ended.code, printed.getvalue()
    return 0, printed.getvalue()

def called(words):
    try:
        eval(words)
    except UsageError as error:
        return 2, str(error)
    return 0, ""

print(json.dumps({
    words: (called if words.startswith("sweeps.") else ran)(words)
    for words in json.load(sys.stdin)
}))
"""
NEED_IT = (
    "sweeps run cnn --trials 2",
    "sweeps run smoke --trials 2 --set engine=keras",
    "sweeps run smoke --trials 2 --set rotation=0.1 --confirm",
    "sweeps plan cnn",
    "sweeps export digits new",
    "sweeps run inside.yaml",
    "sweeps run above.yaml",
    "sweeps plan inside.yaml",
    "digitexp train --output new --set engine=keras",
    "digitexp transfer --from digits20",
    "digitexp robustness digits 0 --output new.png",
    "digitexp check digits 0",
    "digitexp data mnist",
    "sweeps.run('cnn', trials=2)",
    "sweeps.plan('cnn')",
    "sweeps.load('digits').best().load_model()",
)
DO_WITHOUT = (
    "sweeps list",
    "sweeps plan mlp",
    "sweeps best digits --json",
    "sweeps trials digits --json",
    "sweeps compare digits:0 digits:7",
    "sweeps best digits --ensemble",
    "digitexp data",
    "digitexp evaluate digits 0",
    "digitexp calibrate digits 0",
    "digitexp check",
    "digitexp parameters",
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The answer of each command, by its words; and the files that those that need it created."""
    folder = tmp_path_factory.mktemp("without")
    with tarfile.open(GOLDEN) as packed:
        packed.extractall(folder, filter="data")
    take_over(Home(folder / "home"), folder / "home", lambda line: None, pytest.fail)
    place = folder / "place"
    place.mkdir()
    for name, text in {"inside": "", "above": "import keras"}.items():
        (place / f"own_{name}.py").write_text(MODEL.format(text))
        (place / f"{name}.yaml").write_text(SPACE.format(f"own_{name}"))
    before = files(folder)
    found = drive(folder, NEED_IT)
    created = {str(path) for path in files(folder) ^ before if "__pycache__" not in path.parts}
    return found | drive(folder, DO_WITHOUT), created


def files(folder):
    return set(folder.rglob("*"))


def drive(folder, commands):
    environment = {
        "PYTHONPATH": ":".join([str(HIDING), *sys.path]),
        "SWEEPS_HOME": str(folder / "home"),
        "HOME": "/",
        "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
    }
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER], input=json.dumps(commands), cwd=folder / "place",
        env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return {words: tuple(answer) for words, answer in json.loads(ran.stdout).items()}


@pytest.mark.parametrize("words", NEED_IT)
def test_a_command_that_needs_it_says_so_in_one_message(answers, words):
    code, said = answers[0][words]
    assert code == 2, said
    assert "No module named 'keras'" in said or "needs tensorflow and keras, which are not" in said
    assert said.count("\n") <= 1
    assert "install the extra 'keras': " in said
    assert " -m pip install -e '" in said
    assert "[keras]' -c " in said


def test_nothing_was_created(answers):
    assert answers[1] == set()


@pytest.mark.parametrize("words", DO_WITHOUT)
def test_a_command_that_reads_works_without(answers, words):
    code, said = answers[0][words]
    assert code == 0, said
    assert "extra 'keras'" not in said


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The place of two dense nets that were searched and confirmed by commands of their own."""
    place = tmp_path_factory.mktemp("searched")
    small = ("--set", "epochs=2", "--workers", "1")
    sweep(place, "run", "mlp", "--trials", "2", *small, "--no-confirm")
    sweep(place, "confirm", "mlp", "--top", "2", "--folds", "8", "--workers", "1")
    return place


def sweep(place, *words, code=0):
    """Run a command in a place, and return all that it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", "sweeps", *words], cwd=place, text=True, check=False,
        env=os.environ | {"PYTHONPATH": ":".join([str(HIDING), *sys.path]),
                          "SWEEPS_HOME": str(place / "home")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert ran.returncode == code, ran.stdout
    return ran.stdout


AFTERWARDS = (
    "list", "trials mlp", "report mlp", "replay mlp 0", "doctor", "best mlp --ensemble", "sync"
)  # fmt: skip


@pytest.mark.slow
def test_dense_nets_are_searched_and_confirmed_and_shown(searched):
    found = sweeps.load("mlp", searched / "home")
    assert [row.state for row in found.rows()] == ["COMPLETE"] * 2
    assert found.champion().sweep.name == "mlp-confirmation"
    for words in AFTERWARDS:
        assert "keras" not in sweep(searched, *words.split()).lower()


@pytest.mark.slow
def test_its_champion_is_not_checked_and_it_is_said_how(searched):
    confirm = ("confirm", "mlp", "--top", "2", "--folds", "8", "--workers", "1")
    for words in (confirm, ("best", "mlp")):
        said = " ".join(sweep(searched, *words).split())
        assert "The champion's model was not checked: " in said
        assert "install the extra 'keras': " in said
        assert "[keras]' -c " in said


@pytest.mark.slow
def test_its_champion_is_registered_and_not_exported(searched):
    client = open_client(f"sqlite:///{searched / 'home' / 'mlflow.db'}")
    (model,) = client.search_registered_models()
    assert "champion" in model.aliases
    said = sweep(searched, "export", "mlp", "exported", code=2)
    assert said.count("\n") == 1
    assert "install the extra 'keras'" in said
    assert not (searched / "exported").exists()
