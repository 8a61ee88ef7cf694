"""What earlier trainings leave behind is freed, seldom searched for; workers import what trains."""

import gc
import json
import subprocess
import sys
import weakref

import pytest

from digitexp import tensorflow_setup
from digitexp.tensorflow_setup import begin_training, share_kernels
from sweeps import experiment
from sweeps.experiments.loading import load_experiment

pytestmark = pytest.mark.tensorflow


class Ring:
    def __init__(self):
        self.itself = self


def left():
    return weakref.ref(Ring())


@pytest.fixture
def took(monkeypatch):
    def took(seconds):
        monkeypatch.setattr(tensorflow_setup._searched, "seconds", seconds)

    gc.disable()  # else a search may come by itself
    yield took
    gc.enable()


def test_what_a_long_training_left_is_freed(took):
    took(0.0)
    garbage = left()
    begin_training(1)
    assert garbage() is None
    assert tensorflow_setup._searched.seconds > 0


def test_after_a_training_shorter_than_the_search_it_waits(took):
    took(1e6)
    garbage = left()
    begin_training(1)
    assert garbage() is not None


def test_names_of_layers_begin_anew(took):
    import keras

    took(1e6)
    keras.layers.Dense(1)
    begin_training(1)
    assert keras.layers.Dense(1).name == "dense"


@pytest.fixture
def cleared(took, monkeypatch):
    """Say how often TensorFlow has dropped its kernels since the last time."""
    from tensorflow.python.eager import context

    times, clear = [], context.pywrap_tfe.TFE_ContextClearCaches
    monkeypatch.setattr(
        context.pywrap_tfe,
        "TFE_ContextClearCaches",
        lambda handle: (times.append(1), clear(handle)),
    )
    took(1e6)
    for _ in range(2):  # the second keeps nothing, whatever was trained before in this process
        begin_training(1)

    def cleared():
        found = len(times)
        times.clear()
        return found

    cleared()
    return cleared


def test_kernels_are_kept_for_the_next_training_where_that_is_asked_for(cleared):
    share_kernels()
    begin_training(1)
    assert cleared() == 0
    begin_training(1)  # nobody has asked since
    assert cleared() == 2  # by Keras, and by the seed


def test_kernels_are_not_kept_for_ever(cleared, monkeypatch):
    monkeypatch.setattr(tensorflow_setup, "MOST_TRAININGS", 3)
    found = []
    for _ in range(8):
        share_kernels()
        begin_training(1)
        found.append(cleared())
    assert found == [0, 0, 0, 2, 0, 0, 0, 2]


def test_kernels_with_a_random_state_are_not_kept(cleared):
    import tensorflow as tf

    def numbers():
        return tf.random.normal([3]).numpy(), tf.random.uniform([2], seed=5).numpy()

    begin_training(1)
    first = numbers()
    share_kernels()
    begin_training(1)
    assert cleared() >= 2
    for one, other in zip(first, numbers(), strict=True):
        assert (one == other).all()


def test_names_and_seeds_begin_anew_where_kernels_are_kept(cleared):
    import keras
    import numpy as np

    def drawn():
        layer = keras.layers.Dense(4)
        layer.build((None, 3))
        return layer.name, layer.kernel.numpy(), np.random.random(), keras.random.normal([2])

    begin_training(1)
    first = drawn()
    share_kernels()
    begin_training(1)
    second = drawn()
    assert first[0] == second[0] == "dense"
    assert all(np.array_equal(a, b) for a, b in zip(first[1:], second[1:], strict=True))
    assert cleared() == 2  # of the first of both


UNUSED = {"IPython", "jax", "matplotlib", "sklearn"}
WARM_UP = """
import json, sys
from sweeps.experiment import begin_only_training
from sweeps.experiments.loading import load_experiment

begin_only_training()
load_experiment(sys.argv[1], None).warm_up()
{}
found = sorted(name for name in sys.argv[2:] if name in sys.modules)
import pandas, sklearn  # whoever needs them afterwards has them
print(json.dumps([found, sys.meta_path[0].__class__.__name__]))
"""
TRAINED = """
import numpy as np
from digitexp.config import TrialConfig
from digitexp.training.outcome import TrainingData
from digitexp.training.train import train

images, labels, rows = np.random.random((40, 4, 4)), np.arange(40) % 2, np.arange(40)
data = TrainingData.from_split(images, labels, rows[:30], rows[30:], "ab")
config = TrialConfig.from_params({"units_1": 4, "hidden_layers": 1, "epochs": 2, "engine": ENGINE})
assert train(config, data).outcome == "complete"
"""


def imported(experiment, folder, more=""):
    """Return which packages a worker has imported when it is warm, and has done more."""
    names = [*sorted(UNUSED), "pandas", "tensorflow", "keras"]
    command = [sys.executable, "-c", WARM_UP.replace("{}", more), experiment, *names]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    found, finder = json.loads(ran.stdout)
    assert "Quiet" not in finder
    return found


def test_a_worker_that_trains_dense_nets_imports_neither_tensorflow_nor_keras(tmp_path):
    trained = TRAINED.replace("ENGINE", "'auto'")
    assert imported("digitexp.experiment:experiment", tmp_path, trained) == []


@pytest.mark.slow
def test_a_worker_imports_nothing_that_trains_nothing(tmp_path):
    trained = TRAINED.replace("ENGINE", "'keras'")
    found = imported("digitexp.experiment:experiment", tmp_path, trained)
    assert found == ["keras", "tensorflow"]


@pytest.mark.slow
def test_a_worker_of_a_model_of_ones_own_has_pandas_whatever_its_module_imports_first(tmp_path):
    (tmp_path / "own.py").write_text(
        "from digitexp.keras_experiment import KerasExperiment\n"
        "import keras\n"
        "experiment = KerasExperiment(lambda units: None, lambda: None, {'units': 16})\n"
    )
    assert imported("own:experiment", tmp_path) == ["keras", "pandas", "tensorflow"]


@pytest.mark.parametrize("only_trains", [False, True])
def test_packages_are_hidden_only_where_a_process_does_nothing_but_train(monkeypatch, only_trains):
    monkeypatch.setattr(experiment._process, "only_trains", only_trains)
    monkeypatch.setattr(tensorflow_setup, "_left_out", [])
    load_experiment("digitexp.experiment:experiment", None).warm_up()
    assert set(tensorflow_setup._left_out) == ({*UNUSED, "pandas"} if only_trains else set())


def test_a_hidden_package_that_was_imported_before_stays(monkeypatch):
    monkeypatch.setattr(tensorflow_setup, "_left_out", ["json", "no_such_package"])
    with tensorflow_setup._hidden():
        import json as again

        with pytest.raises(ModuleNotFoundError):
            import no_such_package  # noqa: F401
    assert again is json
    assert "no_such_package" not in sys.modules
