"""Every mistake of a user: exit code 2, one message that helps, nothing left behind."""

import io

import numpy as np
import pytest
from typer.testing import CliRunner

from sweeps.cli import app

GOOD = """
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
baselines:
  zero: {x: 0}
"""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


BAD_SPACES = {
    "unknown key": (GOOD + "fixd: {epochs: 3}", "fixd"),
    "low above high": (changed("low: -1", "low: 2"), "low"),
    "log from zero": (changed("low: -1, high: 1", "low: 0, high: 1, log: true"), "log"),
    "duplicate name": (
        changed("  x: {type: float, low: -1, high: 1}", "  x: {type: int, low: 0, high: 1}\n" * 2),
        "x",
    ),
    "unknown metric": (changed("metric: score", "metric: scor"), "did you mean 'score'"),
    "wrong direction": (changed("maximize", "minimize"), "maximize"),
    "unknown parameter": (
        changed("  x: {type: float, low: -1, high: 1}", "  xx: {type: float, low: 0, high: 1}"),
        "xx",
    ),
    "beyond the experiment's limits": (changed("high: 1}", "high: 100}"), "10"),
    "unknown type": (changed("type: float", "type: flaot"), "flaot"),
    "text for a number": (changed("low: -1", "low: small"), "small"),
    "baseline outside": (changed("zero: {x: 0}", "zero: {x: 7}"), "zero"),
    "baseline incomplete": (changed("zero: {x: 0}", "zero: {}"), "zero"),
    "required parameter missing": (
        GOOD.replace("  x: {type: float, low: -1,", "  layers: {type: int, low: 0,").replace(
            "zero: {x: 0}", "zero: {layers: 0}"
        ),
        "requires 'x'",
    ),
    "unknown constraint": (GOOD + "constraints: [weight <= 3]", "weight"),
    "malformed constraint": (GOOD + "constraints: ['size << 3']", "is not one value"),
    "no experiment": (changed("experiment: tests.sweeps.toy_experiment:experiment", ""), "experim"),
    "experiment not importable": (changed("toy_experiment:", "toy_experimnt:"), "toy_experimnt"),
    "experiment without the object": (changed(":experiment", ":experimet"), "did you mean"),
    "experiment of the wrong kind": (changed(":experiment", ":np"), "lacks"),
    "broken YAML": (GOOD + "fixed: {epochs: [", ".yaml:8: is not valid YAML"),
    "a list": ("- x\n- y\n", "mapping"),
    "empty": ("", "empty"),
    "a Python tag": (changed("low: -1", "low: !!python/object/apply:os.getpid []"), "tag"),
    "zero trials by default": (GOOD + "defaults: {trials: 0}", "trials"),
    "fixed twice": (GOOD + "fixed: {x: 1}", "x"),
}

BAD_OPTIONS = {
    "trials 0": (["--trials", "0"], "--trials 0"),
    "negative seed": (["--seed", "-1"], "--seed -1"),
    "text for trials": (["--trials", "many"], "valid integer"),
    "unknown option": (["--trails", "3"], "--trials"),
    "unknown sampler": (["--sampler", "tpee"], "did you mean 'tpe'"),
    "sampler not installed": (
        ["--sampler", "tests.sweeps.study.test_samplers.NeedsMore"],
        "pip install no_such_package",
    ),
    "unknown sampler option": (["--sampler", "tpe", "--sampler-option", "sed=1"], "sed"),
    "sampler option without value": (["--sampler-option", "n_startup_trials"], "name=value"),
    "sampler option nested too deep": (["--sampler-option", "a=" + "[" * 3000], "no plain value"),
    "sampler option that is no date": (["--sampler-option", "a=2001-99-99"], "no plain value"),
    "grid over a continuous space": (["--sampler", "grid"], "x"),
    "unknown pruner": (["--pruner", "medain"], "did you mean 'median'"),
    "data that are no UTF-8": (["--data", "caf\udce9"], "data 'caf\\udce9': character 4 is not"),
    "negative timeout": (["--timeout", "-5"], "--timeout"),
    "stop after 0": (["--stop-after", "0"], "--stop-after 0"),
    "ask ahead 0": (["--ask-ahead", "0"], "--ask-ahead 0"),
    "negative workers": (["--workers", "-1"], "--workers -1"),
    "text for workers": (["--workers", "all"], "valid integer"),
    "unknown order": (["--order", "fastest"], "fastest"),
    "bad name": (["--name", "../up"], "../up"),
    "set without value": (["--set", "x"], "x"),
    "set of an unknown name": (["--set", "z=1"], "z"),
    "set to an empty range": (["--set", "x=1..-1"], "x"),
    "set beyond the space": (["--set", "x=0..5"], "x"),
    "unknown data": (["--data", "tooy"], "'toy' and 'other'"),
    "file store": (["--tracking-uri", "file:///tmp/runs"], "mlflow migrate-filestore"),
    "options of no pruner": (["--pruner-option", "n=1"], "takes no options"),
    "empty name": (["--name", ""], "sweep name ''"),
    "unknown reason": (["--retries", "crahs=1"], "did you mean 'crash'"),
    "retries below 0": (["--retries", "oom=-1"], "--retries oom=-1: give a whole number"),
    "text for retries": (["--retries", "crash=many"], "--retries crash=many: give a whole number"),
    "retries of nothing": (["--retries", "many"], "--retries 'many': write it as name=value"),
    "trial timeout 0": (["--trial-timeout", "0"], "--trial-timeout 0: give seconds above 0"),
    "trial timeout without workers": (
        ["--trial-timeout", "9", "--workers", "0"],
        "--trial-timeout 9 with --workers 0",
    ),
    "checkpoints now and then": (["--checkpoint-every", "soon"], "'soon' is no duration"),
    "negative failures": (["--max-failures-in-row", "-1"], "--max-failures-in-row -1: give a"),
    "broken address": (["--tracking-uri", "http://[bad"], "http://[bad"),
    "unknown tracking scheme": (["--tracking-uri", "htttp://localhost"], "did you mean 'http'"),
}


