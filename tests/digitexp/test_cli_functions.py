"""The commands that try a network's parts by hand."""

import numpy as np
import pytest
from typer.testing import CliRunner

from digitexp.cli import app
from digitexp.plots import activations, colors
from digitexp.plots.sheet import Scale
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


@pytest.mark.parametrize(
    ("panel", "top", "color", "z", "expected"),
    [
        pytest.param(0, 10, colors.TRAIN, 6.0, 6.0, id="ReLU"),
        pytest.param(0, 10, colors.TRAIN, -1.0, 0.0, id="ReLU below 0"),
        pytest.param(0, 10, colors.VALIDATION, 3.0, 0.9526, id="sigmoid"),
        pytest.param(1, 1, colors.TRAIN, 6.0, 1.0, id="the slope of ReLU"),
        pytest.param(1, 1, colors.VALIDATION, 1.0, 0.1966, id="the slope of sigmoid"),
        pytest.param(1, 1, colors.VALIDATION, 9.0, 0.0001, id="where a gradient vanishes"),
    ],
)
def test_the_picture_shows_both_functions(tmp_path, panel, top, color, z, expected):
    file = tmp_path / "both.png"
    assert run("activations", str(file)).stdout == f"wrote {file}\n"
    x = Scale(-10, 10, *activations.PANELS[panel]).pixels(np.array([z]))[0]
    y = Scale(0, 1.05 * top, activations.BOTTOM, activations.TOP).pixels(np.array([expected]))[0]
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    column = pixels(file.read_bytes())[: activations.BOTTOM + 5, round(x)]
    (drawn,) = np.nonzero(np.abs(column - wanted).max(axis=1) < 60)
    assert drawn.size
    assert drawn.mean() == pytest.approx(y, abs=2)


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
