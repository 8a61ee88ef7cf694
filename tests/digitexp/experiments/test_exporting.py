"""Exported models, loaded where neither this framework nor the experiment is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from digitexp.keras_experiment import KerasExperiment
from sweeps.errors import UsageError

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

LAYERS = """\
import keras


@keras.saving.register_keras_serializable("own")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


class Tripled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 3.0
"""


def of_stock():
    import keras

    given = keras.layers.Input((3,))
    return keras.Model(given, keras.layers.Dense(2)(keras.ops.sin(given) * 2.0))


def between(layer):
    import keras

    return keras.Sequential([keras.layers.Input((3,)), layer, keras.layers.Dense(2)])


def of_registered():
    import own_layers

    return between(own_layers.Doubled())


def of_unregistered():
    import own_layers

    return between(own_layers.Tripled())


def of_function():
    import keras

    return between(keras.layers.Lambda(lambda given: given * 2.0))


def of_class_in_build():
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    return between(Doubled())


def of_arguments_unsaid():
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, source):
            super().__init__()
            self.source = source

        def call(self, inputs):
            return inputs * 2.0

    return between(Scaled(object()))


def export(make, folder):
    from digitexp.experiments.keras_experiment.models import named_weights

    def build(params):
        model = make()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    experiment = KerasExperiment(build, None, {})
    inputs = {"shape": [3], "dtype": "float32"}
    folder.mkdir()
    return experiment.export({}, named_weights(build({})), {"inputs": inputs}, folder)


@pytest.mark.parametrize(
    ("make", "files"),
    [(of_stock, ["model.keras"]), (of_registered, ["model.keras", "own_layers.py"])],
)
def test_the_code_of_an_export_runs_in_its_folder_alone(tmp_path, monkeypatch, make, files):
    (tmp_path / "own_layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "model"
    code = export(make, folder)
    assert sorted(path.name for path in folder.iterdir()) == files
    alone = f"import sys\nsys.path.insert(0, '')\n{code}"
    command = [sys.executable, "-I", "-B", "-c", alone]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\[\[\S+ +\S+\]\]", ran.stdout.strip())


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (of_class_in_build, "'Doubled'"),
        (of_unregistered, "'Tripled'"),
        (of_function, "Lambda"),
        (of_arguments_unsaid, "Scaled"),
    ],
)
def test_a_model_that_only_its_experiment_can_load_is_not_exported(
    tmp_path, monkeypatch, make, named
):
    (tmp_path / "own_layers.py").write_text(LAYERS)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="register_keras_serializable") as error:
        export(make, tmp_path / "model")
    assert named in str(error.value)
