"""The commands that try a network's parts by hand."""

import pytest
from typer.testing import CliRunner

from digitexp.cli import app
from tests.digitexp.plots.pictures import pixels


def run(*words):
    return CliRunner().invoke(app, list(words))


def told(*words):
    """Return what is printed without its frames, and however wide the terminal is."""
    return " ".join(run(*words).stdout.replace("│", " ").split())


def test_probabilities_are_printed_at_every_temperature():
    printed = run("softmax", "2", "1", "0.1", "-t", "0.5", "-t", "1", "-t", "2").stdout
    lines = printed.splitlines()
    assert lines[1].split() == ["T", "=", "0.5", "0.8638", "0.1169", "0.0193", "0.454"]
    assert [line.split()[2] for line in lines[1:]] == ["0.5", "1", "2"]


@pytest.mark.parametrize("temperature", ["0", "-1"])
def test_a_temperature_that_is_not_above_0_is_refused_before_anything_is_printed(temperature):
    refused = run("softmax", "1", "2", "-t", temperature)
    assert isinstance(refused.exception, ValueError)
    assert str(refused.exception) == f"temperature {float(temperature)}: give a number above 0"
    assert refused.stdout == ""


def test_the_picture_is_written_where_it_was_asked_for(tmp_path):
    file = tmp_path / "both.png"
    assert run("activations", str(file)).stdout == f"wrote {file}\n"
    assert pixels(file.read_bytes()).shape == (481, 1248, 3)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("softmax", "Print the probabilities of logits, at one or several temperatures."),
        ("activations", "Draw ReLU and sigmoid, and their slopes."),
    ],
)
def test_each_says_what_it_does(command, said):
    assert said in told(command, "--help")
    assert f"{command} {said}" in told("--help")
