"""Confusion matrices: one of each run, the best in the image grid; also the data and the table."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweeps.home import Home
from sweeps.journal.events import Record
from sweeps.records import Conclusions, ConfirmationRecord
from sweeps.render.confusion import SMALL, draw_confusion
from sweeps.tracking import pictures as pictures_module
from sweeps.tracking.content import (
    TABLE_TAGS,
    TRIALS_TABLE,
    SweepNote,
    dataset_key,
    table_json,
)
from sweeps.tracking.pictures import (
    LOGGED_IMAGES,
    MATRIX,
    PICTURES,
    THUMBNAIL_PIXELS,
    Pictures,
    encode,
    pictured,
    plan_pictures,
    with_matrix,
)
from sweeps.tracking.projection import Projection
from sweeps.tracking.runs import log_dataset, search
from sweeps.tracking.store import IncompleteError, open_client
from sweeps.workspace import failpoints
from tests.sweeps.factories import DATA, SWEEP_ID, altered, make_info, make_record

INFO = make_info()
NAME = re.compile(
    r"confusion_matrix\+step\+(\d+)\+timestamp\+\d+\+(\d{4}-\d)(\.png|\+compressed\.webp)"
)


def ranked_records(number: int, epochs: int = 3) -> list[Record]:
    """Return records of which each is a little worse than the one before."""
    records = [make_record(trial, epochs=epochs) for trial in range(number)]
    return [altered(r, objective=0.9 - r.trial / 100) for r in records]


def projected(projection: Projection, records: list[Record]) -> list[Record]:
    projection.start_sweep(INFO, SweepNote())
    for record in records:
        projection.project(INFO, record, {})
    return records


def show(projection: Projection, best: list[Record]) -> None:
    projection.arrange(INFO, Pictures(INFO, lambda: best).show)


def runs(home: Path) -> dict[str, Any]:
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    found = search(client, "1", {"sweep_id": SWEEP_ID, "kind": "trial"})
    return {run.data.tags["trial"]: run for run in found}


def pictures(home: Path) -> dict[str, dict[str, bytes]]:
    """Return the files in each run's folder of images."""
    folders = {key: Path(run.info.artifact_uri[7:]) / "images" for key, run in runs(home).items()}
    return {
        key: {path.name: path.read_bytes() for path in folder.glob("*")}
        for key, folder in folders.items()
        if folder.exists()
    }


@pytest.fixture
def home(home: Path, tmp_path: Path) -> Path:
    return home.rename(tmp_path / "home")  # file addresses without quoting


@pytest.mark.parametrize("classes", [1, 2, 10, 26, 400])
def test_a_matrix_of_any_size_has_a_small_thumbnail(classes: int) -> None:
    counts, names = np.eye(classes, dtype=np.uint16) * 7, [f"name {n}" for n in range(classes)]
    pictures = [draw_confusion(counts, names, "1. epoch 1/2, 100%", SMALL) for _ in range(2)]
    assert encode(pictures[0]) == encode(pictures[1])
    png, webp = (Image.open(io.BytesIO(data)) for data in encode(pictures[0]))
    assert (png.format, webp.format) == ("PNG", "WEBP")
    assert max(webp.size) == THUMBNAIL_PIXELS
    assert max(png.size) < 600


def test_a_matrix_is_drawn_of_an_attempt_that_has_counts_and_no_picture_of_them() -> None:
    record = make_record()
    assert record.result is not None
    files = with_matrix(record, {"curves.png": b"curves"})
    assert list(files) == ["curves.png", MATRIX]
    assert files[MATRIX] == with_matrix(record, {})[MATRIX]
    assert Image.open(io.BytesIO(files[MATRIX])).format == "PNG"
    assert with_matrix(record, {MATRIX: b"its own"}) == {MATRIX: b"its own"}
    for change in ({"outcome": "diverged"}, {"arrays": {}}):
        result = dataclasses.replace(record.result, **change)  # type: ignore[arg-type]
        assert with_matrix(altered(record, result=result), {}) == {}
    failed = altered(record, result=None, outcome="failed", objective=None, error="no")
    assert with_matrix(failed, {}) == {}


def test_all_runs_share_the_steps_of_the_slider_and_end_with_their_kept_weights() -> None:
    long, short = make_record(0, epochs=30), make_record(1, epochs=4)
    for record, best in ((long, 17.0), (short, 3.0)):
        assert record.result is not None
        record.result.metrics["best_epoch"] = best  # type: ignore[index]
    plans = plan_pictures([long, short])
    assert list(plans["0000-1"].epochs) == list(plans["0001-1"].epochs)
    assert list(plans["0000-1"].epochs.values()) == [1, 8, 16, 23, 30, 17]
    assert list(plans["0001-1"].epochs.values()) == [1, 3, 3, 3, 3, 3]
    assert list(plans["0000-1"].epochs)[-1] == 31
    assert str(plans["0001-1"]).startswith("best 2, 1:1 8:3")


