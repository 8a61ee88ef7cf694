import io
import json
import os
import sys

import pytest

from sweeps.progress.lines import JsonLines
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import play, summary


@pytest.fixture
def events():
    stream = io.StringIO()
    play(JsonLines(stream))
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


def of(events, kind):
    return [event for event in events if event["event"] == kind]


def test_every_line_is_an_event_with_a_time(events):
    trial = ["trial_started", "epoch", "epoch", "trial_finished"]
    assert [e["event"] for e in events] == ["note", "started", *trial * 4, "finished"]
    assert all(isinstance(e["time"], int) for e in events)


def test_the_first_event_of_a_sweep_says_what_is_run(events):
    (started,) = of(events, "started")
    del started["time"]
    assert started == {
        "event": "started",
        "id": "mlp-1a2b3c",
        "name": "mlp",
        "metric": "best_val_accuracy",
        "direction": "maximize",
        "objectives": [{"metric": "best_val_accuracy", "direction": "maximize"}],
        "total": 5,
        "done": 1,
    }


def test_a_number_that_json_lacks_is_null(events):
    epoch = of(events, "epoch")[1]
    assert (epoch["trial"], epoch["attempt"], epoch["epoch"]) == (1, 1, 1)
    assert epoch["metrics"] == {"val_accuracy": 0.8, "loss": None}


def test_a_finished_trial_has_the_keys_of_its_row(events):
    first, failed, *_ = of(events, "trial_finished")
    assert (first["trial"], first["state"], first["objective"]) == (1, "COMPLETE", 0.923)
    assert (first["done"], first["total"]) == (2, 5)
    assert (failed["state"], failed["reason"]) == ("FAILED", "error")
    assert failed["error"].startswith("ValueError: boom")


def test_a_started_trial_has_its_parameters(events):
    assert of(events, "trial_started")[0]["params"] == {"learning_rate": 0.001, "units_1": 25}


def test_the_last_event_holds_the_summary(events):
    assert events[-1]["summary"] == json.loads(json.dumps(summary().to_dict()))


def test_what_an_experiment_prints_goes_to_stderr_until_closed(capsys):
    progress = JsonLines(sys.stdout)
    play_without_closing(progress)
    print("from the experiment")
    progress.close()
    print("after")
    captured = capsys.readouterr()
    *events, last = captured.out.splitlines()
    assert all(json.loads(line)["event"] for line in events)
    assert (captured.err, last) == ("from the experiment\n", "after")


def play_without_closing(progress):
    from tests.sweeps.render.builders import sweep_info

    progress.started(Tally(sweep_info(), 5, []))


def test_a_closed_pipe_does_not_end_the_sweep():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        play(JsonLines(stream))
