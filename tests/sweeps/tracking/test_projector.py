from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sweeps.errors import LeaseLost
from sweeps.tracking import projector as projecting
from sweeps.tracking import store
from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector
from sweeps.tracking.store import IncompleteError, is_outage, one_line, open_client
from tests.faults.proxy import Proxy
from tests.sweeps.factories import make_info, make_record

INFO = make_info()
DRAWN = {"loss_curves.png": b"png"}


def statuses(home: Path) -> dict[str, str]:
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run.info.status for run in client.search_runs(ids)}


@pytest.fixture
def away(home: Path, tmp_path: Path) -> Projection:
    """Return a projection whose store cannot be reached: a file lies where its folder should."""
    (tmp_path / "moved").write_text("in the way")
    return Projection(f"sqlite:///{tmp_path / 'moved' / 'mlflow.db'}", home / "artifacts")


def bring_back(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "moved").unlink()
    home.rename(tmp_path / "moved")
    return tmp_path / "moved"


def test_records_are_projected_in_the_background_and_close_waits_for_them(
    home: Path, projection: Projection
) -> None:
    projector = Projector(projection, INFO, SweepNote())
    projector.start()
    threads: set[str] = set()

    def draw() -> dict[str, bytes]:
        threads.add(threading.current_thread().name)
        return DRAWN

    for trial in range(3):
        projector.put(make_record(trial), draw)
    projector.finish(lambda p: p.finish_sweep(INFO, "FINISHED", {}, "done"))
    report = projector.close(30)
    assert (report.done, report.pending, report.error) == (3, [], None)
    assert threads == {"sweeps-projector"}
    names = ["0000 tutorial", "0001", "0002", "mlp"]
    assert statuses(home) == dict.fromkeys(names, "FINISHED")


def test_nothing_is_opened_when_there_is_nothing_to_project(tmp_path: Path) -> None:
    projection = Projection(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}", tmp_path / "artifacts")
    projector = Projector(projection, INFO)
    projector.start()
    started = time.monotonic()
    assert projector.close(30).pending == []
    assert time.monotonic() - started < 1
    assert list(tmp_path.iterdir()) == []


def test_mlflow_is_imported_before_the_first_record_and_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []

    @contextlib.contextmanager
    def importing() -> Iterator[None]:
        imported.append(threading.current_thread().name)
        yield

    monkeypatch.setattr(projecting, "quiet", importing)
    projection = Projection(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}", tmp_path / "artifacts")
    for is_expected in (False, True):
        projector = Projector(projection, INFO)
        projector.start()
        if is_expected:
            projector.prepare(lambda: imported.append("more"))
        assert projector.close(30).pending == []
    assert imported == ["sweeps-projector", "more"]
    assert list(tmp_path.iterdir()) == []


def test_putting_returns_at_once_and_an_outage_is_told_once(away: Projection) -> None:
    messages: list[str] = []
    told = threading.Event()

    def tell(message: str) -> None:
        messages.append(message)
        told.set()

    projector = Projector(away, INFO, on_outage=tell, pause_seconds=0.01)
    projector.start()
    started = time.monotonic()
    for trial in range(3):
        projector.put(make_record(trial), lambda: DRAWN)
    assert time.monotonic() - started < 0.1
    assert told.wait(30)
    report = projector.close(300)
    assert time.monotonic() - started < 30, "a store that is away must not hold up the end"
    assert report.done == 0
    assert report.pending == ["0000-1", "0001-1", "0002-1"]
    assert report.error is not None
    assert messages == [report.error]
    assert "\n" not in report.error


def test_the_projection_catches_up_when_the_store_comes_back(
    home: Path, tmp_path: Path, away: Projection
) -> None:
    told = threading.Event()
    projector = Projector(away, INFO, on_outage=lambda _: told.set(), pause_seconds=0.01)
    projector.start()
    projector.put(make_record(0), lambda: DRAWN)
    projector.put(make_record(1), lambda: DRAWN)
    assert told.wait(30)
    moved = bring_back(home, tmp_path)
    report = projector.close(30)
    assert (report.done, report.pending) == (2, [])
    assert statuses(moved) == {"0000 tutorial": "FINISHED", "0001": "FINISHED", "mlp": "RUNNING"}
    away.close()


