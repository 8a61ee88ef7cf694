"""The page for those who come from Optuna: its code is one program, its table's calls among it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from tests.docs.test_docs import DOCS

PAGE = (DOCS / "coming-from-optuna.md").read_text(encoding="utf-8")
PIECE = re.compile(r"^```python\n(?P<block>(?s:.*?))```|^\|(?P<row>.*)\|$", re.MULTILINE)
CALL = re.compile(r"`((?:optuna\.create_study|sweeps\.run)\(.*?)`")
SEEN = """
optuna.create_study(direction="maximize").optimize(neighbours, n_trials=2)
assert study.best_params.keys() == {"k", "p"} and study.best_value > 0.95
assert len(front) > 1
"""


def rows():
    """Return the rows of the table, without its head."""
    return [found["row"].strip() for found in PIECE.finditer(PAGE) if found["row"]][2:]


def program():
    """Return the code of the page in its order: blocks, and the calls of each row."""
    pieces = (
        found["block"] or "\n".join(CALL.findall(found["row"])) for found in PIECE.finditer(PAGE)
    )
    return "\n".join([*pieces, SEEN])


def test_there_are_ten_idioms_each_with_a_call_of_both():
    numbers = [int(found[1]) for row in rows() if (found := re.match(r"(\d+)\. ", row))]
    assert numbers == list(range(1, 11))
    for row in rows():
        assert [call.partition(".")[0] for call in CALL.findall(row)] == ["optuna", "sweeps"], row


# A dozen sweeps with workers, and a confirmation.
@pytest.mark.slow
def test_the_page_is_one_program_that_does_what_it_says(make_home, tmp_path):
    home = make_home("mlruns")
    (tmp_path / "program.py").write_text(program())
    left_out = {"MLFLOW_TRACKING_URI", "SWEEPS_HOME"}
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env={n: value for n, value in os.environ.items() if n not in left_out},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]

    made = {info.name: sweeps.trials(info.name, home) for info in Home.resolve(home, None).sweeps()}
    assert {name: len(trials) for name, trials in made.items()} == {
        "objective": 24, "score": 20, "curve": 20, "curve-hyperband": 20, "branch": 20,
        "trade": 20, "noted": 8, "fit": 8, "Fit": 8, "by-chance": 20, "neighbours": 12,
        "neighbours-confirmation": 16,
    }  # fmt: skip
    assert (tmp_path / "history.html").is_file()
    assert (tmp_path / "page.html").is_file()

    assert sweeps.load("score", home).best().value == made["score"]["value"].max()
    assert set(made["curve"]["state"]) == {"COMPLETE", "PRUNED"}
    branches = made["branch"]
    assert (branches["C"].isna() == (branches["model"] == "forest")).all()
    assert (branches["depth"].isna() == (branches["model"] == "svm")).all()
    assert made["trade"]["on_front"].sum() > 1
    assert (made["noted"]["parameters"] == 640).all()
    by_lambda, by_object = (made[name].drop(columns="seconds") for name in ("fit", "Fit"))
    assert by_lambda.equals(by_object)
    queued = made["objective"].iloc[20]
    assert (queued["x"], queued["value"], queued["origin"]) == (1.5, 0.25, "enqueued")

    confirmed = made["neighbours-confirmation"]
    assert confirmed.groupby("finalist").size().to_list() == [8, 8]
    assert "on fresh folds" in ran.stdout.splitlines()[-1]


def test_from_the_shell_it_is_one_line(make_home, tmp_path, monkeypatch):
    (line,) = re.findall(r"`sweeps (run tune\.py:objective --trials \d+)`", PAGE)
    (function,) = re.findall(r"^def objective\(trial\):\n(?: +.*\n)+", PAGE, re.MULTILINE)
    home = make_home("mlruns")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "tune.py").write_text(function)
    ran = CliRunner().invoke(app, [*line.split(), "--workers", "0"])
    assert ran.exit_code == 0, ran.output
    assert len(sweeps.trials("objective", home)) == 20
