"""Compares MLflow with the records: one run per attempt, each with the facts of its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from sweeps.manage.doctor.evidence import Evidence, Problem, Repair
from sweeps.records import Record, RecordError, leading
from sweeps.records.confusion import WORST
from sweeps.tracking.content import (
    Point,
    RunContent,
    best_tags,
    dataset_key,
    trial_files,
    trial_run,
)
from sweeps.tracking.front import ON_FRONT, front_keys
from sweeps.tracking.parent import describe_end, ending_of
from sweeps.tracking.pictures import BEST, PICTURES, plan_pictures
from sweeps.tracking.reading import StoredRun
from sweeps.tracking.runs import UNDRAWN

_COMPARED_TAGS = (
    "sweep",
    "state",
    "reason",
    "why",
    "retried",
    *(f"confusion_{rank}" for rank in range(1, WORST + 1)),
    "trial_number",
    "attempt",
    "origin",
    "seed",
    "mlflow.parentRunId",
)


def check(evidence: Evidence) -> Iterator[Problem]:
    """Yield the differences between MLflow and the records."""
    if evidence.away is not None:
        yield Problem("mlflow", f"MLflow could not be read: {evidence.away}", Repair.WAIT)
        return
    active = [run for run in evidence.runs if not run.is_deleted]
    parents = [run for run in active if run.kind == "sweep"]
    if len(parents) > 1:
        yield Problem("mlflow", f"the sweep has {len(parents)} parent runs", Repair.SEND)
    elif parents:
        yield from _parent(evidence, parents[0])
    elif evidence.records:
        yield Problem("mlflow", "the sweep has no parent run", Repair.SEND)
    parent_id = parents[0].run_id if parents else ""
    children = {run.key: run for run in active if run.kind == "trial"}
    for key, count in Counter(run.key for run in active if run.kind == "trial").items():
        if count > 1:
            yield Problem("mlflow", f"attempt {key} has {count} runs", Repair.SEND)
    records = {record.spec.key: record for record in evidence.records}
    for key in children.keys() - records.keys():
        what = f"run {children[key].run_id} of attempt {key} has no record"
        yield Problem("mlflow", what, Repair.DISCARD)
    for key, record in records.items():
        found = children.get(key)
        if found is None:
            yield Problem("mlflow", f"attempt {key} has no run", Repair.SEND, key)
        else:
            yield from _child(evidence, record, found, parent_id)
    yield from _pictures(evidence, children)
    yield from _front(evidence, children)


def _parent(evidence: Evidence, run: StoredRun) -> Iterator[Problem]:
    ending = ending_of(evidence.store, evidence.records)
    if run.status != ending.status:
        owner = ", and nobody runs it" if run.status == "RUNNING" else ""
        what = f"the parent run is {run.status}{owner}; it is to be {ending.status}"
        yield Problem("mlflow", what, Repair.SEND)
    asked = evidence.store.asked() or 0
    end = describe_end(evidence.info, evidence.records, asked, ending)
    for name, value in {**end.tags, **best_tags(end.best)}.items():
        if run.tags.get(name) != value:
            what = f"the parent run says {name} {run.tags.get(name)!r}, the records {value!r}"
            yield Problem("mlflow", what, Repair.SEND)


def _child(evidence: Evidence, record: Record, run: StoredRun, parent_id: str) -> Iterator[Problem]:
    key = record.spec.key
    try:
        record = evidence.store.read(key)  # with its arrays, one record at a time
    except RecordError as error:
        yield Problem("records", str(error), Repair.BY_HAND)
        return
    content = trial_run(evidence.info, record, parent_id)
    if run.status != content.status or run.end_time != content.end_time:
        what = f"run of attempt {key} is {run.status}; it is to be {content.status}"
        yield Problem("mlflow", what, Repair.SEND, key)
    if run.tags.get(UNDRAWN) and not evidence.is_untrusted:
        yield Problem(
            "mlflow", f"run of attempt {key} lacks files that could not be made", Repair.SEND, key
        )
    differing = [*_differing(content, run)]
    if differing:
        what = f"run of attempt {key} has another {', '.join(differing)} than its record"
        yield Problem("mlflow", what, Repair.REPLACE, key)
    found = {"trial_number": run.tags.get("slot", ""), **run.tags}  # `slot` is its former name
    tags = [n for n in _COMPARED_TAGS if found.get(n, "") != content.tags.get(n, "")]
    if tags:
        what = f"run of attempt {key} has another tag {', '.join(tags)} than its record"
        yield Problem("mlflow", what, Repair.SEND, key)
    if dataset_key(record.data) not in run.datasets:
        yield Problem("mlflow", f"run of attempt {key} lacks its dataset", Repair.SEND, key)
    missing = trial_files(evidence.info, record, {}).keys() - run.files
    if missing:
        what = f"run of attempt {key} lacks {', '.join(sorted(missing))}"
        yield Problem("mlflow", what, Repair.SEND, key)


def _pictures(evidence: Evidence, children: Mapping[str, StoredRun]) -> Iterator[Problem]:
    best = leading(evidence.records, evidence.info.objectives)[:BEST]
    wanted = plan_pictures([evidence.store.read(record.spec.key) for record in best])
    for key, run in children.items():
        text = str(wanted[key]) if key in wanted else ""
        if run.tags.get(PICTURES, "") != text:
            what = f"run of attempt {key} has other confusion matrices than the records ask for"
            yield Problem("mlflow", what, Repair.SEND)


def _front(evidence: Evidence, children: Mapping[str, StoredRun]) -> Iterator[Problem]:
    wanted = front_keys(evidence.info, evidence.records)
    for key, run in children.items():
        if (run.tags.get(ON_FRONT) == "true") != (key in wanted):
            verb = "lacks" if key in wanted else "has"
            what = f"run of attempt {key} {verb} the tag {ON_FRONT}, and the records say otherwise"
            yield Problem("mlflow", what, Repair.SEND)


def _differing(content: RunContent, run: StoredRun) -> Iterator[str]:
    for name, text in content.params.items():
        if run.params.get(name) != text:
            yield name
    for name, point in _last(content.metrics).items():
        if run.metrics.get(name) != point.value:
            yield name


def _last(points: tuple[Point, ...]) -> Mapping[str, Point]:
    """Return for each metric the point that MLflow shows: that of the last step."""
    ordered = sorted(points, key=lambda point: (point.step, point.timestamp, point.value))
    return {point.key: point for point in ordered}