def test_closing_wakes_a_long_pause_for_one_more_try(
    home: Path, tmp_path: Path, away: Projection
) -> None:
    told = threading.Event()
    projector = Projector(away, INFO, on_outage=lambda _: told.set(), pause_seconds=30)
    projector.start()
    projector.put(make_record(0), lambda: DRAWN)
    assert told.wait(30)
    bring_back(home, tmp_path)
    started = time.monotonic()
    assert projector.close(25).pending == []
    assert time.monotonic() - started < 20
    away.close()


def test_a_store_that_comes_back_at_the_end_is_waited_for_as_one_that_was_there(
    away: Projection, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "AWAY_SECONDS", 4.0)

    def draw() -> dict[str, bytes]:
        time.sleep(4.5)  # the store is there by now, and the work takes longer than that
        return DRAWN

    back = lambda problem: bring_back(home, tmp_path)  # noqa: E731
    projector = Projector(away, INFO, on_outage=back, pause_seconds=0.01)
    projector.start()
    projector.put(make_record(0), draw)
    assert projector.close(60).pending == []


def test_a_store_that_answers_in_between_is_not_given_up_at_the_end(home: Path) -> None:
    luck = random.Random(0)

    def check() -> None:
        if luck.random() < 0.1:  # before each of a dozen requests a run
            raise ConnectionError("not now")

    store = f"sqlite:///{home / 'mlflow.db'}"
    projection = Projection(store, home / "artifacts", check=check)
    projector = Projector(projection, INFO, pause_seconds=0.001)
    for trial in range(6):
        projector.put(make_record(trial), lambda: DRAWN)
    projector.start()
    report = projector.close(60)
    assert (report.done, report.pending) == (6, [])


def test_what_fails_for_one_record_stays_pending_and_the_others_go_on(
    home: Path, projection: Projection
) -> None:
    projector = Projector(projection, INFO, pause_seconds=0.01)
    projector.start()
    projector.put(make_record(0), lambda: {"../evil": b"x"})
    projector.put(make_record(1), lambda: DRAWN)
    report = projector.close(30)
    assert (report.done, report.pending) == (1, ["0000-1"])
    assert report.error is not None
    assert "'../evil'" in report.error
    assert statuses(home)["0001"] == "FINISHED"


def test_a_drawing_that_fails_does_not_cost_the_run_its_numbers(
    home: Path, projection: Projection
) -> None:
    def draw() -> dict[str, bytes]:
        raise RuntimeError("no font")

    projector = Projector(projection, INFO, pause_seconds=0.01)
    projector.start()
    projector.put(make_record(1), draw)
    report = projector.close(30)
    said = "pictures of trial 1: RuntimeError: no font"
    assert (report.pending, report.error) == (["0001-1"], said)
    assert statuses(home)["0001"] == "FINISHED"


def test_what_is_incomplete_is_tried_once_and_never_taken_for_an_outage(
    home: Path, projection: Projection
) -> None:
    outages: list[str] = []
    tried: list[str] = []

    def gone() -> dict[str, bytes]:
        tried.append("files")
        raise FileNotFoundError("data.npz")  # an OSError, as of a store that is away

    def lacking() -> dict[str, bytes]:
        raise IncompleteError("`evaluation/` of trial 2", KeyError("logits"), DRAWN)

    def end(runs: Projection) -> None:
        tried.append("parent")
        runs.finish_sweep(INFO, "FINISHED", {}, "at its end")
        raise IncompleteError("samples in the report", OSError("gone"))

    note = SweepNote(is_running=True)
    projector = Projector(projection, INFO, note, on_outage=outages.append, pause_seconds=0.01)
    projector.start()
    projector.put(make_record(1), gone)
    projector.put(make_record(2), lacking)
    projector.finish(end)
    projector.put(make_record(3), lambda: DRAWN)  # does not begin the parent anew
    report = projector.close(30)
    assert (report.pending, report.done) == (["0001-1", "0002-1", "sweep"], 1)
    assert report.error == "samples in the report: OSError: gone"
    assert (tried, outages) == (["files", "parent"], [])
    found = statuses(home)
    assert (found.pop("0002"), found.pop("0001"), found.pop("0003")) == ("FINISHED",) * 3
    assert list(found.values()) == ["FINISHED"], "the parent"
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    runs = {run.info.run_name: run for run in client.search_runs(["1"])}
    assert [n for n, run in sorted(runs.items()) if "undrawn" in run.data.tags] == ["0001", "0002"]
    files = client.list_artifacts(runs["0002"].info.run_id)
    assert "loss_curves.png" in {file.path for file in files}


