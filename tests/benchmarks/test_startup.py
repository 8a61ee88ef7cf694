"""The stopwatch of the benchmarks."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import __main__ as program
from benchmarks import startup
from benchmarks.startup import time_commands

PASS = [sys.executable, "-S", "-c", "pass"]
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(0.3)"]


def test_a_whole_process_is_timed_and_the_warm_up_is_left_out():
    seconds = time_commands({"quick": PASS, "slow": SLEEP}, runs=2)
    assert [(name, len(times)) for name, times in seconds.items()] == [("quick", 2), ("slow", 2)]
    assert min(seconds["slow"]) >= 0.3
    assert max(seconds["quick"]) < max(seconds["slow"])


def test_a_command_that_fails_is_no_measurement():
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3.*what went wrong"):
        time_commands(
            {"broken": [*PASS[:-1], "print('what went wrong'); raise SystemExit(3)"]}, runs=1
        )


@pytest.mark.parametrize(("median", "verdict"), [(0.6, "kept"), (0.8, "over it: sweeps plan mlp")])
def test_the_table_says_whether_the_limit_is_kept(median, verdict):
    seconds = {"python -c pass": [9.0], "sweeps plan mlp": [0.9, 0.1, median]}
    lines = startup.table({"runs": 3, "load": 0.0, "seconds": seconds}).splitlines()
    assert verdict in lines[-1]
    assert f"| sweeps plan mlp | 0.10 | {median:.2f} | 0.90 |" in lines


def test_startup_prints_json_with_the_machine_and_saves_it_only_on_request(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(startup, "COMMANDS", {"python -c pass": PASS})
    monkeypatch.setattr(program, "RESULTS", tmp_path / "results")
    assert program.main(["startup", "--json", "--runs", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"processor", "cores", "python", "packages"} <= set(printed["machine"])
    assert not (tmp_path / "results").exists()
    assert program.main(["startup", "--runs", "1", "--save"]) == 0
    (saved,) = (tmp_path / "results").iterdir()
    assert len(json.loads(saved.read_text())["seconds"]) == 1
    assert "python -c pass" in capsys.readouterr().out


def test_a_benchmark_whose_command_fails_ends_with_1_and_its_output(monkeypatch, capsys):
    monkeypatch.setattr(startup, "COMMANDS", {"broken": [*PASS[:-1], "raise SystemExit('oh')"]})
    assert program.main(["startup", "--runs", "1"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.rstrip().endswith("oh")


@pytest.mark.parametrize("arguments", [[], ["starup"], ["startup", "--runs", "0"]])
def test_a_mistake_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(arguments)
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err
