"""A home that an earlier version wrote is opened, gone on with and built upon by this one."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import tarfile
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.records import Conclusions, WordedConclusion
from sweeps.records.conclusions import document_of
from sweeps.render.sections.confirmed import put_in_words
from tests.golden.make import CONFIRMS, CONTINUED, GOES_ON, RUN_DIGITS, RUN_TRADE
from tests.homes import copy_home

HERE = Path(__file__).parent
MADE_AT = Path("/golden")
LARGE = ["b7e3d90", pytest.param("b6b2012", marks=pytest.mark.nightly)]
"""The commits that wrote homes with sweeps of digits, and without a journal."""
every_home = pytest.mark.parametrize("made_by", [*LARGE, "a482ec2f"], indirect=True)


@pytest.fixture(params=LARGE)
def made_by(request):
    """The commit that wrote the home."""
    return request.param


@pytest.fixture(scope="session")
def taken_over(tmp_path_factory):
    """Take over the golden home of a commit by the command, once; return the folder."""

    @cache
    def take_over(made_by):
        packed, folder = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("golden")
        with tarfile.open(HERE / f"home-{made_by}.tar.xz") as archive:
            archive.extractall(packed, filter="data")
        copy_home(packed / "home", folder / "home", MADE_AT / "home")
        shutil.copytree(packed / "spaces", folder / "spaces")
        for pattern in ("sweep.json", "generation-*.json"):
            for file in (folder / "home" / "records").glob(f"*/{pattern}"):
                text = file.read_text(encoding="utf-8")
                file.write_text(text.replace(f'"{MADE_AT}/', f'"{folder}/'), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / "spaces")
            patch.syspath_prepend(str(folder / "spaces"))
            said = command(folder / "home", "import", folder / "home")
        assert said.count(" is here\n") == len(expected_of(made_by)["sweeps"])
        return folder

    return take_over


def expected_of(made_by):
    text = (HERE / f"home-{made_by}.json").read_text(encoding="utf-8")
    return json.loads(text.replace('"origin": "tried"', '"origin": "enqueued"'))


@pytest.fixture
def expected(made_by):
    return expected_of(made_by)


@pytest.fixture
def home(taken_over, made_by, tmp_path, monkeypatch):
    """A golden home that was taken over; the folder of its spaces is the current one."""
    folder = taken_over(made_by)
    copy_home(folder / "home", tmp_path / "home")
    monkeypatch.chdir(folder / "spaces")
    monkeypatch.syspath_prepend(str(folder / "spaces"))
    return tmp_path / "home"


def command(home, *words, code=0):
    ran = CliRunner().invoke(app, [*map(str, words), "--home", str(home)])
    assert ran.exit_code == code, ran.output
    return ran.stdout


def rows_of(home, name):
    told = [
        "state",
        "reason",
        "attempts",
        "origin",
        "seed",
        "params",
        "metrics",
        "objective",
        "epochs",
    ]
    rows = sweeps.load(name, home).rows()
    return [{"trial": r.trial, **{n: getattr(r, n) for n in told}} for r in rows]


OF_FOLDS = {
    "best_val_accuracy": "inner_accuracy",
    "block_accuracy": "best_val_accuracy",
    "block_cross_entropy": "best_val_cross_entropy",
}
"""Former names of the scores of a fold."""


def as_stored(rows):
    """Return rows as JSON gives them back, with the names of today, without durations."""
    stored = json.loads(json.dumps(rows))
    for row in stored:
        found = {k: v for k, v in row["metrics"].items() if not k.endswith("_seconds")}
        is_former = "block_accuracy" in found
        row["metrics"] = {OF_FOLDS.get(k, k) if is_former else k: v for k, v in found.items()}
    return stored


@every_home
def test_every_sweep_opens_with_its_numbers(home, expected):
    assert [info.name for info in Home.resolve(home).sweeps()] == list(expected["sweeps"])
    for name, rows in expected["sweeps"].items():
        assert as_stored(rows_of(home, name)) == as_stored(rows)


def test_each_kind_of_trial_is_in_it(expected):
    states = {row["state"] for rows in expected["sweeps"].values() for row in rows}
    reasons = {row["reason"] for rows in expected["sweeps"].values() for row in rows}
    assert states >= {"COMPLETE", "PRUNED", "FAILED"}
    assert "diverged" in reasons


@every_home
def test_notes_are_shown(home, expected):
    for name, notes in expected["notes"].items():
        assert command(home, "note", name) == notes


def test_the_verdict_is_shown(home, expected, tmp_path):
    command(home, "report", "digits", "--output", tmp_path / "digits.html")
    page = (tmp_path / "digits.html").read_text(encoding="utf-8")
    assert expected["finalized"]["recommended"] in page
    assert sweeps.load("digits", home).champion().params["finalist"] == "trial-7"


def stored(home):
    """Return the conclusions of the confirmed sweep, as they lie in its folder."""
    info = sweeps.load("digits", home).info
    return Conclusions(Home.resolve(home).store(info.id))


def test_conclusions_that_were_stored_in_words_are_shown_as_they_were_said(home, expected):
    told = [put_in_words(conclusion) for conclusion in stored(home).all()]
    said = expected["finalized"]["told"] + [expected["finalized"]["test"]]
    assert [one.lead for one in told] == [one["lead"] for one in said]
    assert [list(one.lines) for one in told] == [one["lines"] for one in said]
    shown = " ".join(command(home, "best", "digits").split())
    assert all(one.lead in shown for one in told)


@pytest.mark.slow
def test_said_again_they_are_numbers_that_are_told_with_the_same_figures(home):
    def told():
        said = [put_in_words(conclusion) for conclusion in stored(home).all()]
        return [
            (one.title, [row[:columns] for row in one.rows])
            if (columns := compared_columns(one.title))
            else (one.title, sorted(re.findall(r"\d+\.\d+", one.lead)))  # its sign has turned
            if in_words_of_today(one.title).startswith("Selection bias of")
            else (one.title, one.lead, one.columns, one.rows)
            for one in said
        ]

    before = in_words_of_today(told())
    command(home, "confirm", "digits", "--test", "--workers", 0, "--json")
    after = stored(home)
    assert not [one for one in after.all() if isinstance(one, WordedConclusion)]
    (verified,) = [one[1] for one in told() if one[0] == "Verification"]  # new today
    assert verified.startswith("The champion's model is verified: ")
    before = [one for one in before if not one[0].startswith("Votes on ")]  # said no more
    now = [one for one in told() if one[0] not in {"Verification", "An ensemble of trials"}]
    (said, halves), (said_before, halves_before) = map(without_halves, (now, before))
    assert said == said_before
    on_scale = [100 * within_accuracy(mean / 100, half / 100) for mean, half in halves_before]
    rounded = pytest.approx(on_scale, abs=0.011)  # two numbers of two decimals
    assert [half for _, half in halves] == rounded
    assert not [found for one in after.all() for found in written_numbers(document_of(one))]


HALVES = re.compile(r"([\d.]+)±([\d.]+)")


def without_halves(told):
    """Return what is said without half-widths, and these, each with its mean, in percent."""
    text = json.dumps(told, ensure_ascii=False)
    found = [(float(mean), float(half)) for mean, half in HALVES.findall(text)]
    return json.loads(HALVES.sub(r"\1", text)), found


def within_accuracy(mean, half):
    """Return a half-width as it is today, on the scale of an accuracy."""
    return Interval.around(mean, half).within("accuracy").half


def compared_columns(title):
    """Return the number of columns to compare: intervals come from another method today.

    Means do not; 0 if nothing has changed.
    """
    known = {"Confirmed on fresh folds": 3}
    return known.get(in_words_of_today(title), 0)


def in_words_of_today(said):
    """Return what an earlier version said, with the words that are in use now."""
    text = json.dumps(said)
    for former, now in (
        ("blocks", "folds"), ("test part", "test set"), ("images", "samples"),
        ("The luck of", "Selection bias of"), ("winner", "champion"),
    ):  # fmt: skip
        text = text.replace(former, now)
    # A mean "x to y" was read as an interval.
    changed = r"change, ([\d.]+) to ([\d.]+) (points|nats) \("
    return json.loads(re.sub(changed, r"change: \2 \3, not \1 (change ", text))


WITH_JSON = {
    "best": ["best digits", "best digits --ensemble"],
    "compare": ["compare digits bowl:0"],
    "doctor": ["doctor", "doctor digits"],
    "confirm": ["confirm digits", "confirm digits --test"],
    "list": ["list"],
    "note": ["note digits"],
    "plan": [" ".join(("plan", *RUN_TRADE[1:], "--trials", "99"))],
    "replay": ["replay bowl 0"],
    "status": ["status"],
    "sync": ["sync digits"],
    "trials": ["trials digits", "trials trade", "trials digits 0"],
}
STREAMED = {
    "run": [" ".join((*RUN_TRADE, "--trials", "9"))],
    "retry": ["retry bowl --workers 0"],
    "status": ["status trade"],
}
"""Those that print one JSON object a line."""
WITHOUT_TABLE = (
    {"report", "export", "init", "share", "ui"}
    | {"enqueue", "pause", "resume", "stop", "import", "trust"}
    | {"rename", "archive", "delete", "gc"}
)
"""Those that write files, serve pages, or do one thing and say so in a line."""


def commands_with(option):
    commands = get_command(app).commands
    return {n for n, one in commands.items() if any(option in p.opts for p in one.params)}


def test_every_command_that_prints_a_table_takes_json_and_csv_alike():
    assert commands_with("--csv") == WITH_JSON.keys()
    assert commands_with("--json") == WITH_JSON.keys() | STREAMED.keys()
    everything = WITH_JSON.keys() | STREAMED.keys() | WITHOUT_TABLE
    assert get_command(app).commands.keys() == everything, "a new command: does it print a table?"


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for words in WITH_JSON.values() for w in words])
def test_numbers_in_json_are_numbers(home, words):
    document = json.loads(command(home, *words.split(), "--json"))
    assert document or words == "status"
    assert not list(written_numbers(document))
    assert not list(whole_floats(document))


def whole_floats(value):
    """Yield the whole numbers of a JSON document that are written with a point."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, float) and value.is_integer():
        yield value
    elif not isinstance(value, str | int | float | None):
        for one in value:
            yield from whole_floats(one)


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for words in WITH_JSON.values() for w in words])
def test_tables_are_csv_with_a_header_and_numbers(home, words, tmp_path):
    printed = command(home, *words.split(), "--csv", "-")
    names, *rows = csv.reader(io.StringIO(printed))
    has_no_rows = words.startswith(("status", "doctor", "replay"))
    assert bool(rows) != has_no_rows, "nothing runs, all is well, nothing differs"
    assert len(set(names)) == len(names)
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if re.fullmatch(r"-?\d+\.0|.*(±|\d %).*", cell)]


