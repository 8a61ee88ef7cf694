"""One long trial, killed five times, with a checkpoint after every epoch: as if left alone, to the
bit, in every engine."""

import os
import signal

import pytest

from sweeps.errors import StoreError
from sweeps.executors.checkpoint import decode
from sweeps.home import Home
from sweeps.runner.replaying import compare
from sweeps.workspace.files import FormatError

pytestmark = pytest.mark.faults

SPACE = """
experiment: {experiment}
objective: {{metric: best_val_loss, direction: minimize}}
parameters:
  learning_rate: {{type: float, low: 1e-4, high: 1e-3, log: true}}
fixed: {{{fixed}}}
defaults: {{trials: 1, sampler: random, pruner: none, ask_ahead: 1}}
"""
DIGITS, OWN = "digitexp.experiment:experiment", "tests.faults.resumed:experiment"
NET = "hidden_layers: 1, units_1: 32, dropout: 0.3, early_stopping_patience_epochs: 30"
ENGINES = {
    "compiled": (
        DIGITS,
        "engine: compiled, epochs: 280, batch_size: 4, hidden_layers: 1, units_1: 128, "
        "dropout: 0.3, early_stopping_patience_epochs: null",
    ),
    "keras": (DIGITS, f"engine: keras, epochs: 35, batch_size: 16, rotation: 10.0, {NET}"),
    "graph": (OWN, "engine: graph, epochs: 70, batch_size: 4"),
    "compiled, of one's own": (
        OWN,
        "engine: compiled, epochs: 400, batch_size: 2, early_stopping_patience_epochs: null",
    ),
}
KILLED = ("worker", "coordinator", "all", "worker", "coordinator")


def saved_epochs(lab):
    """Return after how many epochs the last checkpoint was written; 0 without one."""
    for path in lab.home.glob("sweeps/*/.checkpoints/0000"):
        try:
            return len(decode(path.read_bytes(), arrays=False)[0].epochs)
        except (OSError, FormatError, StoreError):
            return 0
    return 0


def kept_states(lab):
    (info,) = Home(lab.home).sweeps()
    kept = Home(lab.home).store(info.id).checkpoint_path(0).parent
    return [path.name for path in kept.glob("*")]


def only_record(lab):
    (info,) = Home(lab.home).sweeps()
    store = Home(lab.home).store(info.id)
    records = store.read_all()
    return store.read(records[-1].key), store, len(records)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_trial_that_is_killed_five_times_comes_out_as_if_left_alone(
    engine, make_lab, tmp_path
):
    experiment, fixed = ENGINES[engine]
    space = tmp_path / "long.yaml"
    space.write_text(SPACE.format(experiment=experiment, fixed=fixed))
    words = ("--checkpoint-every", "0", "--retries", "crash=9")
    lab = make_lab()
    lab.workers, lab.space = 1, space
    alone = lab.sibling("alone")
    alone.workers = 1
    assert alone.run(1, *words) == 0, alone.stderr()
    expected, _, _ = only_record(alone)
    assert expected.result.engine == engine.partition(",")[0]
    epochs = len(expected.result.history["loss"])
    process = lab.start(1, *words)
    for kill, who in enumerate(KILLED, 1):
        wanted = kill * epochs // 7
        assert lab.until(lambda wanted=wanted: saved_epochs(lab) >= wanted, process), lab.stderr()
        match who:
            case "worker":
                os.kill(lab.worker_pids(process)[0], signal.SIGKILL)
                continue
            case "coordinator":
                lab.kill_coordinator(process)
            case "all":
                lab.kill_all(process)
        process = lab.start(1, *words)
    assert lab.wait_for(process) == 0, lab.stderr()
    found, store, attempts = only_record(lab)
    assert found.resumed_from >= 5 * epochs // 7
    assert found.attempt == 6
    assert attempts == 3  # two workers died in a sweep that went on
    assert not differences(expected, found, store)
    assert kept_states(lab) == kept_states(alone), "with which `--more-epochs` goes on"
    assert set(kept_states(lab)) <= {store.last_state_path(0).name}


def differences(expected, found, store):
    """Return what differs in history, metrics, arrays and weights, durations left out."""
    from dataclasses import replace

    return compare(expected, replace(found.result, weights=store.weights(found)))