def test_few_epochs_are_all_shown_and_ten_runs_at_most() -> None:
    plans = plan_pictures(ranked_records(12))
    assert list(plans) == [f"{trial:04d}-1" for trial in range(10)]
    assert list(plans["0000-1"].epochs) == [1, 2, 3, 4]
    assert plan_pictures([]) == {}


def test_showing_again_adds_nothing_and_a_lost_store_gets_the_same(
    home: Path, projection: Projection
) -> None:
    records = projected(projection, ranked_records(3))
    show(projection, records)
    first = pictures(home)
    assert set(first) == {"0000-1", "0001-1", "0002-1"}
    for key, files in first.items():
        steps = [match[1] for name in files if (match := NAME.fullmatch(name)) and match[2] == key]
        assert sorted(steps) == [str(step) for step in (1, 2, 3, 4) for _ in range(2)]
    tags = runs(home)["0001-1"].data.tags
    assert tags[LOGGED_IMAGES] == "true"
    assert tags[PICTURES].startswith("best 2, 1:1 2:2 3:3 4:")
    show(projection, records)
    assert pictures(home) == first
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    for run in runs(home).values():
        client.delete_tag(run.info.run_id, PICTURES)  # as if killed before the last word
    show(projection, records)
    assert pictures(home) == first


@pytest.mark.slow
def test_a_run_that_is_no_longer_among_the_best_loses_its_pictures(
    home: Path, projection: Projection
) -> None:
    records = projected(projection, ranked_records(12))
    show(projection, records[2:])
    assert len(pictures(home)) == 10
    show(projection, records[:10])
    shown = {key for key, files in pictures(home).items() if files}
    assert shown == {f"{trial:04d}-1" for trial in range(10)}
    tags = runs(home)["0011-1"].data.tags
    assert PICTURES not in tags
    assert LOGGED_IMAGES not in tags


def test_a_confirmed_champion_comes_first_whatever_its_rank_in_the_search_is(
    tmp_path: Path,
) -> None:
    store = Home(tmp_path).store(SWEEP_ID)
    store.begin(INFO)
    for record in ranked_records(14):
        store.write(record)
    best = [record.trial for record in pictured(store, INFO, store.read_all())]
    assert best == [*range(10)]
    for champion, others in ((3, [0, 1, 2, *range(4, 10)]), (12, [*range(9)])):
        key = f"{champion:04d}-1"
        confirmed = ConfirmationRecord(SWEEP_ID, SWEEP_ID, key, f"trial-{champion}")
        Conclusions(store).keep(confirmed)
        best = [record.trial for record in pictured(store, INFO, store.read_all())]
        assert best == [champion, *others]


def test_pictures_of_an_earlier_plan_are_replaced(home: Path, projection: Projection) -> None:
    short, long = make_record(0, epochs=3), make_record(1, epochs=30)
    projected(projection, [short, long])
    show(projection, [short])
    show(projection, [long, short])
    steps = {int(NAME.fullmatch(name)[1]) for name in pictures(home)["0000-1"]}  # type: ignore[index]
    assert steps == set(plan_pictures([long, short])["0000-1"].epochs)


