"""Tab: what a shell is given and answered; nothing heavy is imported for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.home import Home
from tests.sweeps.factories import SWEEP_ID, make_info

HEAVY = {"tensorflow", "keras", "mlflow", "pandas", "optuna", "sqlalchemy", "matplotlib", "sklearn"}
# What a shell does when Tab is pressed, without the terminal; the last words it has of the line.
BASH = """
set -eu
source <(sweeps --show-completion)
function=$(complete -p sweeps | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
tab() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $function sweeps; echo "${COMPREPLY[*]}"; }
tab sweeps ru
tab sweeps best ml
"""


@pytest.fixture
def home(tmp_path):
    """Return a home with one sweep, `mlp`."""
    folder = tmp_path / "home"
    Home(folder).store(SWEEP_ID).begin(make_info())
    return folder


@pytest.fixture
def press_tab(tmp_path, monkeypatch):
    """Ask for completions as the script of a shell does."""
    monkeypatch.chdir(tmp_path)

    def press(*words, shell="bash", **environment):
        variables = {
            "_SWEEPS_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
            "_TYPER_COMPLETE_ARGS": " ".join(words),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        return CliRunner().invoke(app, [], prog_name="sweeps", env=variables | environment)

    return press


@pytest.mark.slow
def test_bash_takes_its_script_and_completes_commands_and_sweeps_without_heavy_imports(home):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "SWEEPS_HOME": str(home), "PYTHONPROFILEIMPORTTIME": "1"}
    kept = {name: value for name, value in os.environ.items() if name != "SWEEPS_STORAGE"}
    ran = subprocess.run(
        ["bash", "--norc", "-c", BASH],
        env=kept | own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "run\nmlp\n"), ran.stderr[-2000:]
    imported = {line.split("|")[-1].strip() for line in ran.stderr.splitlines()}
    assert "sweeps.home" in imported, "the list is of what the command imports"
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("shell", "registers", "answer"),
    [
        ("zsh", "compdef _sweeps_completion sweeps", "_arguments '*: :((\"mlp\"))'"),
        ("fish", "complete --command sweeps ", "mlp"),
    ],
)
def test_other_shells_have_a_script_whose_question_is_answered(
    press_tab, home, shell, registers, answer
):
    script = CliRunner().invoke(
        app, [], prog_name="sweeps", env={"_SWEEPS_COMPLETE": f"source_{shell}"}
    )
    assert (script.exit_code, registers in script.stdout) == (0, True)
    asked = ("_TYPER_COMPLETE_ARGS=", f"_SWEEPS_COMPLETE=complete_{shell}")
    assert all(variable in script.stdout for variable in asked)
    told = press_tab("sweeps", "best", "ml", shell=shell, SWEEPS_HOME=str(home))
    assert told.stdout.strip() == answer


def test_sweeps_are_those_of_the_home_that_is_named_on_the_line(press_tab, home):
    assert press_tab("sweeps", "best", "--home", str(home), "").stdout.split() == ["mlp"]
    assert press_tab("sweeps", "best", "").stdout.split() == []


@pytest.mark.parametrize("trouble", ["home is a file", "storage is away", "sweep is damaged"])
def test_what_is_wrong_is_not_said_into_the_line_that_is_being_typed(press_tab, home, trouble):
    environment = {"SWEEPS_HOME": str(home)}
    if trouble == "home is a file":
        environment["SWEEPS_HOME"] = str(home / "sweeps" / SWEEP_ID / "journal.jsonl")
    elif trouble == "storage is away":
        environment["SWEEPS_STORAGE"] = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    else:
        (home / "sweeps" / SWEEP_ID / "journal.jsonl").write_text("{\n")
    told = press_tab("sweeps", "best", "", **environment)
    assert (told.exit_code, told.output.strip()) == (0, ""), told.output
