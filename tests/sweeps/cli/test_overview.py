"""`sweeps` alone, its help and its list: what is there, and what to do next."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex

import msgspec
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from sweeps.cli import app, options
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.records import Conclusions, ConfirmationRecord
from tests.sweeps import journals
from tests.sweeps.render.builders import standing_of, verdict_of


@pytest.fixture
def call(make_home, monkeypatch):
    monkeypatch.setenv("SWEEPS_HOME", str(make_home()))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    return lambda *words: CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture
def confirmed(finished_toy, run_toy, make_home):
    """Return a sweep with a companion, as a confirmation leaves it, trained on no fold."""
    sweep = finished_toy(trials=4)
    home = Home(make_home())
    folder = home.store(sweep.info.id).folder / "finalists-1"
    folder.mkdir()
    companion = run_toy(trials=1, workers=0, name="toy-confirmation")
    journals.alter(home.store(companion.info.id), "begun", directory=str(folder))
    best = sweep.best().number
    score = Interval(0.931, 0.92, 0.94)
    standings = [standing_of(f"trial-{trial}", trial, score, searched=0.95) for trial in range(4)]

    def conclude(trial=best):
        verdict = verdict_of(*standings, sweep="toy", champion=f"trial-{trial}")
        ids = companion.info.id, companion.info.id
        Conclusions(home.store(sweep.info.id)).keep(
            ConfirmationRecord(*ids, "0000-1", f"trial-{trial}", conclusions=[verdict])
        )
        return sweep

    return conclude


def test_an_empty_home_says_what_to_do_first(call):
    for words in ((), ("list",)):
        said = call(*words)
        assert said.exit_code == 0
        for command in ("sweeps run smoke", "sweeps run mlp", "sweeps init"):
            assert command in said.stdout
    assert json.loads(call("list", "--json").stdout) == []
    assert call("list", "--csv", "-").stdout.startswith("name,id,experiment,")


def test_alone_it_shows_the_sweeps_and_the_next_commands(call, finished_toy):
    finished_toy(trials=4)
    said = call()
    assert said.exit_code == 0
    assert "4/4" in said.stdout
    assert "  sweeps ui toy " in said.stdout
    assert "  sweeps confirm toy " in said.stdout
    assert said.stdout.endswith("All commands: sweeps --help\n")


def test_of_an_unfinished_sweep_it_proposes_the_command_that_goes_on(
    call, toy_space, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    space = tmp_path / "own space.yaml"
    space.write_text(toy_space.read_text())
    words = ("--name", "one", "--set", "epochs=2", "--seed", 7, "--workers", 0, "--trials", 3)
    assert call("run", space.name, *words, "--timeout", "0.000001").exit_code == 0
    (line,) = (one for one in call().stdout.splitlines() if one.startswith("  sweeps run "))
    command, _, hint = line.strip().partition("   ")
    assert hint in {"", "0 of 3 trials are done: go on"}, "as far as there is room"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    home = os.environ["SWEEPS_HOME"]
    assert f"  cd {tmp_path} && {command} --home {home}" in call().stdout
    monkeypatch.chdir(tmp_path)
    assert call(*shlex.split(command)[1:]).exit_code == 0
    (row,) = json.loads(call("list", "--json").stdout)
    assert (row["name"], row["done"], row["asked"]) == ("one", 3, 3)


@pytest.mark.parametrize(
    ("hint", "pasted"),
    [
        ("`sweeps run smoke`", "`sweeps run smoke --home h`"),
        ("`sweeps run smoke --trials 3 --home h`", "`sweeps run smoke --trials 3 --home h`"),
        ("`sweeps best smoke`", "`sweeps best smoke --home h`"),
    ],
)
def test_a_command_that_names_its_home_gets_no_second_one(hint, pasted):
    token = options._given.set({"home": "h"})
    try:
        assert options.pasteable(hint) == pasted
    finally:
        options._given.reset(token)


def test_another_home_is_named_in_the_commands_and_taken_before_a_command_or_behind_it(
    call, finished_toy, make_home, tmp_path
):
    finished_toy("other", trials=1)
    said = call("--home", make_home("other")).stdout
    assert f"  sweeps ui toy --home {make_home('other')}\n" in said
    before = call("--home", make_home("other"), "list", "--json").stdout
    assert before == call("list", "--json", "--home", make_home("other")).stdout
    assert [row["name"] for row in json.loads(before)] == ["toy"]
    refused = call("--home", make_home("other"), "init", tmp_path / "new")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "sweeps init works in no home; leave it out" in refused.stderr


def test_after_failures_it_proposes_to_look_at_them(call, finished_toy):
    finished_toy(trials=2, overrides=("mode=raise",))
    said = call().stdout
    assert "  sweeps trials toy " in said
    assert "  sweeps retry toy " in said
    assert "sweeps confirm" not in said


def test_the_parts_of_a_confirmation_stand_below_their_sweep(call, confirmed):
    confirmed()
    for words in ((), ("list",)):
        lines = call(*words).stdout.splitlines()
        (row,) = (number for number, line in enumerate(lines) if line.startswith("toy "))
        assert "93.1 %" in lines[row]
        assert lines[row + 1].strip() == "-confirmation"
    assert "sweeps export toy model" in call().stdout
    marked = {row["name"]: row["companion_of"] for row in json.loads(call("list", "--json").stdout)}
    assert marked == {"toy": None, "toy-confirmation": "toy"}
    rows = list(csv.DictReader(io.StringIO(call("list", "--csv", "-").stdout)))
    assert {row["name"]: row["companion_of"] for row in rows} == {
        "toy": "",
        "toy-confirmation": "toy",
    }
    assert "champion" not in rows[0]
    assert rows[0]["champion.finalist"] or rows[1]["champion.finalist"]


def test_what_is_confirmed_is_not_called_unconfirmed(call, confirmed, tmp_path):
    best = confirmed().best().number
    others = sorted({0, 1, 2, 3} - {best})
    assert "not confirmed" not in call("best", "toy").stdout
    said = " ".join(call("best", "toy").stdout.split())
    assert "it is the champion, confirmed on fresh folds" in said
    assert call("trials", "toy").stdout.count("it is the champion, confirmed on fresh folds") == 1
    compared = " ".join(call("compare", f"toy:{best}", f"toy:{others[0]}").stdout.split())
    assert f"the champion of toy, confirmed on fresh folds, is trial-{best} (93.1 %" in compared
    found = json.loads(call("best", "toy", "--json").stdout)
    assert found["champion"] == {
        "finalist": f"trial-{best}",
        "trial": best,
        "score": 0.931,
        "unit": "share",
        "is_proven": True,
    }
    assert "not confirmed" not in found["status"]
    call("report", "toy", "--output", tmp_path / "toy.html")
    assert "best observed, not confirmed" not in (tmp_path / "toy.html").read_text()


def test_a_champion_that_is_not_the_observed_best_is_named(call, confirmed):
    sweep = confirmed()
    other = next(trial for trial in range(4) if trial != sweep.best().number)
    confirmed(other)
    for words in (("best", "toy"), ("trials", "toy")):
        said = " ".join(call(*words).stdout.split())
        assert f"the champion, confirmed on fresh folds, is trial-{other}" in said
    shown = call("best", "toy").stdout
    assert f"Parameters of the champion, trial {other}:" in shown
    assert f"{sweep.trial(other).params['x']:.4g}" in shown.partition("Parameters")[2]


@pytest.mark.parametrize("word", ["cannot tell yet", "worse"])
def test_a_champion_that_beats_no_baseline_is_not_called_confirmed(call, confirmed, word):
    sweep = confirmed()
    best = sweep.best().number
    interval = Interval(0.93, 0.92, 0.94)
    verdict = verdict_of(
        standing_of(f"trial-{best}", best, interval),
        standing_of("baseline-first", 0, interval, interval, word),
        sweep="toy", settled=False,
    )  # fmt: skip
    conclusions = Conclusions(sweep.home.store(sweep.info.id))
    record = msgspec.structs.replace(conclusions.confirmed(), conclusions=[verdict])
    conclusions.keep(record)
    said = " ".join(call("best", "toy").stdout.split())
    is_proven = word == "worse"
    assert ("confirmed on fresh folds" in said) == is_proven
    assert ("on fresh folds it is not proven better than the baseline" in said) != is_proven
    assert json.loads(call("best", "toy", "--json").stdout)["champion"]["is_proven"] == is_proven


def test_a_comparison_has_its_differences_in_json(call, finished_toy):
    sweep = finished_toy(trials=4)
    rows = {row.trial: row.objective for row in sweep.rows()}
    first, second = json.loads(call("compare", "toy:0", "toy:1", "--json").stdout)
    assert first["difference"] == {"objective": None, "accuracy": None}
    assert second["difference"]["objective"] == pytest.approx(rows[1] - rows[0])


def test_the_help_shows_eight_commands_first_and_each_in_a_line():
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    lines = said.splitlines()
    first = lines.index("The eight that matter first:") + 1
    eight = [line.split()[0] for line in lines[first : first + 8]]
    assert eight == ["run", "list", "ui", "report", "compare", "confirm", "export", "init"]
    assert first + 8 <= 24, "they fit on the first screen"
    for group in ("Run and look", "Keep house"):
        assert f"{group}:" in lines
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 80
    shown = [line.split()[0] for line in lines[: lines.index("Options:")] if line.startswith("  ")]
    assert sorted(shown) == sorted(get_command(app).commands)


@pytest.mark.parametrize("name", sorted(get_command(app).commands))
def test_a_help_text_breaks_no_line_but_that_of_the_terminal(name):
    command = get_command(app).commands[name]
    assert "\n" not in (command.help or "").replace("\n\n", "")


@pytest.mark.parametrize("name", sorted(get_command(app).commands))
def test_no_name_of_an_option_is_cut_in_80_columns(name):
    said = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"}).stdout
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    words = said.replace(",", " ").split()
    known = (one.opts + one.secondary_opts for one in get_command(app).commands[name].params)
    assert {option for options in known for option in options if option[0] == "-"} <= {*words}


def test_json_and_csv_do_not_share_stdout(call, finished_toy):
    finished_toy(trials=1)
    refused = call("list", "--json", "--csv", "-")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--csv a file" in refused.stderr
