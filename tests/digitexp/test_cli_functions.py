"""The commands that try a network's parts by hand."""

import io

import pytest
from PIL import Image
from typer.testing import CliRunner

from digitexp.cli import app


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_probabilities_are_printed_at_every_temperature():
    printed = run("softmax", "2", "1", "0.1", "-t", "0.5", "-t", "1", "-t", "2").stdout
    lines = printed.splitlines()
    assert lines[1].split() == ["T", "=", "0.5", "0.8638", "0.1169", "0.0193", "0.454"]
    assert [line.split()[2] for line in lines[1:]] == ["0.5", "1", "2"]


def test_a_temperature_of_nothing_is_refused():
    assert isinstance(run("softmax", "1", "2", "-t", "0").exception, ValueError)


def test_the_picture_shows_both_functions(tmp_path):
    file = tmp_path / "both.png"
    assert run("activations", str(file)).stdout == f"wrote {file}\n"
    picture = Image.open(io.BytesIO(file.read_bytes())).convert("RGB")
    assert picture.size == (1248, 481)
    assert len(picture.getcolors(1 << 16)) > 10


@pytest.mark.parametrize("command", ["softmax", "activations"])
def test_each_says_what_it_does(command):
    assert command in run("--help").stdout
