"""What a worker of the digits has imported before it trains, and when the user hears of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sweeps
from sweeps.home import Home

LINE = "compiling the training of dense nets, once on this machine"
OWN = """\
import sys
from dataclasses import replace

from digitexp.experiments.digits import DigitExperiment

HEAVY = {"tensorflow", "keras", "pandas", "mlflow", "optuna"}


class Noting(DigitExperiment):
    def train(self, spec, data, on_epoch):
        before = sorted(HEAVY & {*sys.modules})
        result = super().train(spec, data, on_epoch)
        after = sorted(HEAVY & {*sys.modules})
        return replace(result, info={**result.info, "before": before, "after": after})


experiment = Noting()
"""
SPACE = """\
experiment: noting:experiment
objective: {{metric: best_val_accuracy, direction: maximize}}
parameters: {{learning_rate: {{type: float, low: 0.001, high: 0.01}}{}}}
fixed: {{units_1: 8, epochs: 1, {}}}
baselines: {{plain: {{learning_rate: 0.002{}}}}}
defaults: {{sampler: random}}
"""


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """Run a sweep of three trials; return what was imported before and after each."""
    (tmp_path / "noting.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(fixed, sampled="", baseline=""):
        (tmp_path / "space.yaml").write_text(SPACE.format(sampled, fixed, baseline))
        home = tmp_path / "home"
        options = {"home": home, "workers": 1, "progress": "quiet", "check_determinism": False}
        sweep = sweeps.run(tmp_path / "space.yaml", trials=3, data="sklearn-digits", **options)
        store = Home.resolve(home).store(sweep.info.id)
        infos = [store.read(record.key).result.info for record in store.read_all()]
        return [(info["before"], info["after"]) for info in infos]

    yield run
    sys.modules.pop("noting", None)


@pytest.mark.slow
def test_a_worker_of_dense_nets_imports_no_tensorflow(noted):
    assert noted("dropout: 0.1") == [([], [])] * 3


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "how",
    [
        ("engine: keras",),
        ("rotation: 0.1",),
        ("l2: 0.001", ", engine: {type: categorical, choices: [compiled, keras]}",
         ", engine: compiled"),
    ],
    ids=["all", "augmented", "some"],
)  # fmt: skip
def test_where_keras_trains_it_was_imported_before_the_worker_was_forked(noted, how):
    assert noted(*how) == [(["keras", "tensorflow"],) * 2] * 3


@pytest.mark.parametrize("end", ["", "@folds"])
def test_without_configurations_the_engine_of_dense_nets_is_ready(end):
    path = f"digitexp.experiment:experiment{end}"
    code = (
        "import sys; from sweeps.experiments.loading import load_experiment; "
        f"load_experiment({path!r}, None).warm_up(); "
        "print('tensorflow' in sys.modules, 'numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_cold_start_says_once_that_it_compiles(tmp_path, workers):
    words = ["run", "smoke", "--trials", "2", "--set", "epochs=1", "--workers", str(workers)]
    command = [sys.executable, "-m", "sweeps", *words]

    def run(home):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        ran = subprocess.run(
            [*command, "--home", str(tmp_path / home)],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        (log,) = (tmp_path / home / "sweeps").glob("*/sweep.log")
        return ran.stderr.count(LINE), log.read_text("utf-8").count(LINE)

    assert [run("cold"), run("warm")] == [(1, 1), (0, 0)]
