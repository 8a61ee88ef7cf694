"""Nothing that a sweep of somebody else says reaches a terminal as a command to it."""

import sys

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.cli.console import Terminal
from sweeps.render.section import Section, Table, Text
from sweeps.render.summaries import render_sections
from tests.sweeps.conftest import TOY
from tests.sweeps.hostile_experiment import ESCAPE

QUOTED = ESCAPE.replace("\x1b", "\\e").replace("\x07", "\\a").replace("\x9b", "\\x9b")


@pytest.fixture
def home(make_home, tmp_path, monkeypatch):
    """Return the home of a sweep whose space, trials and notes hold escape sequences."""
    monkeypatch.chdir(tmp_path)
    text = TOY.replace("toy_experiment", "hostile_experiment")
    text = text.replace("the toy experiment of", f'"{QUOTED}').replace("tests\n", 'tests"\n', 1)
    word = f'  word: {{type: categorical, choices: ["{QUOTED}"]}}\nfixed:'
    text = text.replace("fixed:", word).replace("kind: a", f'kind: a, word: "{QUOTED}"')
    (tmp_path / "toy.yaml").write_text(text)
    sweeps.run("toy.yaml", home=make_home(), trials=4, workers=0, progress="quiet", retries={})
    for words in (["note", "toy", ESCAPE], ["note", "toy", "0", ESCAPE]):
        assert CliRunner().invoke(app, [*words, "--home", str(make_home())]).exit_code == 0
    return make_home()


COMMANDS = [
    ["run", "toy.yaml", "--workers", "0", "--trials", "5"],
    ["plan", "toy.yaml"],
    ["list"],
    ["trials", "toy"],
    ["trials", "toy", "0"],
    ["trials", "toy", "1"],
    ["best", "toy"],
    ["compare", "toy", "toy:0"],
    ["report", "toy"],
    ["replay", "toy", "0"],
    ["retry", "toy", "--workers", "0"],
    ["confirm", "toy"],
    ["note", "toy"],
    ["note", "toy", "0"],
    ["status"],
    ["status", "toy"],
    ["doctor"],
    ["sync", "toy"],
    ["enqueue", "toy", "x=0.3", "--like", "0"],
    ["enqueue", "toy", f"{ESCAPE}=1"],
    ["trials", ESCAPE],
]


@pytest.mark.slow
def test_no_command_prints_an_escape_sequence(home):
    said = {
        " ".join(words): CliRunner().invoke(app, [*words, "--home", str(home)]).output
        for words in COMMANDS
    }
    found = {}
    for words, text in said.items():
        strange = [line for line in text.splitlines() if not line.isprintable()]
        if strange:
            found[words] = strange[:3]
    assert not found, found
    assert "told to raise" in said["trials toy 1"]


def test_a_script_of_a_stranger_is_planned_and_scaffolded_without_an_escape_sequence(
    make_home, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        f"parser.add_argument('--rate', type=float, default=0.1, help={ESCAPE!r})\n"
        "parser.parse_args()\nprint('score: 0.5')\n"
    )
    (tmp_path / "strange.yaml").write_text(
        f"command: \"{sys.executable} theirs.py {{word}} '{QUOTED}'\"\n"
        "metrics: {score: 'score: ([0-9.]+)'}\n"
        "objective: {metric: score, direction: maximize}\n"
        f'parameters:\n  word: {{type: categorical, choices: ["{QUOTED}", b]}}\n'
    )
    planned = CliRunner().invoke(app, ["plan", "strange.yaml", "--home", str(make_home())])
    assert (planned.exit_code, "Engine script" in planned.output) == (0, True), planned.output
    begun = CliRunner().invoke(app, ["init", "--from", "theirs.py"])
    assert begun.exit_code == 0, begun.output
    lines = (planned.output + begun.output).splitlines()
    assert [line for line in lines if not line.isprintable()] == []


def test_sections_of_a_stranger_are_plain_text_in_a_terminal(capsys):
    bad = "\x1b[/n]"
    blocks = [Text(bad), Text(bad, "note"), Table([bad, "b"], [["c", bad]])]
    Terminal().print(render_sections([Section("a", bad, blocks)]))
    said = capsys.readouterr().out
    assert said.count("?[/n") == 5
    assert all(line.isprintable() for line in said.splitlines())