def test_earlier_records_are_drawn_again_only_if_their_run_is_missing(
    home: Path, projection: Projection
) -> None:
    records = [make_record(trial) for trial in range(3)]
    projection.project(INFO, records[1], DRAWN)
    drawn: list[int] = []

    def drawing(trial: int) -> Any:
        def draw() -> dict[str, bytes]:
            drawn.append(trial)
            return DRAWN

        return draw

    projector = Projector(projection, INFO)
    projector.start()
    for record in records:
        projector.put(record, drawing(record.trial), only_if_missing=True)
    assert projector.close(30).done == 3
    assert drawn == [0, 2]
    assert len(statuses(home)) == 4


def test_a_projector_that_was_never_started_reports_everything_as_pending(
    projection: Projection,
) -> None:
    projector = Projector(projection, INFO)
    projector.put(make_record(0), lambda: DRAWN)
    assert projector.close(0.1).pending == ["0000-1"]


class SlowRuns:
    """A projector with more runs to send than fit into the time that one may take."""

    def __init__(self, projection: Projection) -> None:
        self.told: list[int] = []
        self.projector = Projector(projection, INFO)
        self.projector.start()
        for trial in range(30):
            self.projector.put(make_record(trial), self.draw)

    def draw(self) -> dict[str, bytes]:
        time.sleep(0.2)
        return DRAWN


def test_whoever_waits_for_many_runs_is_told_and_gets_all_while_the_store_answers(
    projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "NOTED_SECONDS", 0.1)
    slow = SlowRuns(projection)
    for _ in range(30):  # jobs about the parent run, which is one
        slow.projector.finish(lambda p: p.annotate(INFO, "0000-1", "a note"))
    report = slow.projector.close(5, on_waiting=slow.told.append)  # they take six
    assert (report.done, report.pending) == (30, [])
    assert len(slow.told) == 1
    assert projecting.MANY_JOBS < slow.told[0] <= 31


@pytest.mark.parametrize("urgent", [False, True])
def test_whoever_does_not_want_to_wait_does_not(projection: Projection, urgent: bool) -> None:
    slow, began = SlowRuns(projection), time.monotonic()
    wait = {"is_urgent": lambda: True, "on_waiting": slow.told.append} if urgent else {}
    report = slow.projector.close(60 if urgent else 0.5, urgent_seconds=0.5, **wait)
    assert report.pending
    assert time.monotonic() - began < 30
    assert slow.told == []
    slow.projector._thread.join(5)
    assert not slow.projector._thread.is_alive(), "it begins no other run"