@pytest.mark.slow
@pytest.mark.parametrize("words", [w for words in STREAMED.values() for w in words])
def test_numbers_in_streams_of_json_are_numbers(home, words):
    code = 1 if words.startswith("retry") else 0  # it fails again
    lines = command(home, *words.split(), "--json", code=code).splitlines()
    assert lines
    assert not [text for line in lines for text in written_numbers(json.loads(line))]


def written_numbers(value):
    """Yield the texts of a JSON document that are numbers, or hold one with a unit.

    The sentences of `answer` are for people, and say what the other members have in figures.
    """
    if isinstance(value, dict):
        value = [one for key, one in value.items() if key != "answer"]
    if isinstance(value, str):
        in_text = re.search(r"±|\d ?%|\d (points|nats)\b", value)
        if in_text or re.fullmatch(r"[+-]?\d+\.\d+( .*)?|[+-]\d+", value):
            yield value
    elif not isinstance(value, int | float | None):
        for one in value:
            yield from written_numbers(one)


def test_an_imported_sweep_of_an_experiment_that_ships_here_needs_no_trust(home, tmp_path):
    command(home, "share", "digits", tmp_path / "digits.sweep")
    command(tmp_path / "other", "import", tmp_path / "digits.sweep")
    assert "it needs no trust" in command(tmp_path / "other", "trust", "digits")


