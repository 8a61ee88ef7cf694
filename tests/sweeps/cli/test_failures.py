"""What a user types, and reads, about failing trials."""

import pytest
import typer
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.cli.options import SENDING, parse_retries
from sweeps.cli.run import command_line
from sweeps.config.options import RunOptions
from sweeps.config.policies import DEFAULT_RETRIES


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["crash=3,error=0"], {"crash": 3, "error": 0}),
        (["crash=3", "crash=1"], {"crash": 1}),
        (["0"], dict.fromkeys(DEFAULT_RETRIES, 0)),
        (["0,crash=2"], {**dict.fromkeys(DEFAULT_RETRIES, 0), "crash": 2}),
        (["crash=many"], {"crash": "many"}),  # refused later, with all other numbers
    ],
)
def test_retries_are_numbers_by_reason_or_one_for_all(texts, expected):
    assert parse_retries(texts) == expected


def test_the_command_that_goes_on_repeats_how_failures_are_dealt_with():
    asked = RunOptions("mlp", retries={"crash": 3}, trial_timeout=60.0, max_failures_in_row=9)
    assert command_line(asked) == (
        "sweeps run mlp --trial-timeout 60.0 --retries crash=3 --max-failures-in-row 9"
    )


def test_a_sweep_of_failures_ends_with_its_cause_and_exit_code_1(make_home, toy_space):
    line = ["run", str(toy_space), "--home", str(make_home()), "--trials", "9", "--workers", "0"]
    options = ["--set", "mode=raise", "--max-failures-in-row", "3", "--retries", "error=1"]
    result = CliRunner().invoke(app, [*line, *options])
    assert result.exit_code == 1, result.output
    assert "3 of 9 trials: 3 FAILED; stopped by failures" in result.stderr
    assert "3 failed attempts were tried again: error 3" in result.stderr
    assert result.stderr.count("trial 2 to be tried again after error: RuntimeError: told") == 1
    assert (
        "failed: 3 trials in a row failed (error), all with: RuntimeError: told to raise; mend the "
        f"cause, have them run again (`sweeps retry toy --home {make_home()}`), and repeat the "
        "command to go on "
        "(--max-failures-in-row N allows more, 0 any number)"
    ) in result.stderr
    assert "--trials 9" in result.stdout  # the command that goes on
    assert "Traceback" not in result.output


def test_the_command_that_goes_on_shows_no_password():
    asked = RunOptions("toy", tracking_uri="http://bob:secret@host:5000?token=secret")
    assert command_line(asked) == (
        "sweeps run toy --tracking-uri 'http://bob:***@host:5000?token=***'"
    )


def test_hints_name_a_store_to_the_commands_that_take_one():
    commands = typer.main.get_command(app).commands
    taking = {
        name
        for name, command in commands.items()
        if any("--tracking-uri" in parameter.opts for parameter in command.params)
    }
    assert taking == SENDING


@pytest.mark.parametrize("command", ["list", "ui"])
def test_the_hint_to_begin_names_the_home_that_was_given(tmp_path, command):
    result = CliRunner().invoke(app, [command, "--home", str(tmp_path)])
    assert f"sweeps run smoke --home {tmp_path}" in result.output


def test_a_mistake_that_names_a_command_names_the_home_too(finished_toy, make_home):
    finished_toy(trials=2)
    words = ["toy", "--home", str(make_home())]
    told = CliRunner().invoke(app, ["report", "--methods", *words])
    assert f"`sweeps confirm toy --home {make_home()}`" in told.stderr, told.output