class Answering(BaseHTTPRequestHandler):
    status: ClassVar[int] = 500

    def answer(self) -> None:
        body = json.dumps({"error_code": self.code(), "message": "not today"}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def code(self) -> str:
        return {400: "INVALID_PARAMETER_VALUE", 401: "UNAUTHENTICATED"}.get(
            self.status, "INTERNAL_ERROR"
        )

    do_GET = do_POST = answer  # noqa: N815 - names of http.server

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.mark.parametrize(
    ("status", "outage"),
    [(500, True), (502, True), (503, True), (504, True), (429, True), (400, False), (401, False)],
)
def test_a_server_that_errs_is_an_outage_and_one_that_refuses_is_not(
    server: str, tmp_path: Path, status: int, outage: bool
) -> None:
    Answering.status = status
    with pytest.raises(Exception) as caught:
        Projection(server, tmp_path).start_sweep(INFO, SweepNote())
    assert is_outage(caught.value) is outage, repr(caught.value)


def test_a_refused_connection_is_an_outage_reported_within_a_second(
    server: str, tmp_path: Path
) -> None:
    Answering.status = 500
    free = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    port = free.server_port
    free.server_close()
    started = time.monotonic()
    with pytest.raises(Exception) as caught:
        Projection(f"http://127.0.0.1:{port}", tmp_path).start_sweep(INFO, SweepNote())
    assert is_outage(caught.value)
    assert time.monotonic() - started < 5
    assert len(one_line(caught.value)) <= 300


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), "ValueError"),
        (ValueError("\n  first\nsecond"), "ValueError: first"),
        (OSError("no http://me:secret@host/x here"), "OSError: no http://me:***@host/x here"),
        (ValueError("x" * 400), "ValueError: " + "x" * 285 + "..."),
    ],
)
def test_an_error_is_told_in_one_line_without_passwords(error: Exception, text: str) -> None:
    assert one_line(error) == text


def test_who_has_lost_the_sweep_asks_the_store_for_nothing_more(home: Path) -> None:
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) > 30:
            raise LeaseLost("taken over")

    database = home / "mlflow.db"
    projection = Projection(f"sqlite:///{database}", home / "artifacts", check=check)
    projector = Projector(projection, INFO)
    projector.start()
    for trial in range(6):
        projector.put(make_record(trial), dict)
    report = projector.close(30)
    assert len(asked) == 31
    assert report.done < 6
    assert len(report.pending) == 6 - report.done
    assert report.error == "LeaseLost: taken over"
    assert isinstance(report.lost, LeaseLost)


def test_the_parent_run_ends_before_what_waits_and_what_is_being_written(
    home: Path, projection: Projection
) -> None:
    seen: list[dict[str, str]] = []
    drawing, go_on = threading.Event(), threading.Event()

    def draw() -> dict[str, bytes]:
        drawing.set()
        go_on.wait(30)
        seen.append(statuses(home))
        return DRAWN

    projector = Projector(projection, INFO, SweepNote(is_running=True))
    projection.check = projector.give_way
    projector.start()
    for trial in range(3):
        projector.put(make_record(trial), draw)
    assert drawing.wait(30)
    projector.end_first("KILLED")
    projector.finish(lambda p: p.finish_sweep(INFO, "KILLED", {}, "done"))
    go_on.set()
    assert projector.close(30).pending == []
    assert [found["mlp"] for found in seen] == ["RUNNING", *["KILLED"] * 3]
    assert statuses(home) == dict.fromkeys(["0000 tutorial", "0001", "0002"], "FINISHED") | {
        "mlp": "KILLED"
    }


def test_a_parent_that_is_begun_anew_after_its_end_is_not_running_again(
    home: Path, projection: Projection
) -> None:
    def fail(_projection: Projection) -> None:
        raise ValueError("begun anew")

    projector = Projector(projection, INFO, SweepNote(is_running=True), pause_seconds=0.01)
    projector.start()
    projector.put(make_record(0), dict)
    projector.end_first("KILLED")
    projector.finish(fail)
    assert projector.close(30).pending == ["sweep"]
    assert statuses(home)["mlp"] == "KILLED"


@pytest.mark.slow
def test_a_server_that_errs_at_every_third_request_gets_every_run(
    mlflow_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AT_ONCE_SECONDS", 0.0)  # as on a slow machine: an answer comes late
    info = replace(make_info(), id="20261127-0000e44s")
    with Proxy(mlflow_server.port) as proxy:
        proxy.errs_each = 3
        projector = Projector(Projection(proxy.address, tmp_path), info, SweepNote(is_running=True))
        projector.start()
        for trial in range(3):
            projector.put(make_record(trial), lambda: DRAWN)
        projector.end_first("FINISHED")
        projector.finish(lambda p: p.finish_sweep(info, "FINISHED", {}, "done"))
        report = projector.close(60)
    assert (report.done, report.pending, report.error) == (3, [], None)
