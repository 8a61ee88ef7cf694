"""A command or an option that had another name before is refused with that of today."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from sweeps.cli import app


@pytest.fixture
def home(tmp_path):
    return tmp_path / "nowhere"


@pytest.fixture
def attempt(home):
    return lambda *words: CliRunner().invoke(app, [*map(str, words), "--home", str(home)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["finalize", "toy"], "'sweeps finalize' is gone; in its place: sweeps confirm"),
        (["try", "toy", "x=1"], "'sweeps try' is gone; in its place: sweeps enqueue"),
        (["run", "toy", "--finalize"], "'--finalize' is gone; in its place: --confirm"),
        (["run", "toy", "--no-finalize"], "'--no-finalize' is gone; in its place: --no-confirm"),
        (["confirm", "toy", "--blocks", "8"], "'--blocks' is gone; in its place: --folds"),
        (["confirm", "toy", "--blocks=8"], "'--blocks' is gone; in its place: --folds"),
        (
            ["next", "toy"],
            "'sweeps next' is gone; in its place: sweeps confirm, whose answer ends with it",
        ),
        (
            ["dashboard"],
            "'sweeps dashboard' is gone; in its place: sweeps export NAME --study FILE, then "
            "`optuna-dashboard sqlite:///FILE`",
        ),
        (["run", "toy", "--stop=auto"], "'--stop' is gone; in its place: `--stop-after N`, or "),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_former_command_or_option_is_answered_with_todays_name(attempt, home, words, said):
    result = attempt(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {said}")
    assert result.stderr.count("\n") == 1
    assert not home.exists()