@pytest.mark.parametrize("point", ["picture.begun:2", "picture.filed:2"])
def test_interrupted_anywhere_the_next_start_completes_them(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    records = projected(projection, ranked_records(3))
    monkeypatch.setenv(failpoints.VARIABLE, f"{point}:raise")
    failpoints._armed.cache_clear()
    with pytest.raises(OSError, match="fail-point"):
        show(projection, records)
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()
    show(projection, records)
    assert [len(files) for files in pictures(home).values()] == [8, 8, 8]
    assert all(PICTURES in run.data.tags for run in runs(home).values())


def test_pictures_are_drawn_from_their_beginning_on_and_once_more_after_an_error(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = projected(projection, ranked_records(2))
    drawn: list[str] = []
    draw = pictures_module._files

    def fail_at_first(record: Record, plan: Any) -> dict[str, bytes]:
        drawn.append(record.key)
        if len(drawn) == 1:
            raise OSError("no file descriptor is free")
        return draw(record, plan)

    monkeypatch.setattr(pictures_module, "_files", fail_at_first)
    shown = Pictures(INFO, lambda: records)
    projection.arrange(INFO, shown.begin)
    with pytest.raises(OSError, match="descriptor"):
        [future.result() for future in shown._drawn.values()]
    projection.arrange(INFO, shown.show)
    assert sorted(drawn) == ["0000-1", "0000-1", "0001-1"]
    assert {len(files) for files in pictures(home).values()} == {8}


def test_trials_without_confusion_counts_have_no_pictures(
    home: Path, projection: Projection
) -> None:
    record = make_record()
    assert record.result is not None
    result = dataclasses.replace(record.result, arrays={"confusion": np.ones(3)})
    record = altered(record, result=result)
    projected(projection, [record])
    show(projection, [record])
    assert pictures(home) == {}


def test_a_run_names_its_data_once(home: Path, projection: Projection) -> None:
    records = projected(projection, ranked_records(2))
    projected(projection, records)
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    for run in search(client, "1", {"sweep_id": SWEEP_ID}):
        log_dataset(client, run.info.run_id, DATA)
        (entry,) = client.get_run(run.info.run_id).inputs.dataset_inputs
        assert (entry.dataset.name, entry.dataset.digest) == dataset_key(DATA)
        assert entry.dataset.name == "digits20"
        assert "5b5b5b5b" in entry.dataset.source
        assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]


def test_the_same_data_split_otherwise_is_another_dataset() -> None:
    assert dataset_key(DATA) != dataset_key({**DATA, "split_digest": "6c" * 32})
    assert dataset_key({}) == ("data", "unknown")
    assert len(dataset_key(DATA)[1]) <= 36


def test_mlflow_reads_the_table_as_its_own(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", projection.tracking_uri)  # `load_table` asks it
    table = table_json(["trial", "loss", "kind"], [[0, 0.5, "a"], [1, float("nan"), None]])
    files = {TRIALS_TABLE: table}
    for _ in range(2):
        projection.start_sweep(INFO, SweepNote())
        projection.finish_sweep(INFO, "FINISHED", TABLE_TAGS, "done", files=files)
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    loaded = client.load_table("1", TRIALS_TABLE)
    assert loaded["trial"].tolist() == [0, 1]
    assert loaded["loss"].isna().tolist() == [False, True]


def test_old_pictures_that_cannot_be_removed_are_said_and_tried_again(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    # The first one's slider has more steps: the second has too many pictures once it is gone.
    made = [*ranked_records(1, epochs=6), *ranked_records(3)[1:]]
    records = projected(projection, made)
    show(projection, records[:2])

    def refuse(self: Any, path: str) -> None:
        raise MlflowException.invalid_parameter_value("deleting is forbidden")

    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "delete_artifacts", refuse)
        for _ in range(2):
            with pytest.raises(IncompleteError, match="removed: 2: MlflowException: deleting is"):
                show(projection, records[1:])
        found = runs(home)
        assert LOGGED_IMAGES in found["0000-1"].data.tags, "it is found again"
        assert not found["0001-1"].data.tags[PICTURES].startswith("best 1"), "pending"
        assert found["0002-1"].data.tags[PICTURES].startswith("best 2"), "the others go on"
    show(projection, records[1:])
    assert not pictures(home).get("0000-1")
    assert LOGGED_IMAGES not in runs(home)["0000-1"].data.tags
    assert runs(home)["0001-1"].data.tags[PICTURES].startswith("best 1")
    assert {key: len(files) for key, files in pictures(home).items() if files} == {
        "0001-1": 8, "0002-1": 8,
    }  # fmt: skip


def test_a_store_that_never_deletes_is_let_be(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    records = projected(projection, ranked_records(2))
    show(projection, records)

    def refuse(self: Any, path: str) -> None:
        raise NotImplementedError

    monkeypatch.setattr(LocalArtifactRepository, "delete_artifacts", refuse)
    show(projection, records[1:])
    assert runs(home)["0001-1"].data.tags[PICTURES].startswith("best 1")


def test_an_outage_while_old_pictures_are_removed_is_no_refusal_of_the_store(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    records = projected(projection, ranked_records(3))
    show(projection, records[:2])

    def away(self: Any, path: str) -> None:
        raise ConnectionError("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "delete_artifacts", away)
        with pytest.raises(ConnectionError, match="nobody answers"):
            show(projection, records[1:])
        assert not pictures(home).get("0002-1"), "the rest waits for the store"
    show(projection, records[1:])
    assert sorted(key for key, files in pictures(home).items() if files) == ["0001-1", "0002-1"]
