"""A home of an earlier version is taken over: all of it, once, and nothing of it is lost."""

import errno
import fcntl
import hashlib
import io
import json
import math
import os
import random
import shutil
import signal
import tarfile
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.journal.events import Renamed
from sweeps.manage.former import KEPT, _named, take_over
from sweeps.records.arrays import pack_arrays, unpack_arrays
from sweeps.records.evaluations import Entry, Evaluation, Evaluations
from sweeps.runner.budget import time_used
from sweeps.tracking.store import open_client
from tests.homes import copy_home, whole_records
from tests.sweeps.launching import Launched

GOLDEN = Path(__file__).parents[2] / "golden"
ROWS = {"bowl": 11, "trade": 8, "slope": 8, "slope-confirmation": 16, "slope-confirmation-2": 24,
        "taught": 3}  # fmt: skip


@pytest.fixture(scope="session")
def _unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("former")
    with tarfile.open(GOLDEN / "home-a482ec2f.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(_unpacked, tmp_path):
    """A former home, as the last version with side files wrote it."""
    shutil.copytree(_unpacked / "home" / "records", tmp_path / "old" / "records")
    return tmp_path / "old"


@pytest.fixture
def tracked_old(_unpacked, tmp_path, monkeypatch):
    """The same with its runs in MLflow, and the experiments that it names."""
    copy_home(_unpacked / "home", tmp_path / "old", Path("/golden/home"))
    for file in (tmp_path / "old" / "records").glob("*/*.json"):
        file.write_text(file.read_text().replace('"/golden/spaces"', f'"{_unpacked / "spaces"}"'))
    monkeypatch.syspath_prepend(str(_unpacked / "spaces"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "old"


def taken(home, old):
    """Take over a home; return the lines about what was left out."""
    left_out = []
    take_over(Home(home), old, lambda line: None, left_out.append)
    return left_out


def folder_of(old, name):
    """Return the former folder of a sweep."""
    files = (old / "records").glob("*/sweep.json")
    return next(file.parent for file in files if json.loads(file.read_text())["name"] == name)


def rows(home):
    return {info.name: len(sweeps.load(info.name, home).rows()) for info in Home(home).sweeps()}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digests(folder):
    """Return the digest of each file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(content).hexdigest()
        for path, content in contents(folder).items()
    }


def test_in_place_the_former_files_stay_as_they_are_under_another_name(old):
    before = digests(old / "records")
    assert taken(old, old) == []
    assert rows(old) == ROWS
    assert digests(old / KEPT) == before
    assert sorted(path.name for path in old.iterdir()) == [KEPT, "sweeps"]
    names = {path.name for path in (old / "sweeps").iterdir()}
    assert names == {path.name for path in (old / KEPT).iterdir()}


def test_elsewhere_the_former_home_stays_as_it_is(old, tmp_path):
    before = digests(old)
    assert taken(tmp_path / "new", old) == []
    assert rows(tmp_path / "new") == ROWS
    assert digests(old) == before


def test_weights_and_files_are_the_same_bytes_and_arrays_the_same_numbers(old):
    taken(old, old)
    found = Counter()
    for info in Home(old).sweeps():
        store, former = Home(old).store(info.id), old / KEPT / info.id
        for record in whole_records(store):
            key = record.key
            for ending, path in (
                ("weights", store.weights_path(key)),
                ("files", store.files_path(key)),
            ):
                if (former / f"{key}.{ending}").exists():
                    assert path.read_bytes() == (former / f"{key}.{ending}").read_bytes()
                    found[ending] += 1
            written = members_of(former / f"{key}.record")
            arrays = record.result.arrays if record.result else {}
            assert arrays.keys() == {name[7:] for name in written if name.startswith("arrays/")}
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, written[f"arrays/{name}"], strict=True)
                found["arrays"] += 1
            if record.weights_sha256 is not None:
                assert store.weights(record)
    assert min(found.values()) >= 10


def test_on_another_file_system_weights_and_files_are_copied(old, tmp_path, monkeypatch):
    def refuse(source, target, **options):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(target))

    monkeypatch.setattr(os, "link", refuse)
    assert taken(tmp_path / "new", old) == []
    for kind, suffix in (("weights", "weights.npz"), ("files", "files.zip")):
        copied = sorted((tmp_path / "new" / "sweeps").glob(f"*/trials/*.{suffix}"))
        former = sorted((old / "records").glob(f"*/*.{kind}"))
        assert [path.read_bytes() for path in copied] == [path.read_bytes() for path in former]
        assert len(copied) >= 10
        assert {path.stat().st_nlink for path in [*copied, *former]} == {1}


def members_of(record):
    return unpack_arrays(io.BytesIO(record.read_bytes().partition(b"\n")[2]))


def test_a_search_that_names_the_former_metric_keeps_its_own():
    said = b'{"objective": "best_val_accuracy", "confirm": {"metric": "%s"}}'
    assert _named(said % b"block_accuracy") == said % b"best_val_accuracy"
    kept = b'{"metrics": {"block_accuracy": 0.9, "best_val_accuracy": 0.8}}'
    assert _named(kept) == b'{"metrics": {"best_val_accuracy": 0.9, "inner_accuracy": 0.8}}'


def test_a_second_time_nothing_is_doubled(old, tmp_path):
    taken(tmp_path / "new", old)
    before = digests(tmp_path / "new")
    said = []
    take_over(Home(tmp_path / "new"), old, said.append, pytest.fail)
    assert sorted(said) == sorted(f"sweep {name!r} is here already" for name in ROWS)
    assert digests(tmp_path / "new") == before
    taken(old, old)
    with pytest.raises(UsageError, match=f"were taken over, see {KEPT}/"):
        taken(old, old)


def test_a_sweep_whose_name_is_taken_is_named_and_comes_once_that_is_renamed(
    old, run_toy, make_home
):
    run_toy(name="bowl", trials=1)
    (line,) = taken(make_home(), old)
    assert "there is another sweep 'bowl'" in line
    sweeps.load("bowl", make_home())
    Home(make_home()).store(Home(make_home()).get("bowl").id).append(Renamed("toy"))
    assert taken(make_home(), old) == []
    assert rows(make_home()) == {**ROWS, "toy": 1}


@pytest.mark.slow
@pytest.mark.parametrize("point", ["import.unpacked", "import.unpacked:4", "import.done:6"])
def test_killed_in_between_the_same_command_goes_on_and_doubles_nothing(tracked_old, point):
    runs = runs_of(tracked_old)
    words = ["import", str(tracked_old), "--home", str(tracked_old)]
    assert Launched(words, {"SWEEPS_FAILPOINT": point}).wait() == -signal.SIGKILL
    refused = CliRunner().invoke(app, ["list", "--home", str(tracked_old)])
    assert (refused.exit_code, refused.stdout) == (2, "")
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.count(" is here") == len(ROWS)
    assert rows(tracked_old) == ROWS
    assert not list((tracked_old / "sweeps").glob(".*"))
    assert runs_of(tracked_old) == runs


def runs_of(home):
    """Return the ids of the runs in MLflow, and how each ended."""
    client = open_client(f"sqlite:///{home}/mlflow.db")
    places = [one.experiment_id for one in client.search_experiments()]
    return {run.info.run_id: run.info.status for run in client.search_runs(places)}


@pytest.mark.slow
def test_elsewhere_its_runs_are_made_anew(tracked_old, tmp_path, migrated_database):
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(migrated_database, new / "mlflow.db")
    ran = CliRunner().invoke(app, ["import", str(tracked_old), "--home", str(new)])
    assert ran.exit_code == 0, ran.output
    states = [Home(new).store(info.id).state() for info in Home(new).sweeps()]
    shown = [state for state in states if not state.is_archived]
    attempts = sum(len(state.ended) for state in shown)
    assert len(runs_of(new)) == len(shown) + attempts
    assert not (tracked_old / "sweeps").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_record_and_damaged_weights_are_named_and_the_rest_arrives(old):
    folder = folder_of(old, "bowl")
    flip(folder / "0003-1.record")
    flip(folder / "0001-1.weights")
    lines = taken(old, old)
    assert [line.split(": ")[0] for line in lines] == [
        str(folder / "0001-1.weights"), str(folder / "0003-1.record"),
    ]  # fmt: skip
    assert rows(old) == {**ROWS, "bowl": 10}
    store = Home(old).store(folder.name)
    assert {"0001-1", "0006-4"} < store.state().ended.keys()
    with pytest.raises(UsageError, match="are not kept"):
        store.weights(store.read("0001-1"))


def test_the_command_says_what_is_left_out_and_fails(tracked_old):
    flip(folder_of(tracked_old, "trade") / "0003-1.record")
    ran = CliRunner().invoke(app, ["import", str(tracked_old), "--home", str(tracked_old)])
    assert ran.exit_code == 1
    assert "0003-1.record: left out (torn, altered, or of another format)" in ran.stderr
    assert rows(tracked_old) == {**ROWS, "trade": 7}


SIDE_FILES = {
    "slope": ["starts.json", "ending.json", "notes.json", "code-1.json", "confirmation.json",
              "confirmation-before.json", "enqueued-0003.json", "enqueued-0001.trial", "asked"],
    "taught": ["imported.json"],
    "bowl": ["retry-1.json"],
}  # fmt: skip


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"trial": -1, "fold": "x"}', b"null", b"\xff", b"[" * 9999],
    ids=["empty", "torn", "list", "lies", "null", "garbled", "deep"],
)  # fmt: skip
def test_an_unreadable_side_file_is_named_and_the_rest_arrives(old, content):
    files = [folder_of(old, name) / file for name, names in SIDE_FILES.items() for file in names]
    for file in files:
        file.write_bytes(content)
    named = {line.split(": ")[0] for line in taken(old, old)}
    assert named == {str(file) for file in files}
    assert rows(old) == ROWS


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_costs_no_more_than_the_file_that_it_is_in(old, seed):
    choose = random.Random(seed)
    kinds = ("*.record", "*.weights", "*.files", "*.json", "*.trial", "journal.jsonl")
    files = sorted(path for kind in kinds for path in (old / "records").glob(f"*/{kind}"))
    hurt = choose.sample([path for path in files if path.name != "sweep.json"], 40)
    for file in hurt:
        content = bytearray(file.read_bytes())
        content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
        file.write_bytes(content)
    taken(old, old)
    records = Counter(path.parent.name for path in hurt if path.suffix == ".record")
    generations = {path.parent.name for path in hurt if path.name.startswith("generation")}
    for sweep in old.joinpath(KEPT).iterdir():
        there = (old / "sweeps" / sweep.name).exists()
        assert there or sweep.name in generations
        if there:
            whole = len(list(sweep.glob("*.record"))) - records[sweep.name]
            assert len(whole_records(Home(old).store(sweep.name))) == whole


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_named_and_the_rest_arrives(old, kind):
    file = folder_of(old, "slope") / "notes.json"
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)
    (line,) = taken(old, old)
    assert line.startswith(f"{file}: left out (")
    assert rows(old) == ROWS


def change(path, changes):
    """Change members of a record, by dotted names, and seal it again."""
    members = members_of(path)
    document = json.loads(members["record.json"].tobytes())
    for dotted, value in changes.items():
        *parents, name = dotted.split(".")
        place = document
        for parent in parents:
            place = place[parent]
        place[name] = value
    members["record.json"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    seal(path, pack_arrays(members))


def seal(path, payload, version=2):
    digest = hashlib.sha256(payload).hexdigest()
    path.write_bytes(f"sweeps-record {version} {digest} {len(payload)}\n".encode() + payload)


LIES = {
    "another trial": {"spec.trial": 4},
    "a trial below zero": {"spec.trial": -3},
    "another sweep": {"spec.sweep": "20260101-00000000"},
    "a seed in words": {"spec.seed": "three"},
    "an unknown outcome": {"outcome": "splendid"},
    "complete without a result": {"result": None},
    "an objective that is no number": {"objective": math.nan},
    "a value outside of its distribution": {"params.x": 77.0},
    "a parameter without distribution": {"params.z": 1.0},
    "a distribution of nothing": {"distributions.x": '{"name": "Nothing", "attributes": {}}'},
    "a distribution that is no text": {"distributions.x": 3},
    "a metric of many lines": {"result.metrics": {"a\nb": 1.0}},
    "a history of texts": {"result.history": {"val_height": ["high"]}},
    "data that are a list": {"data": ["bowl"]},
    "packages that are numbers": {"environment.packages": {"numpy": 2}},
    "a time before 1970": {"started_at": -1},
    "an unknown member": {"praise": "high"},
    "a digest of nothing": {"weights_sha256": "none"},
    "a configuration that is a text": {"spec.config": "x=1"},
    "no specification": {"spec": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_that_lies_is_named_and_the_rest_arrives(old, lie):
    record = folder_of(old, "bowl") / "0003-1.record"
    change(record, LIES[lie])
    (line,) = taken(old, old)
    assert line.startswith(f"{record}: left out (")
    assert rows(old) == {**ROWS, "bowl": 10}


@pytest.mark.parametrize(
    "payload", [b"", b"PK", pack_arrays({"record.json": np.frombuffer(b"{}", np.uint8)})],
    ids=["nothing", "no archive", "no record"],
)  # fmt: skip
def test_a_sealed_file_that_is_no_record_is_named(old, payload):
    record = folder_of(old, "bowl") / "0003-1.record"
    seal(record, payload)
    (line,) = taken(old, old)
    assert line.startswith(f"{record}: left out (")


def test_a_record_of_a_later_version_is_named(old):
    record = folder_of(old, "bowl") / "0003-1.record"
    seal(record, record.read_bytes().partition(b"\n")[2], version=3)
    (line,) = taken(old, old)
    assert line.startswith(f"{record}: left out (torn, altered, or of another format)")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "20260101-00000000"}, {"version": 3}, {"name": "../bowl"}, {"name": 7},
        {"fingerprint": []}, {"space": {"body": 3}}, {"created_at": "today"}, {"data": None},
        {"direction": "sideways"}, {"praise": 1}, {"other_objectives": [{"metric": 1}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_sweep_that_lies_is_named_and_the_others_arrive(old, changes):
    file = folder_of(old, "trade") / "sweep.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    (line,) = taken(old, old)
    assert line.startswith(f"{file.parent}: left out (")
    assert rows(old) == {name: count for name, count in ROWS.items() if name != "trade"}
    assert (old / KEPT / file.parent.name / "sweep.json").exists()
    assert not list((old / "sweeps").glob(".*"))


@pytest.mark.parametrize("file", ["sweep.json", "generation-2.json"])
def test_a_sweep_without_what_it_is_stays_where_it_was(old, file):
    folder = folder_of(old, "bowl")
    (folder / file).write_bytes(b"{")
    (line,) = taken(old, old)
    assert line.startswith(f"{folder}: left out (")
    assert rows(old) == {name: count for name, count in ROWS.items() if name != "bowl"}


def test_a_lost_generation_is_named(old):
    folder = folder_of(old, "bowl")
    (folder / "generation-2.json").rename(folder / "generation-3.json")
    (line,) = taken(old, old)
    assert "generation-2.json" in line


def test_a_trial_that_was_cut_off_keeps_the_number_of_its_attempt(old):
    folder = folder_of(old, "slope")
    (folder / "0007-1.record").unlink()
    taken(old, old)
    state = Home(old).store(folder.name).state()
    assert (state.asked[7].attempt, state.asked[7].point, max(state.asked)) == (1, 2, 7)


def test_points_of_a_version_without_a_journal_have_the_trials_that_tried_them(old):
    folder = folder_of(old, "slope")
    (folder / "journal.jsonl").unlink()
    (folder / "enqueued-0002.json").rename(folder / "hunch-0002.json")
    (folder / "enqueued-0002.trial").rename(folder / "hunch-0002.slot")
    assert taken(old, old) == []
    state = Home(old).store(folder.name).state()
    assert (sorted(state.points), state.tried) == ([1, 2, 3], {1: 6, 2: 7})


def test_a_budget_counts_the_time_that_was_noted(old, tmp_path):
    folder = folder_of(old, "slope")
    noted = json.loads((folder / "starts.json").read_text())
    taken(tmp_path / "noted", old)
    assert used(tmp_path / "noted") == pytest.approx(sum(one["seconds"] for one in noted))


def used(home):
    return time_used(Home(home), Home(home).get("slope"))


def test_evaluations_of_a_test_set_come_along_and_those_of_one_that_is_known_are_named(
    old, tmp_path
):
    for home, names in ((old, ("known", "new")), (tmp_path / "home", ("known",))):
        for name in names:
            (home / "test" / name).mkdir(parents=True)
            (home / "test" / name / f"{home.name}.json").write_text('{"metric": "mae"}')
    (line,) = taken(tmp_path / "home", old)
    assert line.startswith(f"{old / 'test' / 'known'}: left out (the home has other evaluations")
    found = sorted(
        str(path.relative_to(tmp_path / "home/test")) for path in contents(tmp_path / "home/test")
    )
    assert found == ["known/home.json", "new/old.json"]
    (again,) = taken(tmp_path / "home", old)
    assert again == line


@pytest.mark.parametrize("is_in_place", [True, False])
@pytest.mark.parametrize("was", [{}, {"metric": "block_accuracy"}])
def test_scores_of_networks_by_their_logits_are_those_by_the_accuracy_of_each_sample(
    old, tmp_path, is_in_place, was
):
    digest, entry = (
        "ab" * 32,
        Entry("s", "s", "winner", "trial-1", "c", ["0000-1", "0001-1"], ["w"] * 2),
    )
    folder = old / "test" / digest[:16]
    folder.mkdir(parents=True)
    for number in (1, 2):  # the second was not scored yet
        found = Evaluation(number, digest, 0, "", [entry], ["accuracy"], "block_accuracy")
        document = {n: v for n, v in msgspec.to_builtins(found).items() if n != "metric"} | was
        (folder / f"000{number}.json").write_text(json.dumps(document))
    right = np.array([[True, False, True], [True, True, False]])
    former = {"labels": np.arange(3), "correct_0": right, "logits_0": np.zeros((2, 3, 2))}
    (folder / "0001.npz").write_bytes(pack_arrays(former))
    (folder / "0000.json").write_text("[]")  # comes first, and is damaged
    home = old if is_in_place else tmp_path / "home"
    for _ in range(1 if is_in_place else 2):  # again it changes nothing
        (line,) = taken(home, old)
        assert line.startswith(f"{home / 'test' / digest[:16] / '0000.json'}: left out (")
        (home / "test" / digest[:16] / "0000.json").rename(tmp_path / "damaged.json")
        scored, asked = Evaluations(home / "test" / digest[:16]).all()
        assert (scored.metric, scored.list_digest) == ("best_val_accuracy", found.list_digest)
        kept = Evaluations(home / "test" / digest[:16])
        assert np.array_equal(scored.outcomes(kept.scores(scored), 0), right)
        assert kept.scores(asked) is None
        assert not kept.damage()
        shutil.copy(tmp_path / "damaged.json", home / "test" / digest[:16] / "0000.json")


def test_a_sweep_that_an_earlier_version_runs_now_is_not_taken_over(old):
    before = digests(old)
    with (folder_of(old, "trade") / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="works on it; end that first"):
            taken(old, old)
    assert digests(old) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "other"], "without --name"),
        (["--storage", "postgresql://host/sweeps"], "without --storage"),
        (["--seed", "3"], "--seed"),
    ],
)
def test_what_has_no_meaning_for_a_home_is_refused(old, words, said):
    before = digests(old)
    ran = CliRunner().invoke(app, ["import", str(old), "--home", str(old), *words])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert digests(old) == before


def test_a_folder_that_is_no_former_home_is_refused(tmp_path):
    ran = CliRunner().invoke(app, ["import", str(tmp_path), "--home", str(tmp_path / "home")])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "no home of an earlier version, which has records/" in ran.stderr
    assert not (tmp_path / "home").exists()


NEEDS = {
    "run": ["TOY"], "plan": ["TOY"], "enqueue": ["slope", "rate=0.2"], "export": ["slope", "out"],
    "share": ["slope", "out"], "rename": ["slope", "hill"],
    "delete": ["slope", "--yes"], "replay": ["slope", "0"], "note": ["slope", "steep"],
    "compare": ["slope", "bowl"], "import": ["nowhere.sweep"], "list": [], "status": [],
    "confirm": ["slope"], "retry": ["slope"], "ui": [], "doctor": ["--fix"], "sync": [],
}  # fmt: skip
"""Words of each command; that of others is the name of a sweep."""


@pytest.mark.parametrize("name", sorted(get_command(app).commands.keys() - {"init"}))
def test_every_command_refuses_a_former_home_and_creates_nothing(
    name, old, toy_space, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = digests(tmp_path)
    words = [str(toy_space) if word == "TOY" else word for word in NEEDS.get(name, ["slope"])]
    ran = CliRunner().invoke(app, [name, *words, "--home", str(old)])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"error: home {old} was written by an earlier version; take its sweeps over first: "
        f"`sweeps import {old} --home {old}` (docs/upgrading.md)\n"
    )
    assert digests(tmp_path) == before


def test_results_found_elsewhere_are_not_imported_into_a_former_home(old, toy_space, tmp_path):
    (tmp_path / "found.csv").write_text("x,layers,kind,score\n0.1,0,a,0.5\n")
    before = digests(old)
    words = ["import", str(tmp_path / "found.csv"), "--space", str(toy_space), "--home", str(old)]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 2
    assert "was written by an earlier version" in ran.stderr
    assert digests(old) == before


@pytest.mark.parametrize(
    "use",
    [
        lambda home, space: sweeps.run(space, home=home, trials=1),
        lambda home, space: sweeps.load("slope", home),
        lambda home, space: sweeps.enqueue("slope", {"rate": 0.2}, home=home),
    ],
    ids=["run", "load", "enqueue"],
)
def test_python_refuses_a_former_home(use, old, toy_space):
    before = digests(old)
    with pytest.raises(UsageError, match="was written by an earlier version"):
        use(old, str(toy_space))
    assert digests(old) == before