@every_home
def test_the_doctor_finds_nothing_that_numbers_depend_on(home):
    assert "all is well" in command(home, "doctor")


def test_former_names_are_those_of_today(home):
    assert sweeps.load("digits", home).info.fingerprint["order"] == "number"
    for name, trial in (("digits", 7), ("bowl", 10)):
        state = store_of(home, name).state()
        assert [point.origin for point in state.points.values()] == ["enqueued"]
        assert [*state.tried.values()] == [trial]
        assert "finalize" not in sweeps.load(name, home).info.space["defaults"]


@pytest.mark.slow
def test_a_flipped_bit_does_not_demote_the_confirmed_champion(home):
    trained_in, champion = the_champion(home)
    journal = trained_in.journal.path
    number = trained_in.state().ended[champion].number
    flip_a_bit(journal, journal.read_bytes().index(b'"number":%d,' % number))
    before = champions(home)
    ran = CliRunner().invoke(app, ["sync", "--home", str(home)])
    damaged = f"{journal}: event {number} is damaged"
    assert damaged in ran.stderr
    assert champions(home) == before
    assert damaged in command(home, "doctor", code=1)


@pytest.mark.slow
def test_damaged_weights_of_the_champion_are_said_where_they_are_needed(home):
    trained_in, champion = the_champion(home)
    weights = trained_in.weights_path(champion)
    flip_a_bit(weights, weights.stat().st_size // 2)
    client = mlflow_client(home)
    for model in client.search_registered_models("name LIKE 'digits%'"):
        client.delete_registered_model(model.name)
    ran = CliRunner().invoke(app, ["sync", "digits", "--home", str(home)])
    assert str(weights) in ran.stderr
    assert str(weights) in command(home, "doctor", "digits", code=1)


def the_champion(home):
    """Return the records of the sweep that trained the champion, and the key of its attempt."""
    chosen = stored(home).confirmed()
    return Home.resolve(home).store(chosen.trained_in), chosen.champion


def flip_a_bit(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.unlink()  # the copy of a home may have it by a link
    file.write_bytes(content)


def mlflow_client(home):
    from sweeps.tracking.store import open_client

    return open_client(f"sqlite:///{home}/mlflow.db")


def champions(home):
    found = mlflow_client(home).search_registered_models()
    return {model.name: dict(model.aliases) for model in found}


@pytest.mark.slow
def test_a_lost_store_of_runs_is_filled_again(home):
    (home / "mlflow.db").unlink()
    command(home, "sync")
    assert "all is well" in command(home, "doctor")


@pytest.mark.slow
@every_home
@pytest.mark.parametrize("name", ["bowl", "trade"])
def test_a_sweep_goes_on_with_the_same_trials(home, expected, name):
    command(home, *GOES_ON[name], "--trials", CONTINUED[name])
    assert as_stored(rows_of(home, name)) == as_stored(expected["continued"][name])


@pytest.mark.slow
def test_a_confirmation_is_known_again_and_trains_nothing(home, expected):
    before = {info.name: len(rows_of(home, info.name)) for info in Home.resolve(home).sweeps()}
    words = ("confirm", "digits", "--top", "2", "--folds", "8", "--workers", "1", "--json")
    told = json.loads(command(home, *words))
    for name, stored_as in (("confirmation",) * 2, ("settled",) * 2, ("champion", "recommended")):
        assert told[name] == expected["finalized"][stored_as]
    assert {i.name: len(rows_of(home, i.name)) for i in Home.resolve(home).sweeps()} == before
    kept = stored(home).confirmed()
    assert not [one for one in kept.conclusions if isinstance(one, WordedConclusion)]


WOULD_TRAIN = {
    (*RUN_DIGITS, "--trials", "9"): "--name digits-2; or .*: --extend",
    (*RUN_DIGITS, "--trials", "9", "--same-code"): "--name digits-2; or .*: --extend",
    ("retry", "digits"): "Nothing can be retried; `sweeps run` of it with --extend",
    ("replay", "digits", "0"): "in another sweep .* or in a new generation",
    ("replay", "digits", "0", "--engine", "keras"): "in another sweep .* or in a new generation",
    ("confirm", "digits", "--top", "3"): "compared by trainings of today: --same-code",
    ("confirm", "digits", "--refit"): "compared by trainings of today: --same-code",
}


@pytest.mark.parametrize("words", WOULD_TRAIN, ids=" ".join)
def test_what_would_train_by_the_engine_that_is_gone_is_refused_in_one_line(home, words):
    (info,) = (info for info in Home.resolve(home).sweeps() if info.name == "digits")
    engines = [r.result.engine for r in trained_in(home, info) if r.result is not None]
    assert set(engines) == {"fused"}
    before = {info.name: len(rows_of(home, info.name)) for info in Home.resolve(home).sweeps()}
    ran = CliRunner().invoke(app, [*words, "--home", str(home)])
    *_, last = ran.output.strip().splitlines()
    assert ran.exit_code == 2
    assert re.fullmatch(f"error: .*revision.*2 now.*{WOULD_TRAIN[words]}.*", last)
    assert {i.name: len(rows_of(home, i.name)) for i in Home.resolve(home).sweeps()} == before


def trained_in(home, info):
    store = Home.resolve(home).store(info.id)
    return [store.read(record.key) for record in store.read_all()]


@pytest.mark.slow
def test_its_trials_are_prior_trials_of_a_new_generation(home):
    command(home, *RUN_DIGITS, "--trials", "9", "--extend")
    info = sweeps.load("digits", home).info
    log = (Home.resolve(home).store(info.id).folder / "sweep.log").read_text(encoding="utf-8")
    assert "8 of 8 earlier trials lie in the new space" in log
    *_, last = trained_in(home, info)
    assert info.generation == 2
    assert (last.trial, last.result.engine) == (8, "compiled")
    command(home, *RUN_DIGITS, "--trials", "9")  # it is one of today now


@pytest.mark.slow
@pytest.mark.tensorflow
class TestRebuilt:
    """What is built anew by TensorFlow."""

    def test_the_champion_is_exported_and_answers_as_recorded(self, home, tmp_path):
        command(home, "export", "digits", tmp_path / "model")
        facts = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
        assert facts["checked"].startswith("Its answers to ")
        assert (tmp_path / "model" / "model.keras").exists()


@pytest.mark.parametrize("made_by", ["a482ec2f"], indirect=True)
class TestOfASmallHome:
    """A home of the last version that kept files in place of a journal."""

    def test_a_script_goes_on_with_the_same_trials(self, home, expected):
        command(home, *GOES_ON["slope"], "--trials", CONTINUED["slope"])
        assert as_stored(rows_of(home, "slope")) == as_stored(expected["continued"]["slope"])

    def test_its_points_have_the_trials_that_they_had_and_the_last_one_waits(self, home):
        state = store_of(home, "slope").state()
        trials = {one.params["rate"]: state.tried.get(n) for n, one in state.points.items()}
        assert trials == {0.3: 6, 0.31: 7, 0.32: None}

    def test_the_trial_that_was_to_be_run_again_has_its_later_outcome(self, home):
        state = store_of(home, "bowl").state()
        assert [one.attempts for one in state.retried] == [("0006-2",)]
        assert {one.key for one in state.ended.values() if one.trial == 6} == {
            "0006-1", "0006-2", "0006-3", "0006-4",
        }  # fmt: skip

    def test_the_confirmation_is_known_again_and_trains_nothing(self, home, expected):
        before = {name: len(rows_of(home, name)) for name in expected["sweeps"]}
        told = json.loads(command(home, *CONFIRMS["slopes"]))
        wanted = copy.deepcopy(expected["confirmed"])
        for name in ("confirmation", "champion", "settled"):
            assert told[name] == wanted[name]
        scores = [one.pop("accuracy") for one in told["standings"]]
        before_scores = [one.pop("accuracy") for one in wanted["standings"]]
        assert told["standings"] == wanted["standings"]
        scores, before_scores = [*scores, told["quotable"]], [*before_scores, wanted["quotable"]]
        for score, before_score in zip(scores, before_scores, strict=True):  # on its scale today
            within = Interval(**before_score).within(told["metric"])
            ends = pytest.approx(within.ends, rel=1e-9)
            assert (score["value"], (score["low"], score["high"])) == (within.value, ends)
        assert {name: len(rows_of(home, name)) for name in before} == before

    def test_the_confirmation_before_comes_back(self, home):
        records = Conclusions(store_of(home, "slope"))
        confirmed, before = records.confirmed(), records.before()
        assert (confirmed.top, before.top) == (2, 1)
        records.keep(before)
        assert (records.confirmed(), records.before()) == (before, confirmed)

    def test_the_files_of_a_script_are_there(self, home):
        store = store_of(home, "slope")
        assert all("output/model.json" in store.files(record) for record in store.read_all())

    def test_what_was_imported_teaches_and_what_was_archived_is_hidden(self, home):
        state = store_of(home, "taught").state()
        assert [one.values for one in state.imported.trials] == [(0.2,), (0.05,), (0.01,)]
        assert state.is_archived
        assert "taught" not in command(home, "list")


def store_of(home, name):
    return Home.resolve(home).store(sweeps.load(name, home).info.id)
