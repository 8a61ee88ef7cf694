from __future__ import annotations

import dataclasses
import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.journal.events import Outcome, Record
from sweeps.tracking import projection as projecting
from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from sweeps.tracking.runs import local_folder
from sweeps.tracking.store import open_client
from tests.sweeps.factories import CREATED_AT, altered, make_info, make_record, make_result

INFO = make_info()
NOTE = SweepNote({"trials": "20"})
DRAWN = {"loss_curves.png": b"\x89PNG curves", "confusion_matrix.png": b"\x89PNG matrix"}


def client(home: Path) -> Any:
    return open_client(f"sqlite:///{home / 'mlflow.db'}")


def runs(home: Path, kind: str = "trial") -> list[Any]:
    experiments = client(home).search_experiments(filter_string="name LIKE 'digits20: %'")
    ids = [experiment.experiment_id for experiment in experiments]
    found = client(home).search_runs(ids, f"tags.kind = '{kind}'", order_by=["tags.trial ASC"])
    return sorted(found, key=lambda run: run.info.run_name)


def rows(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything the store holds about runs, whatever the ids of runs are."""
    queries = {
        "runs": "SELECT name, status, start_time, end_time, lifecycle_stage FROM runs",
        "metrics": "SELECT r.name, m.key, m.value, m.timestamp, m.step FROM metrics m "
        "JOIN runs r USING (run_uuid)",
        "params": "SELECT r.name, p.key, p.value FROM params p JOIN runs r USING (run_uuid)",
        "tags": "SELECT r.name, t.key, t.value FROM tags t JOIN runs r USING (run_uuid)",
    }
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        return {name: sorted(connection.execute(query)) for name, query in queries.items()}


def files(home: Path) -> dict[str, bytes]:
    root = home / "artifacts"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_complete_trial_becomes_one_run_with_everything_a_reader_compares(
    home: Path, projection: Projection
) -> None:
    record = make_record(7)
    parent_id = projection.start_sweep(INFO, NOTE)
    run_id = projection.project(INFO, record, DRAWN)

    (run,) = runs(home)
    assert run.info.run_id == run_id
    assert (run.info.run_name, run.info.status) == ("0007", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (record.started_at, record.finished_at)
    assert run.data.params == {k: str(v) for k, v in record.params.items()}
    expected = {
        "kind": "trial",
        "sweep": "mlp",
        "sweep_id": INFO.id,
        "trial": "0007-1",
        "trial_number": "7",
        "attempt": "1",
        "state": "COMPLETE",
        "reason": "early_stopping",
        "seed": "1007",
        "origin": "sampled",
        "engine": "keras_fit",
        "space_digest": INFO.fingerprint["space"],
        "data_digest": INFO.data["digest"],
        "split_digest": INFO.data["split_digest"],
        "git_commit": INFO.code["commit"],
        "mlflow.parentRunId": parent_id,
        "constants": '{"epochs": 40, "activation": "relu"}',
    }
    assert {key: run.data.tags.get(key) for key in expected} == expected
    assert record.result is not None
    assert {key: run.data.metrics[key] for key in record.result.metrics} == record.result.metrics


def test_the_run_of_a_resumed_attempt_says_after_how_many_epochs(
    home: Path, projection: Projection
) -> None:
    resumed = altered(make_record(3, epochs=2), resumed_from=2)
    tags = [
        client(home).get_run(projection.project(INFO, record, {})).data.tags
        for record in (resumed, make_record(4, epochs=2))
    ]
    assert [one.get("resumed_from") for one in tags] == ["2", None]


def test_epoch_metrics_carry_steps_from_one_and_times_between_start_and_end(
    home: Path, projection: Projection
) -> None:
    record = make_record(3, epochs=4)
    run_id = projection.project(INFO, record, {})
    history = client(home).get_metric_history(run_id, "val_loss")
    assert record.result is not None
    assert [point.value for point in history] == record.result.history["val_loss"]
    assert [point.step for point in history] == [1, 2, 3, 4]
    times = [point.timestamp - record.started_at for point in history]
    assert times == [1250, 2500, 3750, 5000]


def test_the_files_of_a_run_are_those_drawn_and_those_made_from_the_record(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    run_id = projection.project(INFO, make_record(1, epochs=2), DRAWN)
    stored = files(home)
    own = {Path(n).name: data for n, data in stored.items() if run_id in n}
    assert set(own) == {
        *DRAWN,
        "history.csv",
        "config.json",
        "model_summary.txt",
        "environment.json",
        "code.diff",
    }
    assert own["loss_curves.png"] == DRAWN["loss_curves.png"]
    assert own["code.diff"].decode() == INFO.code["diff"]
    assert json.loads(own["config.json"])["activation"] == "relu"
    head, first, _ = own["history.csv"].decode().splitlines()
    assert head == "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate"
    assert first.startswith("1,")
    parent = {Path(n).name for n in stored if run_id not in n}
    assert parent == {"space.json", "code.diff"}


@pytest.mark.parametrize(
    ("outcome", "status", "state", "reason"),
    [
        ("complete", "FINISHED", "COMPLETE", "early_stopping"),
        ("pruned", "FINISHED", "PRUNED", "pruned"),
        ("diverged", "FAILED", "FAILED", "diverged"),
        ("failed", "FAILED", "FAILED", "error"),
        ("interrupted", "KILLED", "INTERRUPTED", "interrupt"),
    ],
)
def test_every_outcome_ends_its_run_with_its_true_status(
    home: Path, projection: Projection, outcome: Outcome, status: str, state: str, reason: str
) -> None:
    projection.project(INFO, make_record(2, outcome=outcome), {})
    (run,) = runs(home)
    assert run.info.status == status
    assert (run.data.tags["state"], run.data.tags["reason"]) == (state, reason)


def test_nan_never_reaches_the_store_and_the_epoch_it_came_in_is_a_tag(
    home: Path, projection: Projection
) -> None:
    run_id = projection.project(INFO, make_record(2, outcome="diverged", epochs=5), {})
    (run,) = runs(home)
    assert run.data.tags["diverged_epoch"] == "5"
    assert len(client(home).get_metric_history(run_id, "val_loss")) == 4
    assert all(math.isfinite(value) for value in run.data.metrics.values())


def test_a_failed_trial_shows_its_error_and_keeps_the_traceback_as_a_file(
    home: Path, projection: Projection
) -> None:
    projection.project(INFO, make_record(2, outcome="failed"), {})
    (run,) = runs(home)
    assert run.data.tags["error"].startswith("ValueError: too deep")
    assert any(name.endswith("error.txt") for name in files(home))


def test_projecting_everything_twice_changes_nothing(home: Path, projection: Projection) -> None:
    records = [make_record(trial) for trial in range(3)] + [make_record(3, outcome="diverged")]

    def project_all(target: Projection) -> None:
        target.start_sweep(INFO, NOTE)
        for record in records:
            target.project(INFO, record, DRAWN)
        target.finish_sweep(
            INFO, "FINISHED", {"failed": "1"}, "done", best=records[1], finished_at=CREATED_AT + 9
        )

    project_all(projection)
    before = rows(home), files(home)
    project_all(projection)
    assert (rows(home), files(home)) == before
    afresh = Projection(projection.tracking_uri, projection.artifact_root)
    project_all(afresh)
    afresh.close()
    assert (rows(home), files(home)) == before


def test_a_rebuilt_store_equals_the_first_field_by_field(
    home: Path, projection: Projection, tmp_path: Path, migrated_database: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mlflow.db").write_bytes(migrated_database.read_bytes())
    rebuilt = Projection(f"sqlite:///{other / 'mlflow.db'}", other / "artifacts")
    records = [make_record(trial) for trial in range(3)]
    projection.start_sweep(INFO, NOTE)
    for record in records:
        projection.project(INFO, record, DRAWN)
    rebuilt.start_sweep(INFO, NOTE)
    for record in reversed(records):
        rebuilt.project(INFO, record, DRAWN)
    rebuilt.close()

    def comparable(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
        found = rows(folder)
        found["tags"] = [row for row in found["tags"] if row[1] != "mlflow.parentRunId"]
        return found

    assert comparable(other) == comparable(home)
    assert sorted(files(other).values()) == sorted(files(home).values())


OF_RUNS = (
    "SELECT name, source_type, source_name, entry_point_name, user_id, status, start_time, "
    "end_time, deleted_time, source_version, lifecycle_stage, experiment_id, "
    "replace(artifact_uri, run_uuid, 'ID') FROM runs",
    "SELECT r.name, p.key, p.value FROM params p JOIN runs r USING (run_uuid)",
    "SELECT r.name, t.key, t.value FROM tags t JOIN runs r USING (run_uuid) "
    "WHERE t.key <> 'mlflow.parentRunId'",
    "SELECT r.name, m.key, m.value, m.timestamp, m.step, m.is_nan FROM metrics m "
    "JOIN runs r USING (run_uuid)",
    "SELECT r.name, m.key, m.value, m.timestamp, m.step, m.is_nan FROM latest_metrics m "
    "JOIN runs r USING (run_uuid)",
    "SELECT experiment_id, name, digest, dataset_source_type, dataset_source, dataset_schema, "
    "dataset_profile FROM datasets",
    "SELECT d.name, r.name, i.source_type, i.destination_type, i.step, t.name, t.value "
    "FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id "
    "JOIN runs r ON r.run_uuid = i.destination_id JOIN input_tags t USING (input_uuid)",
)


def test_rows_and_files_are_those_that_mlflows_client_writes(
    tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = make_result(np.random.default_rng(0), "complete", 3)
    unequal = dict(result.history) | {"loss": (0.5, math.nan, math.inf)}
    odd = type(result)(outcome="complete", stop_reason="", metrics={"x": 1e300}, history=unequal)
    records = [
        make_record(0, epochs=12),
        make_record(1, result=odd, origin="baseline línea", params={"a/b": "🙂", "empty": ""}),
        make_record(2, outcome="failed"),
        make_record(3, outcome="diverged", data={"name": "other", "info": {"x": "y" * 20_000}}),
        make_record(4, outcome="pruned"),
    ]
    found, home = [], tmp_path / "home"
    for revision in (projecting.REVISION, "another"):
        monkeypatch.setattr(projecting, "REVISION", revision)
        home.mkdir()
        (home / "mlflow.db").write_bytes(migrated_database.read_bytes())
        projection = Projection(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
        projection.start_sweep(INFO, NOTE)
        ids = [projection.project(INFO, record, DRAWN) for record in records]
        assert (projection._tables is None) is (revision == "another")
        projection.close()
        with closing(sqlite3.connect(home / "mlflow.db")) as connection:
            stored = [sorted(map(repr, connection.execute(query))) for query in OF_RUNS]
        written = {
            name.replace(one, f"run {number}"): content
            for name, content in files(home).items()
            for number, one in enumerate(ids)
            if one in name
        }
        found.append((stored, written))
        home.rename(tmp_path / revision)
    assert found[0] == found[1]
    assert all(found[0][0])
    assert len(found[0][1]) > len(records)


def test_a_run_takes_the_client_five_requests_and_is_not_asked_for(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "REVISION", "another")
    projection.start_sweep(INFO, NOTE)
    projection.project(INFO, make_record(0), DRAWN)  # the first also says which columns there are
    before = projection.answers
    run_id = projection.project(INFO, make_record(1), DRAWN)
    assert projection.answers - before == 5  # made, values, data, files (in one here), end
    _, run = runs(home)
    assert run.info.run_id == run_id
    assert run.data.tags["trial"] == "0001-1"


def test_a_request_that_seems_lost_and_arrives_late_doubles_no_run(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setattr(projecting, "REVISION", "another")
    projection.start_sweep(INFO, NOTE)
    make, lost = MlflowClient.create_run, []

    def lose_the_first(self: Any, *args: Any, **keywords: Any) -> Any:
        if not lost:
            lost.append((args, keywords))
            raise TimeoutError("no answer")
        late, lost[0] = lost[0], ((), {})
        if late[0]:
            make(self, *late[0], **late[1])
        return make(self, *args, **keywords)

    monkeypatch.setattr(MlflowClient, "create_run", lose_the_first)
    run_id = projection.project(INFO, make_record(0), DRAWN)
    (run,) = runs(home)
    assert run.info.run_id == run_id


def test_runs_made_by_two_clients_at_once_shrink_to_one_at_the_next_look(
    home: Path, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "REVISION", "another")
    late = Projection(projection.tracking_uri, projection.artifact_root)
    for one in (projection, late):
        one.start_sweep(INFO, NOTE)
    first, second = (one.project(INFO, make_record(0), DRAWN) for one in (late, projection))
    late.close()
    assert first != second
    projection.discard(INFO, lambda key: False)  # as whoever has the sweep does at the end
    (run,) = runs(home)
    assert run.info.run_id == min(first, second)  # equally old


def test_a_run_that_another_projector_made_meanwhile_is_gone_on_with(
    home: Path, projection: Projection
) -> None:
    other = Projection(projection.tracking_uri, projection.artifact_root)
    for one in (projection, other):
        one.start_sweep(INFO, NOTE)
    ids = {one.project(INFO, make_record(0), DRAWN) for one in (projection, other)}
    other.close()
    assert len(ids) == len(runs(home)) == 1


def test_a_run_made_after_one_that_was_discarded_has_another_id(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    first = projection.project(INFO, make_record(0), DRAWN)
    projection.discard(INFO, lambda key: True)
    second = projection.project(INFO, make_record(0), DRAWN)
    (run,) = runs(home)
    assert run.info.run_id == second != first


def test_the_parent_runs_while_a_coordinator_works_and_ends_as_told(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    (parent,) = runs(home, "sweep")
    assert (parent.info.run_name, parent.info.status) == ("mlp", "RUNNING")
    assert parent.info.start_time == INFO.created_at
    assert parent.data.tags["mlflow.note.content"].startswith("The sweep is running")
    assert parent.data.tags["sampler"] == "tpe"
    assert json.loads(parent.data.tags["pruner"])["options"] == {"n_warmup_steps": 2}

    best = make_record(1)
    projection.finish_sweep(
        INFO,
        "KILLED",
        {"failed": "2", "stopped_by": "interrupt"},
        "# Result",
        best=best,
        files={"trials.csv": b"trial\n1\n"},
    )
    (parent,) = runs(home, "sweep")
    assert parent.info.status == "KILLED"
    assert parent.data.tags["best_trial"] == "0001-1"
    assert parent.data.tags["best_value"] == str(best.objective)
    assert parent.data.tags["mlflow.note.content"] == "# Result"
    assert parent.data.metrics["best_val_accuracy"] == best.objective
    assert any(name.endswith("trials.csv") for name in files(home))

    projection.start_sweep(INFO, NOTE)
    assert runs(home, "sweep")[0].info.status == "RUNNING"


def test_a_sweep_may_end_without_any_best_trial(home: Path, projection: Projection) -> None:
    projection.finish_sweep(INFO, "FAILED", {"stopped_by": ""}, "nothing finished")
    (parent,) = runs(home, "sweep")
    assert parent.info.status == "FAILED"
    assert parent.info.end_time > parent.info.start_time


def test_a_renamed_sweep_keeps_its_parent_run(home: Path, projection: Projection) -> None:
    parent_id = projection.start_sweep(INFO, NOTE)
    assert projection.start_sweep(make_info(name="renamed"), NOTE) == parent_id
    (parent,) = runs(home, "sweep")
    assert (parent.info.run_name, parent.data.tags["sweep"]) == ("renamed", "renamed")


def test_attempts_at_one_trial_are_runs_of_their_own_with_names_that_sort(
    home: Path, projection: Projection
) -> None:
    for record in (
        make_record(0),
        make_record(11),
        make_record(2, outcome="interrupted"),
        make_record(2, attempt=2),
    ):
        projection.project(INFO, record, {})
    assert [run.info.run_name for run in runs(home)] == ["0000 tutorial", "0002", "0002-2", "0011"]


def test_an_experiment_is_named_after_data_and_space_and_keeps_files_under_the_home(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    projection.start_sweep(make_info(id="20250102-00000001", name="other"), NOTE)
    wider = make_info(id="20250104-00000003", name="wide", space={"name": "wide"})
    projection.start_sweep(wider, NOTE)
    found = {e.name: e for e in experiments(home)}
    assert found.keys() == {"digits20: mlp", "digits20: wide"}
    locations = {name: e.artifact_location for name, e in found.items()}
    assert locations == {
        "digits20: mlp": (home / "artifacts" / "digits20-mlp").as_uri(),
        "digits20: wide": (home / "artifacts" / "digits20-wide").as_uri(),
    }
    tags = found["digits20: mlp"].tags
    assert (tags["data_digest"], tags["space"]) == (INFO.data["digest"], "mlp")


def test_other_data_of_equal_name_or_another_experiment_get_a_suffix(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    data = {**INFO.data, "digest": "ff" * 9}
    projection.start_sweep(make_info(id="20250103-00000002", name="third", data=data), NOTE)
    other = make_info(id="20250103-00000003", name="fourth", experiment_name="forest")
    projection.start_sweep(other, NOTE)
    assert {e.name for e in experiments(home)} == {
        "digits20: mlp", "digits20: mlp (ffffffff)", "digits20: mlp (7ef17dbd)",
    }  # fmt: skip


def test_data_are_called_what_their_experiment_calls_them(
    home: Path, projection: Projection
) -> None:
    data = {**INFO.data, "info": {"title": "Handwritten digits"}}
    projection.start_sweep(make_info(data=data), NOTE)
    folder = "/home/records/20250101-ab12cd34/finalists-1"
    for number, inner in enumerate(("", "/luck")):
        part = make_info(id=f"20250105-0000000{number}", data=data, directory=folder + inner)
        projection.start_sweep(part, NOTE)
    names = {e.name for e in experiments(home)}
    assert names == {"Handwritten digits: mlp", "Handwritten digits: confirmations"}


def test_a_sweep_stays_where_it_is_in_an_experiment_of_former_name_or_a_renamed_one(
    home: Path, projection: Projection
) -> None:
    former = client(home).create_experiment("digits-digits20-7ef17dbd")
    start = {"sweep_id": INFO.id, "kind": "sweep"}
    run = client(home).create_run(former, INFO.created_at, start, "mlp")
    assert projection.start_sweep(INFO, NOTE) == run.info.run_id
    projection.start_sweep(make_info(id="20250102-00000001", name="other"), NOTE)
    (new,) = (e for e in experiments(home) if e.experiment_id != former)
    assert new.name == "digits20: mlp"
    client(home).rename_experiment(new.experiment_id, "my digits")
    projection.close()
    projection.start_sweep(make_info(id="20250102-00000001", name="other"), NOTE)
    projection.start_sweep(make_info(id="20250102-00000002", name="another"), NOTE)
    assert {e.name for e in experiments(home)} == {"digits-digits20-7ef17dbd", "my digits"}


def experiments(home: Path) -> list[Any]:
    return [e for e in client(home).search_experiments() if e.name != "Default"]


def test_a_deleted_experiment_is_restored_in_mid_sweep(home: Path, projection: Projection) -> None:
    projection.start_sweep(INFO, NOTE)
    run_id = projection.project(INFO, make_record(0), {})
    experiment_id = runs(home)[0].info.experiment_id
    client(home).delete_experiment(experiment_id)
    with pytest.raises(Exception, match="active"):
        projection.project(INFO, make_record(1), {})
    projection.project(INFO, make_record(1), {})
    assert [run.info.run_name for run in runs(home)] == ["0000 tutorial", "0001"]
    assert runs(home)[0].info.run_id == run_id


def test_a_run_deleted_by_hand_is_restored_under_its_old_address(
    home: Path, projection: Projection
) -> None:
    run_id = projection.project(INFO, make_record(0), {})
    client(home).delete_run(run_id)
    afresh = Projection(projection.tracking_uri, projection.artifact_root)
    assert afresh.project(INFO, make_record(0), {}) == run_id
    afresh.close()
    assert [run.info.run_id for run in runs(home)] == [run_id]


def test_doubled_runs_shrink_to_the_oldest_finished_one(home: Path, projection: Projection) -> None:
    record = make_record(0)
    projection.start_sweep(INFO, NOTE)
    run_id = projection.project(INFO, record, {})
    (run,) = runs(home)
    twin_tags = {key: run.data.tags[key] for key in ("sweep_id", "kind", "trial")}
    client(home).create_run(run.info.experiment_id, run.info.start_time - 1, twin_tags, "twin")
    assert len(runs(home)) == 2
    afresh = Projection(projection.tracking_uri, projection.artifact_root)
    assert afresh.is_complete(INFO, record)
    afresh.close()
    assert [run.info.run_id for run in runs(home)] == [run_id]


def incomplete(projection: Projection, records: list[Record]) -> list[str]:
    afresh = Projection(projection.tracking_uri, projection.artifact_root)
    found = [record.key for record in records if not afresh.is_complete(INFO, record)]
    afresh.close()
    return found


def test_what_is_missing_or_torn_is_incomplete(home: Path, projection: Projection) -> None:
    records = [make_record(trial) for trial in range(4)]
    for record in records[:2]:
        projection.project(INFO, record, DRAWN)
    torn = runs(home)[1].info.run_id
    client(home).update_run(torn, status="RUNNING")
    assert incomplete(projection, records) == ["0001-1", "0002-1", "0003-1"]
    for record in records[1:]:
        projection.project(INFO, record, DRAWN)
    assert incomplete(projection, records) == []
    assert [run.info.status for run in runs(home)] == ["FINISHED"] * 4


def test_runs_whose_parent_was_deleted_for_good_get_the_new_one(
    home: Path, projection: Projection
) -> None:
    parent_id = projection.start_sweep(INFO, NOTE)
    record = make_record(0)
    projection.project(INFO, record, DRAWN)
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            connection.execute(f"DELETE FROM {table} WHERE run_uuid = ?", [parent_id])
    assert incomplete(projection, [record]) == ["0000-1"]
    with pytest.raises(Exception, match="not found"):
        projection.start_sweep(INFO, NOTE)
    other_id = projection.start_sweep(INFO, NOTE)
    projection.project(INFO, record, DRAWN)
    (run,) = runs(home)
    assert run.data.tags["mlflow.parentRunId"] == other_id != parent_id
    assert incomplete(projection, [record]) == []


def test_a_run_drawn_at_last_is_as_if_it_had_been_drawn_at_once(
    home: Path, projection: Projection
) -> None:
    record = make_record(0)
    projection.project(INFO, record, DRAWN)
    before = rows(home), files(home)
    projection.project(INFO, record, None)
    assert incomplete(projection, [record]) == ["0000-1"]
    projection.project(INFO, record, DRAWN)
    assert incomplete(projection, [record]) == []
    assert (rows(home), files(home)) == before


def test_what_exceeds_the_limits_is_chunked_or_cut_and_said_so(
    home: Path, projection: Projection
) -> None:
    params = {f"p{n}": n for n in range(150)} | {"long": "x" * 6001, "fits": "y" * 6000}
    record = make_record(
        0, epochs=401, params=params, origin="sampled", environment={"commit": "z" * 8001}
    )
    run_id = projection.project(INFO, record, {})
    (run,) = runs(home)
    assert len(client(home).get_metric_history(run_id, "loss")) == 401
    assert len(run.data.params) == len(params) + len(record.config) - 2
    assert run.data.params["fits"] == "y" * 6000
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["long"].endswith("[truncated]")
    assert "param long" in run.data.tags["truncated"]
    assert "tag git_commit" in run.data.tags["truncated"]


@pytest.mark.parametrize("name", ["it's", 'a "b"', "línea zwei", "🙂 digits", "a/../b", "%_x"])
def test_awkward_names_and_values_do_not_stop_a_run(
    home: Path, projection: Projection, name: str
) -> None:
    result = make_result(np.random.default_rng(0), "complete", 2)
    metrics = dict(result.metrics) | {name: 1.0, "infinite": math.inf}
    record = make_record(
        1,
        params={name: name},
        origin=f"baseline {name}",
        result=type(result)(outcome="complete", stop_reason=name, metrics=metrics, history={}),
    )
    projection.project(make_info(name=name), record, {})
    (run,) = runs(home)
    assert name in run.data.params.values()
    assert 1.0 in run.data.metrics.values()
    assert "infinite" not in run.data.metrics
    assert run.data.tags["sweep"] == name


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a\\b", ""])
def test_a_file_name_that_leads_out_of_the_run_is_refused(
    projection: Projection, name: str
) -> None:
    with pytest.raises(ValueError, match="relative name"):
        projection.project(INFO, make_record(0), {name: b"x"})


def test_the_store_is_in_wal_mode_and_other_readers_do_not_disturb(
    home: Path, projection: Projection
) -> None:
    projection.start_sweep(INFO, NOTE)
    with closing(sqlite3.connect(home / "mlflow.db")) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        projection.project(INFO, make_record(0), {})


def test_two_metrics_that_mlflow_cannot_tell_apart_are_one_point_of_a_whole_run(
    home: Path, projection: Projection
) -> None:
    result = make_result(np.random.default_rng(0), "complete", 3)
    odd = dataclasses.replace(result, metrics={**result.metrics, "odd!": 0.5, "odd?": 0.5})
    projection.start_sweep(INFO, NOTE)
    projection.project(INFO, make_record(0, result=odd), DRAWN)
    (run,) = (run for run in runs(home) if run.data.tags["kind"] == "trial")
    assert run.data.metrics["odd_"] == 0.5
    folder = local_folder(run.info.artifact_uri).parents[1]
    # The id by which two projectors make one run; the client would have given another.
    assert run.info.run_id == projecting.run_id_of(INFO.id, "0000-1", folder)
