"""What had another name before is read where it is stored, and refused with today's elsewhere."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.home import Home
from sweeps.records import EnqueuedPoints


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


def test_points_that_were_left_under_a_former_name_keep_their_numbers_and_trials(tmp_path):
    point = {"params": {"x": 0.25}, "origin": "tried"}
    (tmp_path / "hunch-0001.json").write_text(json.dumps(point))
    (tmp_path / "hunch-0001.slot").write_text("3\n")
    (tmp_path / "hunch-0002.json").write_text(json.dumps(point))
    points = EnqueuedPoints(tmp_path)
    assert points.add({"x": 0.5}, "enqueued").number == 3
    assert [(one.number, one.trial) for one in points.all()] == [(1, 3), (2, None), (3, None)]
    taken = [points.for_trial(number) for number in (4, 5)]
    assert [one.number for one in taken if one] == [2, 3]
    assert [(one.number, one.trial) for one in points.all()] == [(1, 3), (2, 4), (3, 5)]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "enqueued-0003.json", "enqueued-0003.trial", "hunch-0001.json", "hunch-0001.slot",
        "hunch-0002.json", "hunch-0002.slot",
    ]  # fmt: skip


def test_a_sweep_whose_files_have_former_members_opens(make_home, run_toy):
    sweep = run_toy(trials=2, workers=0)
    path = Home(make_home()).store(sweep.info.id).folder / "sweep.json"
    stored = json.loads(path.read_text())
    stored["version"] = 1
    stored["fingerprint"]["order"] = "slots"
    stored["space"]["defaults"]["finalize"] = stored["space"]["defaults"].pop("confirm")
    path.write_text(json.dumps(stored))
    again = run_toy(trials=3, workers=0)
    assert (again.info.id, len(again.rows())) == (sweep.info.id, 3)
    assert again.info.fingerprint["order"] == "number"
