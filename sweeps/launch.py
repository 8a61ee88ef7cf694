"""Runs a validated sweep from opening to summary; the only place where all parts meet."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.mapping import lies_in
from sweeps.analysis.summary import Summary, summarize
from sweeps.config.options import RunOptions
from sweeps.config.policies import Parallelism
from sweeps.config.sweep import SweepConfig, resolve
from sweeps.errors import LeaseLost
from sweeps.executors.dask.fleet import Fleet, look_at
from sweeps.home import Home
from sweeps.progress import Mode, Progress, make_progress
from sweeps.progress.tally import Tally
from sweeps.records import Hunches, Record, RecordStore, SweepInfo, recover, trials_to_retry
from sweeps.runner.choosing import find_cluster, start_executor
from sweeps.runner.control import ControlListener, StopRequest
from sweeps.runner.guarding import Guard
from sweeps.runner.loop import Coordinator, Watch
from sweeps.runner.opening import (
    check_fingerprint,
    describe_extension,
    keep_code,
    make_ledger,
    newest_generation,
    open_sweep,
)
from sweeps.runner.ownership import Hold
from sweeps.study.backends import backend_of
from sweeps.study.storage import StudyStore, prepare, stored_slots
from sweeps.tracking.address import resolve_tracking_uri, sqlite_path
from sweeps.tracking.parent import ParentRun, outage_note
from sweeps.tracking.preflight import check_store
from sweeps.tracking.store import check_database
from sweeps.tracking.sync import finish_deletions, hold_to_send
from sweeps.workspace.control_files import Steering
from sweeps.workspace.databases import DatabaseRetry
from sweeps.workspace.provenance import changed_versions, code_state, environment


@dataclass(frozen=True)
class RunResult:
    """A sweep that has ended, for whatever reason."""

    info: SweepInfo
    summary: Summary


def run_options(
    asked: RunOptions,
    *,
    progress: Mode,
    has_failed: Callable[[Summary], bool] = lambda summary: False,
) -> RunResult:
    """Validate what was asked for and run it: what the command and `sweeps.run` share.

    Raises:
        UsageError: Something asked for cannot be done; nothing was created.
    """
    return run_config(resolve(asked), asked, progress=progress, has_failed=has_failed)


def run_config(
    config: SweepConfig,
    asked: RunOptions,
    *,
    progress: Mode,
    has_failed: Callable[[Summary], bool] = lambda summary: False,
) -> RunResult:
    """Run what was validated: where its trials are trained, and what its runs are shown by.

    Raises:
        UsageError: Something asked for cannot be done; nothing was created.
    """
    cluster = find_cluster(asked)
    fleet = look_at(cluster) if cluster is not None else None
    if fleet is not None:
        parallelism = Parallelism(fleet.places, config.ask_ahead)
        config = dataclasses.replace(config, parallelism=parallelism)
    config.home.check_writable()
    tracking_uri = resolve_tracking_uri(config.home.path, asked.tracking_uri)
    away = check_store(tracking_uri)
    if away is None:  # of a `sweeps delete` that was killed
        finish_deletions(config.home, tracking_uri)
    shown = make_progress(progress)
    try:
        for baseline in config.dropped_baselines:
            shown.note(f"baseline {baseline!r} lies outside what --set allows: left out")
        if config.data.irreproducible:
            shown.note(f"reproducible=false: {config.data.irreproducible}")
        for line in fleet.notes if fleet is not None else ():
            shown.note(line)
        if config.parallelism.idle:
            shown.note(f"workers: {config.parallelism}")
        _check_databases(config.home, tracking_uri, shown.note)
        if away is not None:
            shown.note(outage_note(tracking_uri, away))
        return run_sweep(
            config,
            tracking_uri=tracking_uri,
            progress=shown,
            has_failed=has_failed,
            is_away=away is not None,
            fleet=fleet,
        )
    finally:
        shown.close()


def _check_databases(home: Home, tracking_uri: str, note: Callable[[str], None]) -> None:
    """Refuse databases that cannot be used before anything is created."""
    database_retry = DatabaseRetry(note)
    if backend_of(home.studies).exists():
        prepare(home.studies, database_retry)
    runs = sqlite_path(tracking_uri)
    if runs is not None:
        check_database(runs, database_retry)


def run_sweep(
    config: SweepConfig,
    *,
    tracking_uri: str,
    progress: Progress,
    has_failed: Callable[[Summary], bool] = lambda summary: False,
    is_away: bool = False,
    fleet: Fleet | None = None,
) -> RunResult:
    """Create or resume a sweep and run it to its end.

    Args:
        config: What to run.
        tracking_uri: Store of MLflow.
        progress: Who is told what happens.
        has_failed: Judges the end: the parent run of a sweep that missed its bound is FAILED.
        is_away: Whether the user knows already that the store cannot be reached.
        fleet: What trains, in place of this machine.

    Raises:
        UsageError: Its name belongs to another sweep, or another process runs it.
    """
    start = time.monotonic()
    with StopRequest() as request:
        code = code_state(Path.cwd())
        opened = _existing(config) if config.retry is not None else open_sweep(config, code)
        store = config.home.store(opened.id)
        with (
            hold_to_send(config.home, opened, tracking_uri, progress.note, request.ask) as held,
            ControlListener(Steering(store.folder), request, progress) as listener,
            Guard(held.lock, store, opened, progress.note, request.ask) as guard,
        ):
            records = recover(store, progress.note)
            info = newest_generation(config, opened, code)
            surroundings = _environment(config)
            for line in _said_of_the_start(config, info, records):
                progress.note(line)
            if config.retry is not None:
                config, records = _marked(config, info, records)
            total = _hunches(config, info).total(config.limits.trials)
            earlier = store.ending()
            _ask(config, store, total)
            parent = ParentRun(config, info, tracking_uri, progress, held, earlier, is_away=is_away)
            watch = Watch(progress, request, listener)
            coordinator = _assemble(
                config, info, records, watch, parent.project, fleet, held, surroundings
            )
            if config.extend:
                progress.note(describe_extension(opened, info, coordinator.queue.prior))
            progress.started(
                Tally(info, total, records, longest_seconds=config.limits.timeout_seconds)
            )
            guard.watch(info, parent.files)
            parent.catch_up(records)
            try:
                stopped_by = coordinator.run()
                held.check()
                guard.check()
            except LeaseLost:
                parent.leave()
                raise
            except BaseException as error:
                parent.abandon(error)
                raise
            finally:
                coordinator.queue.study.close()
            _ask(config, store, coordinator.total())  # hunches may have added to it
            summarise = _summariser(config, info, start, coordinator)
            ended = summarise(stopped_by)
            report = parent.finish(ended, failed=has_failed(ended), request=request)
            # Whoever stopped the end of a finished sweep stopped only the wait for MLflow.
            stopped_by = stopped_by or (request.reason if report.pending else None)
            guard.check()
            pending, why = guard.pending(report.done, len(report.pending), report.error)
            summary = dataclasses.replace(
                summarise(stopped_by),
                tracking_pending=pending,
                tracking_error=why,
                deleted=tuple(guard.lost),
            )
    progress.finished(summary)
    return RunResult(dataclasses.replace(info, checked=store.checked()), summary)


def _assemble(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
    watch: Watch,
    on_record: Callable[[Record], None],
    fleet: Fleet | None,
    held: Hold,
    surroundings: Mapping[str, Any],
) -> Coordinator:
    request, note = watch.request, watch.progress.note
    database_retry = DatabaseRetry(note, lambda: request.reason is not None)
    directions = [one.direction for one in info.objectives]
    study = StudyStore(config.home.studies, info.study_name, directions, database_retry, held.lease)
    study.end_open_slots_of(info.earlier_studies)
    hunches = _hunches(config, info)
    store = RecordStore(config.home.store(info.id).folder, held.send)
    queue = make_ledger(config, info, records, study, hunches.for_slot)
    return Coordinator(
        config=config,
        sweep_id=info.id,
        queue=queue,
        hunches=hunches,
        store=store,
        progress=watch.progress,
        request=request,
        watch=watch,
        start_executor=lambda: start_executor(config, watch, note, fleet, store.running),
        environment=surroundings,
        on_record=on_record,
    )


def _environment(config: SweepConfig) -> dict[str, Any]:
    """Return what the records of this start say of versions, machine and code."""
    if config.code is None:
        return environment()
    return {**environment(config.code.packages), "code": config.code.digest}


def _said_of_the_start(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
) -> Iterator[str]:
    """Keep the code the sweep goes on with; yield what has changed since its last trial."""
    said = keep_code(config, info)
    if said is not None and records:
        yield said
    if records:
        last = records[-1]
        changed = "; ".join(changed_versions(last.environment))
        if changed:
            yield f"not as it was when trial {last.spec.slot} was trained: {changed}"


def _existing(config: SweepConfig) -> SweepInfo:
    check_fingerprint(config)
    return config.home.get(config.name)


def _marked(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record]
) -> tuple[SweepConfig, list[Record]]:
    """Mark the failed trials that are to be run again: from this write on they have no outcome.

    Returns:
        The sweep with as many trials as were begun, and its records, as they are from now on.

    Raises:
        UsageError: One of the trials did not fail.
    """
    store = config.home.store(info.id)
    waiting = store.retries.waiting(records)
    stored = stored_slots(config.home.studies, info.study_name)
    begun = max(info.first_slot, len(stored), *(record.spec.slot + 1 for record in records), 0)
    failed = trials_to_retry(info.name, records, waiting, config.retry or ())
    if failed:
        store.retries.add([record.spec.key for record in failed], begun)
    limits = dataclasses.replace(config.limits, trials=begun)
    return dataclasses.replace(config, limits=limits), store.read_all()


def _ask(config: SweepConfig, store: RecordStore, total: int) -> None:
    """Note how many trials are asked for; whoever has some run again asks for no others."""
    store.ask(total if config.retry is None else max(total, store.asked() or 0))


def _hunches(config: SweepConfig, info: SweepInfo) -> Hunches:
    """Return the hunches that this start tries: none of those that wait, if it only runs again."""
    fits = partial(lies_in, config.space) if config.retry is None else lambda params: False
    return Hunches(config.home.store(info.id).folder, fits)


def _summariser(
    config: SweepConfig,
    info: SweepInfo,
    start: float,
    coordinator: Coordinator,
) -> Callable[[str | None], Summary]:
    store = config.home.store(info.id)
    # Recorded attempts never change: where there are no more of them, they are known.
    known = coordinator.queue.records
    records = known if len(known) == len(store.paths()) else store.read_all()

    def summarise(stopped_by: str | None) -> Summary:
        return summarize(
            info,
            records,
            asked=store.asked() or 0,
            seconds=time.monotonic() - start,
            stopped_by=stopped_by,
            failure_cause=coordinator.failure_cause(),
            time_split=dict(coordinator.seconds),
        )

    return summarise