def assert_refused(line, tmp_path, *fragments):
    before = sorted(p.name for p in tmp_path.iterdir())
    result = CliRunner().invoke(app, [*line, "--home", str(tmp_path / "home")])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for fragment in fragments:
        assert fragment in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(("text", "fragment"), BAD_SPACES.values(), ids=BAD_SPACES)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_bad_space_is_refused(tmp_path, command, text, fragment):
    file = tmp_path / "own.yaml"
    file.write_text(text)
    assert_refused([command, str(file)], tmp_path, fragment)


@pytest.mark.parametrize(("options", "fragment"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_is_refused(tmp_path, options, fragment):
    file = tmp_path / "own.yaml"
    file.write_text(GOOD)
    assert_refused(["run", str(file), *options], tmp_path, fragment)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


LABELS = np.arange(20) % 10
BAD_DATA = {
    "not an archive": (b"no archive", ""),
    "wrong names": (npz(a=LABELS, b=LABELS), "a"),
    "wrong shape": (npz(X=np.zeros((20, 3)), y=LABELS), "3"),
    "lengths differ": (npz(X=np.zeros((19, 4, 4)), y=LABELS), "19"),
    "not a number": (npz(X=np.full((20, 4, 4), np.nan), y=LABELS), "NaN"),
    "out of range": (npz(X=np.full((20, 4, 4), 7.0), y=LABELS), "7"),
    "labels from 1": (npz(X=np.random.default_rng(0).random((20, 4, 4)), y=LABELS + 1), "label"),
    "empty": (npz(X=np.zeros((0, 4, 4)), y=np.zeros(0, int)), "0"),
    "duplicates across splits": (npz(X=np.zeros((20, 4, 4)), y=LABELS), "training images too"),
    "pickled": (npz(X=np.array([None, 1], dtype=object), y=np.arange(2)), "pickle"),
}


@pytest.mark.keras
@pytest.mark.parametrize(("content", "fragment"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused(tmp_path, content, fragment):
    file = tmp_path / "data.npz"
    file.write_bytes(content)
    assert_refused(["run", "smoke", "--data", str(file)], tmp_path, fragment)


@pytest.mark.keras
def test_data_that_is_not_there_is_refused(tmp_path):
    assert_refused(["run", "smoke", "--data", str(tmp_path / "no.npz")], tmp_path, "no.npz")


@pytest.mark.keras
def test_a_misspelt_source_is_refused(tmp_path):
    assert_refused(["run", "smoke", "--data", "digits02"], tmp_path, "Did you mean 'digits20'")


def test_a_space_that_is_not_there_is_refused(tmp_path):
    assert_refused(["run", str(tmp_path / "no.yaml")], tmp_path, "no.yaml")
    assert_refused(["run", "smokee"], tmp_path, "did you mean 'smoke'")


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_text("a file")
    assert_refused(["run", "smoke"], tmp_path, "is a file")


@pytest.mark.parametrize("name", ["a%20b", "what?", "{x}", "caf\udce9"])
def test_a_home_that_no_address_can_hold_is_refused(tmp_path, name):
    result = CliRunner().invoke(app, ["run", "smoke", "--home", str(tmp_path / name)])
    assert result.exit_code == 2
    assert "cannot stand in a database address" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["loop", "~nobody-is-called-this/home"])
def test_a_home_that_leads_nowhere_is_refused(tmp_path, monkeypatch, home):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for words in (["list"], ["run", "smoke"]):
        result = CliRunner().invoke(app, [*words, "--home", home])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
        assert f"home {home}: it leads nowhere" in result.stderr


@pytest.mark.parametrize("command", ["list", "doctor", "sync"])
def test_records_that_are_away_are_not_taken_for_none(tmp_path, command):
    (tmp_path / "sweeps").symlink_to(tmp_path / "a disk that is not there")
    result = CliRunner().invoke(app, [*command.split(), "--home", str(tmp_path)])
    assert result.exit_code == 2, result.output
    assert f"error: home {tmp_path}: sweeps is a link to no folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["sweeps"]


def test_a_table_that_cannot_be_written_is_refused(tmp_path, make_home):
    home, space = make_home(), tmp_path / "own.yaml"
    space.write_text(GOOD)
    run = CliRunner().invoke(app, ["run", str(space), "--trials", "1", "--home", str(home)])
    assert run.exit_code == 0, run.output
    line = ["trials", "own", "--csv", str(tmp_path / "no" / "x.csv"), "--home", str(home)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 2
    assert "cannot be written (No such file or directory)" in result.stderr


@pytest.mark.parametrize("text", ["def (:", "1 / 0"])
def test_an_experiment_that_fails_to_import_is_named(tmp_path, text):
    module = f"broken_{abs(hash(text))}"
    (tmp_path / f"{module}.py").write_text(text)
    file = tmp_path / "own.yaml"
    file.write_text(GOOD.replace("tests.sweeps.toy_experiment", module))
    result = CliRunner().invoke(app, ["plan", str(file), "--home", str(tmp_path / "home")])
    assert result.exit_code == 2
    assert "importing it failed" in result.stderr


@pytest.mark.keras
def test_an_old_file_store_in_the_home_is_named_with_the_way_out(tmp_path):
    store = tmp_path / "home" / "0"
    store.mkdir(parents=True)
    (store / "meta.yaml").write_text("artifact_location: x")
    assert_refused(["run", "smoke"], tmp_path, "mlflow migrate-filestore --source")
