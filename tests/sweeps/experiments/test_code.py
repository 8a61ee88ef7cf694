"""What builds on a recorded trial refuses an experiment that was edited since, before it builds."""

import json
import shutil

import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from tests.sweeps.runner.test_edited_code import edit, net, run  # noqa: F401 - a fixture

ABLE = """
import numpy as np
from net_parts import scale
from tests.sweeps.toy_experiment import ToyExperiment


class Net(ToyExperiment):
    def export(self, config, weights, info, folder):
        (folder / "model.txt").write_text(str(self.load_model(config, weights, info)))
        return "print(open('model.txt').read())"

    def examine(self, config, data, result):
        return {"summary.txt": b"fine"}

    def recomputed(self, model, config, data):
        return {"validation_logits": np.full((2, 2), model * FACTOR, np.float32)}


FACTOR = 1.0
experiment = Net()
"""


@pytest.fixture
def able(net):  # noqa: F811
    """An experiment that exports, examines and verifies."""
    (net.parent / "net.py").write_text(ABLE)
    return net


def invoke(home, *words):
    return CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


@pytest.mark.parametrize("words", [("export", "net", "model"), ("replay", "net", "0")])
def test_edited_code_is_refused_with_what_differs(able, make_home, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    run(able, make_home)
    assert invoke(make_home(), *words).exit_code == 0
    edit(able, "net_parts.py", "relu", "tanh")
    before = sorted(tmp_path.rglob("*"))
    refused = invoke(make_home(), *words[:2], *(["other"] if words[0] == "export" else words[2:]))
    assert refused.exit_code == 2, refused.output
    assert '-    return "relu"' in refused.stderr
    assert "/texts/" in refused.stderr
    assert sorted(path for path in tmp_path.rglob("*") if "home" not in path.parts) == [
        path for path in before if "home" not in path.parts
    ]


def test_a_model_is_not_loaded_with_edited_code(able, make_home):
    sweep = run(able, make_home)
    sweep.best().load_model()
    edit(able, "net_parts.py", "relu", "tanh")
    with pytest.raises(UsageError, match="other code"):
        sweeps.load("net", make_home()).best().load_model()


SERVED = """
import numpy as np
from net_parts import scale
from tests.sweeps.serving_experiment import ServingExperiment

experiment = ServingExperiment()
"""


def test_a_model_that_edited_code_keeps_from_the_registry_is_said(
    able, make_home, migrated_database
):
    (able.parent / "net.py").write_text(SERVED)
    sweep = run(able, make_home)
    best = sweep.best().number
    for file in make_home().glob("mlflow.db*"):
        file.unlink()
    shutil.rmtree(make_home() / "artifacts")
    shutil.copy(migrated_database, make_home() / "mlflow.db")
    edit(able, "net_parts.py", "relu", "tanh")
    sent = invoke(make_home(), "sync")
    assert sent.exit_code == 0, sent.output
    said = f"no model of trial {best} of net is registered: trial {best} was trained by other code"
    assert sent.stderr.count(said) == 1
    assert '-    return "relu"' in sent.stderr
    edit(able, "net_parts.py", "tanh", "relu")
    assert invoke(make_home(), "sync").exit_code == 0
    client = MlflowClient(f"sqlite:///{make_home() / 'mlflow.db'}")
    assert len(client.search_registered_models()) == 1


def test_code_declared_the_same_builds_again(able, make_home):
    run(able, make_home)
    edit(able, "net_parts.py", '"relu"', '"relu"  # as ever')
    run(able, make_home, trials=3, same_code=True)
    sweep = sweeps.load("net", make_home())
    assert [sweep.trial(n).load_model() for n in range(3)]


def test_a_model_that_answers_otherwise_is_not_exported(able, make_home, tmp_path):
    run(able, make_home)
    edit(able, "net.py", "FACTOR = 1.0", "FACTOR = 1.1")
    run(able, make_home, trials=3, same_code=True)  # somebody declares what is not so
    refused = invoke(make_home(), "export", "net", tmp_path / "model")
    assert (refused.exit_code, "is not the one that was trained" in refused.stderr) == (2, True)
    assert not (tmp_path / "model").exists()


def test_an_export_says_what_was_checked_and_with_which_versions(able, make_home, tmp_path):
    run(able, make_home)
    assert invoke(make_home(), "export", "net", tmp_path / "model").exit_code == 0
    facts = json.loads((tmp_path / "model" / "config.json").read_text())
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["versions"]["python"]
    assert "Its answers to 2 samples equal" in (tmp_path / "model" / "README.md").read_text()


def test_an_export_without_its_data_says_that_it_is_unchecked(able, make_home, tmp_path):
    sweep = run(able, make_home, data="other")
    assert invoke(make_home(), "export", "net", tmp_path / "model").exit_code == 0
    assert "Unchecked: trial" in (tmp_path / "model" / "README.md").read_text()
    named = invoke(make_home(), "export", "net", tmp_path / "named", "--data", "other")
    assert named.exit_code == 0
    assert "Unchecked" not in (tmp_path / "named" / "README.md").read_text()
    assert sweep.info.data["name"] == "other"


def test_records_name_what_the_experiment_imports(able, make_home):
    edit(able, "net_parts.py", "def", "import sqlalchemy\n\n\ndef")
    sweep = run(able, make_home)
    packages = sweep.trial(0).record.environment["packages"]
    assert {"SQLAlchemy", "numpy"} <= packages.keys()


def test_an_edited_experiment_is_not_confirmed(able, make_home):
    edit(
        able,
        "net.py",
        "class Net(ToyExperiment):",
        "class Net(ToyExperiment):\n    def folds(self, data, seed, n):\n        return []\n",
    )
    run(able, make_home, trials=3)
    edit(able, "net_parts.py", "relu", "tanh")
    refused = invoke(make_home(), "confirm", "net")
    assert (refused.exit_code, "other code" in refused.stderr) == (2, True)
    assert [info.name for info in sweeps.load("net", make_home()).home.sweeps()] == ["net"]
