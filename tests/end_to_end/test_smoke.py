"""The command as a process of its own: real TensorFlow, real MLflow, first use of a home."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from digitexp.metrics import HEADLINE_METRICS
from sweeps.tracking.store import open_client
from tests.sweeps.launching import Launched

pytestmark = pytest.mark.tensorflow

OURS = re.compile(
    r"""sweep\ smoke:\ \d\ of\ \d\ trials\ done.*
    |   warming\ up.*
    |   compiling\ the\ training\ of\ dense\ nets,\ once\ on\ this\ machine
    |   full\ output:\ .*/sweep\.log
    |   \[\d/\d\]\ best\ so\ far\ 0\..*
    |   \ {6}\w+=.*
    |   \d\ of\ \d\ trials:\ .*""",
    re.VERBOSE,
)
ARTIFACTS = {
    "loss_curves.png",
    "confusion_matrix.png",
    "confusion_matrix.json",
    "history.csv",
    "config.json",
    "model_summary.txt",
}
EPOCH_METRICS = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}


def command(home, *words):
    return [sys.executable, "-m", "sweeps", "run", "smoke", "--home", str(home), *words]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, measured_children):
    """A two-trial sweep in CI mode, in a home that did not exist before."""
    folder = tmp_path_factory.mktemp("smoke")
    environment = (
        os.environ | measured_children | {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    )
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        command(folder / "home", "--trials", "2", "--strict", "--fail-under", "0.6"),
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        cwd=folder,
        timeout=240,
    )
    return folder, done


@pytest.fixture(scope="module")
def runs(finished):
    """The MLflow runs of that sweep: parent and children."""
    client = open_client(f"sqlite:///{finished[0] / 'home' / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments() if e.name != "Default"]
    found = client.search_runs(experiments)
    parent = next(r for r in found if r.data.tags["kind"] == "sweep")
    children = [r for r in found if r.info.run_id != parent.info.run_id]
    # Two workers begin at once, so that either trial may start first.
    return client, parent, sorted(children, key=lambda run: run.data.tags["trial"])


def test_the_run_succeeds_and_stderr_holds_nothing_that_is_not_ours(finished):
    _, done = finished
    assert done.returncode == 0, done.stderr
    foreign = [line for line in done.stderr.splitlines() if not OURS.fullmatch(line)]
    assert foreign == []


def test_the_step_summary_is_written(finished):
    folder, _ = finished
    assert "best observed, not confirmed" in (folder / "summary.md").read_text()


def test_every_run_has_its_true_terminal_status_and_parent(runs):
    _, parent, children = runs
    assert parent.info.status == "FINISHED"
    assert [child.info.status for child in children] == ["FINISHED"] * 2
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}


def test_each_engine_has_trained_one_of_them(runs):
    _, _, children = runs
    assert [child.data.tags["engine"] for child in children] == ["keras", "compiled"]


def test_every_child_has_parameters_metrics_and_tags(runs):
    client, _, children = runs
    for child in children:
        assert {
            "learning_rate",
            "batch_size",
            "units_1",
            "dropout",
            "l2",
        } <= child.data.params.keys()
        assert child.data.metrics.keys() >= EPOCH_METRICS | HEADLINE_METRICS.keys()
        epochs = len(client.get_metric_history(child.info.run_id, "val_loss"))
        assert epochs == child.data.metrics["epochs"]
        wanted = {"sweep", "trial", "attempt", "state", "seed", "space_digest", "data_digest"}
        assert wanted <= child.data.tags.keys()


def test_every_child_has_its_files(runs):
    client, _, children = runs
    for child in children:
        names = {file.path for file in client.list_artifacts(child.info.run_id)}
        assert names >= ARTIFACTS


def replayed(finished, *words):
    line = [sys.executable, "-m", "sweeps", "replay", "smoke", *words, "--engine", "keras"]
    home = ["--home", str(finished[0] / "home")]
    return subprocess.run(line + home, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_a_trial_of_the_other_engine_is_trained_again_by_keras(finished):
    done = replayed(finished, "1", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "its own dropout" in told["note"]
    apart = {one["number"]: one for one in told["differences"]}
    # Before the first step nothing but the masks differs; after eight epochs both have learnt.
    assert 0 < apart["val_loss"]["apart"] < 0.2
    assert apart["best_val_accuracy"]["recorded"] == pytest.approx(
        apart["best_val_accuracy"]["now"], abs=0.05
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("0",), "engine keras trained it, so there is nothing to compare"),
        (("1", "--restore"), "--restore: weights of another engine are not kept"),
    ],
)
def test_what_keras_cannot_train_again_is_refused(finished, words, message):
    done = replayed(finished, *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.slow
def test_ctrl_c_ends_the_run_at_the_next_epoch_and_the_same_command_finishes_it(tmp_path):
    line = command(tmp_path / "home", "--trials", "4", "--workers", "2", "--set", "epochs=30")
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        seen = ""
        for text in process.stderr:
            seen += text
            if text.startswith("[1/4]"):
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, seen + stderr
        assert "Traceback" not in stdout + stderr
    again = Launched(line[line.index("run") :])
    assert again.wait() == 0, again.stderr()
    assert re.search("sweep smoke: [12] of 4 trials done", again.stderr())
    assert "4 of 4 trials: 4 COMPLETE" in again.stderr()


@pytest.mark.slow
def test_the_best_model_loads_and_predicts_as_recorded(finished):
    program = """
import sys
import numpy as np
import sweeps
best = sweeps.load("smoke", sys.argv[1]).best()
model = best.load_model()
from digitexp.data import load_source, split_source
source = load_source()
chosen = split_source(source).validation_indices
logits = model.predict(source.images[chosen].reshape(len(chosen), -1), verbose=0)
accuracy = (logits.argmax(1) == source.labels[chosen]).mean()
assert accuracy == best.metrics["best_val_accuracy"], (accuracy, best.metrics)
recorded = best.record.result.arrays["validation_logits"]
np.testing.assert_allclose(logits, recorded, rtol=1e-4, atol=1e-4)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(finished[0] / "home")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
