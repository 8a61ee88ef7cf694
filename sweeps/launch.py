"""Runs a validated sweep from opening to summary; the only module that knows all parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.mapping import lies_in
from sweeps.analysis.summary import Summary, champion_of, summarize
from sweeps.capabilities import SupportsFiles
from sweeps.config.options import RunOptions
from sweeps.config.policies import Parallelism
from sweeps.config.resolving import resolve
from sweeps.config.sweep import SweepConfig
from sweeps.errors import LeaseLost, UsageError
from sweeps.executors import Executor, InProcessExecutor
from sweeps.executors.dask.fleet import Cluster, Fleet, check_resources, look_at, parse_cluster
from sweeps.experiments.loading import script_facts
from sweeps.home import Home
from sweeps.progress import Mode, Progress, make_progress
from sweeps.progress.log import Logged
from sweeps.progress.tally import Tally
from sweeps.records import (
    Conclusions,
    EnqueuedPoints,
    Record,
    RecordStore,
    Starts,
    SweepInfo,
    confirmed_by,
    describe_learned,
    heard,
    read_imported,
    recover,
    trials_to_retry,
)
from sweeps.runner.budget import Budget, Reserving, make_budget, time_used
from sweeps.runner.control import ControlListener, ControlRequests, StopRequest
from sweeps.runner.enqueuing import enqueue_longer
from sweeps.runner.loop import Coordinator, Watch
from sweeps.runner.opening import (
    check_fingerprint,
    describe_extension,
    keep_code,
    learned_by,
    make_trial_queue,
    newest_generation,
    open_sweep,
)
from sweeps.runner.ownership import Guard, Hold
from sweeps.runner.warm_start import describe_imported
from sweeps.study.backends import backend_of
from sweeps.study.storage import StudyStore, stored_trials
from sweeps.tracking.address import resolve_tracking_uri, sqlite_path
from sweeps.tracking.parent import ParentRun, outage_note
from sweeps.tracking.preflight import check_store
from sweeps.tracking.store import check_database
from sweeps.tracking.sync import finish_deletions, hold_to_send
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.databases import DatabaseRetry
from sweeps.workspace.provenance import changed_versions, code_state, environment

# Chooses the executor: this process, worker processes of this machine, or a Dask cluster.


def find_cluster(asked: RunOptions) -> Cluster | None:
    """Return the cluster that is asked for, None for this machine.

    Raises:
        UsageError: Its address is not valid or is open to others, or options contradict each other.
    """
    if asked.executor is None:
        if asked.resources:
            raise UsageError("--resources: these belong to Dask workers; give --executor as well")
        return None
    if asked.workers is not None:
        raise UsageError("--workers and --executor: the cluster has the workers; give one of them")
    resources = check_resources(asked.resources)
    return parse_cluster(asked.executor, trusted=asked.trust_cluster, resources=resources)


def start_executor(
    config: SweepConfig,
    watch: Watch,
    note: Callable[[str], None],
    fleet: Fleet | None,
    running: Path,
) -> Executor:
    """Start the executor of a sweep.

    Workers get ready in the background; the calling process (`--workers 0`) warms up before this
    function returns.

    Args:
        config: The sweep.
        watch: Is told of running attempts.
        note: Is called with each line worth showing.
        fleet: The workers of a cluster; None for this machine.
        running: Folder in which each attempt has a folder, if the experiment writes files.
    """
    writes_files = isinstance(config.experiment, SupportsFiles)
    folders = running if writes_files else None
    if config.parallelism.workers == 0:
        return InProcessExecutor(config.experiment, config.data, watch, watch.verdict_on, folders)
    from sweeps.executors.local.executor import WorkersExecutor
    from sweeps.executors.preloading import make_preload

    preload = make_preload(
        config.space.experiment,
        config.folder,
        config.data,
        modules=[] if config.pruner.name == "none" else ["sweeps.study.samplers"],
        writes_files=writes_files,
    )
    if fleet is not None:
        from sweeps.executors.dask.executor import DaskExecutor

        return DaskExecutor(
            fleet,
            preload,
            watch,
            note,
            ask_ahead=config.ask_ahead,
            trial_timeout_seconds=config.failures.trial_timeout_seconds,
        )
    return WorkersExecutor(
        config.parallelism.at_once,
        preload,
        watch,
        note,
        trial_timeout_seconds=config.failures.trial_timeout_seconds,
        folders=folders,
    )


@dataclass(frozen=True)
class RunResult:
    """A sweep that has ended for any reason, with its summary, and what is left of its budget."""

    info: SweepInfo
    summary: Summary
    budget: Budget | None = None


@dataclass(frozen=True)
class Timing:
    """The beginning of a command, what it is, and what it will do after the trials.

    Attributes:
        watch: Began with the command.
        reserving: Says what a confirmation will take; None if none follows.
        command: What was typed, for hints; None from Python.
        answer: Is called with the result once the trials have ended; what MLflow lacks is not known
            before the return.
    """

    watch: Stopwatch = field(default_factory=Stopwatch)
    reserving: Reserving | None = None
    command: str | None = None
    answer: Callable[[RunResult], None] = lambda result: None


def run_options(
    asked: RunOptions,
    *,
    progress: Mode | Progress,
    has_failed: Callable[[Summary], bool] = lambda summary: False,
) -> RunResult:
    """Validate options and run the sweep; the command and `sweeps.run` share this function.

    Raises:
        UsageError: The options cannot be carried out; nothing was created.
    """
    timing = Timing()
    config = resolve(asked)
    return run_config(config, asked, progress=progress, has_failed=has_failed, timing=timing)


def run_config(
    config: SweepConfig,
    asked: RunOptions,
    *,
    progress: Mode | Progress,
    has_failed: Callable[[Summary], bool] = lambda summary: False,
    timing: Timing | None = None,
) -> RunResult:
    """Run a validated sweep, after checks of the cluster, the home, the databases and MLflow.

    Raises:
        UsageError: The options cannot be carried out; nothing was created.
    """
    timing = timing or Timing()
    cluster = find_cluster(asked)
    fleet = look_at(cluster) if cluster is not None else None
    if fleet is not None:
        parallelism = Parallelism(fleet.worker_slots, config.ask_ahead)
        config = dataclasses.replace(config, parallelism=parallelism)
    config.home.check_writable()
    tracking_uri = resolve_tracking_uri(config.home.path, asked.tracking_uri)
    away = check_store(tracking_uri)
    if away is None:  # finishes a `sweeps delete` that was killed
        finish_deletions(config.home, tracking_uri)
    shown = Logged(make_progress(progress))
    try:
        for baseline in config.dropped_baselines:
            shown.note(f"baseline {baseline!r} lies outside what --set allows: left out")
        if config.data.irreproducible:
            shown.note(f"reproducible=false: {config.data.irreproducible}")
        for line in fleet.notes if fleet is not None else ():
            shown.note(line)
        if config.why_sampler:
            shown.note(f"sampler: {config.sampler_in_words}")
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
            timing=timing,
        )
    finally:
        shown.close()


def _check_databases(home: Home, tracking_uri: str, note: Callable[[str], None]) -> None:
    """Refuse unusable databases, before anything is created."""
    database_retry = DatabaseRetry(note)
    backend = backend_of(home.studies)
    if backend.exists():
        backend.prepare(database_retry)
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
    timing: Timing | None = None,
) -> RunResult:
    """Create or resume a sweep and run it to its end.

    Args:
        config: The sweep.
        tracking_uri: Store of MLflow.
        progress: Shows what happens.
        has_failed: Whether the ended sweep missed its bound; then its parent run is FAILED.
        is_away: Whether the user was told already that the store cannot be reached.
        fleet: The workers of a cluster; None for this machine.
        timing: When the command began; None: now.

    Raises:
        UsageError: The name belongs to a sweep with other options, or another process runs it.
    """
    timing = timing or Timing()
    with StopRequest() as request:
        code = code_state(Path.cwd())
        opened = _existing(config) if config.retry is not None else open_sweep(config, code)
        store = config.home.store(opened.id)
        with (
            hold_to_send(config.home, opened, tracking_uri, progress.note, request.fail) as held,
            ControlListener(ControlRequests(store.folder), request, progress) as listener,
            Guard(held.lock, store, opened, progress.note, request.fail) as guard,
            ExitStack() as counting,
        ):
            _keep_log(config.home, opened, progress)
            records = recover(store, progress.note)
            info = newest_generation(config, opened, code)
            surroundings = _environment(config)
            for line in _said_of_the_start(config, opened, info, records):
                progress.note(line)
            if config.retry is not None:
                config, records = _marked(config, info, records)
            if config.more_epochs is not None:
                for line in _lengthened(config, info, config.more_epochs):
                    progress.note(line)
            budget = _budget(config, info, records, timing)
            if confirmed_by(info.directory) is None:  # whose command is counted as a whole
                starts = Starts(store.folder)
                counting.enter_context(starts.counted(timing.watch, timing.command))
            total = _total(config, info, records, budget)
            earlier = store.ending()
            _ask(config, store, total)
            parent = ParentRun(
                config, info, tracking_uri, progress, held, earlier, asked=total, is_away=is_away
            )
            watch = Watch(progress, request, listener)
            coordinator = _assemble(config, info, records, watch, parent, fleet, held, surroundings)
            coordinator.budget = budget
            for line in budget.lines() if budget is not None else ():
                progress.note(line)
            if config.extend:
                progress.note(describe_extension(opened, info, coordinator.queue.prior))
            coordinator.expected = total
            expected = total if budget is None else lambda: coordinator.expected
            progress.started(
                Tally(info, expected, records, longest_seconds=config.limits.timeout_seconds)
            )
            guard.watch(info, parent.files)
            over = {record.spec.trial for record in records if record.ends_trial}
            parent.catch_up(records, is_over=len(over) >= total)
            stopped_by = _run(coordinator, parent, held, guard)
            _ask(config, store, coordinator.total())  # points enqueued meanwhile count as well
            summarise = _summariser(config, info, timing.watch, coordinator)
            ended = summarise(stopped_by)
            _tell(RunResult(info, ended, budget), progress, timing)
            report = parent.finish(ended, failed=has_failed(ended), request=request)
            # A stop request after the last trial has stopped only the wait for MLflow.
            stopped_by = stopped_by or (request.reason if report.pending else None)
            guard.check()
            if request.reason is None:  # else somebody waits for the end
                store.index()
            pending, why = guard.pending(report.done, len(report.pending), report.error)
            summary = dataclasses.replace(
                summarise(stopped_by),
                tracking_pending=pending,
                tracking_error=why,
                deleted=tuple(guard.lost),
            )
    progress.finished(summary)
    info = dataclasses.replace(info, checked=store.checked())
    return RunResult(info, summary, budget)


def _tell(result: RunResult, progress: Progress, timing: Timing) -> None:
    progress.trials_ended(result.summary)
    timing.answer(result)


def _budget(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], timing: Timing
) -> Budget | None:
    """Return what is left of the budget of all starts; None without one."""
    seconds = config.limits.budget_seconds
    if seconds is None or config.retry is not None:
        return None
    used = time_used(config.home, info)
    return make_budget(config, records, used, timing.watch, timing.reserving)


def _total(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], budget: Budget | None
) -> int:
    """Return how many trials the sweep gets, as far as is known at the start."""
    begun = max((record.spec.trial + 1 for record in records), default=0)
    asked = config.limits.trials
    if budget is not None:
        asked = max(begun, min(asked, budget.trials or 0))
    return _enqueued(config, info).total(asked, begun)


def _run(coordinator: Coordinator, parent: ParentRun, held: Hold, guard: Guard) -> str | None:
    """Run to the end and return why it was stopped; an error ends the parent run if it is ours."""
    try:
        try:
            return coordinator.run()
        finally:  # an error may come of another process that has taken the sweep
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


def _keep_log(home: Home, info: SweepInfo, progress: Progress) -> None:
    """Log what is shown beside the records; of a confirmation, in the log of its sweep."""
    if isinstance(progress, Logged):
        confirmed = confirmed_by(info.directory)
        path = progress.keep_in(home.store(confirmed or info.id).folder)
        if confirmed is None:
            near = path.is_relative_to(Path.cwd())
            progress.note(f"full output: {path.relative_to(Path.cwd()) if near else path}")


def _assemble(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
    watch: Watch,
    parent: ParentRun,
    fleet: Fleet | None,
    held: Hold,
    surroundings: Mapping[str, Any],
) -> Coordinator:
    request, note = watch.request, watch.progress.note
    database_retry = DatabaseRetry(note, lambda: request.reason is not None)
    directions = [one.direction for one in info.objectives]
    study = StudyStore(config.home.studies, info.study_name, directions, database_retry, held.lease)
    study.end_open_trials_of(info.earlier_studies)
    points = _enqueued(config, info)
    store = RecordStore(config.home.store(info.id).folder, held.send)
    queue = make_trial_queue(config, info, records, study, points.for_trial)

    def start() -> Executor:
        if confirmed_by(info.directory) is None:  # a confirmation is one count of all trainings
            note("warming up")
        executor = start_executor(config, watch, note, fleet, store.running)
        if not isinstance(executor, InProcessExecutor):
            parent.prepare()  # beside what the workers import
        return executor

    return Coordinator(
        config=config,
        sweep_id=info.id,
        queue=queue,
        points=points,
        store=store,
        progress=watch.progress,
        request=request,
        watch=watch,
        start_executor=start,
        environment=surroundings,
        on_record=parent.project,
    )


def _environment(config: SweepConfig) -> dict[str, Any]:
    """Return versions, machine and code, as the records of this start keep them."""
    if config.code is None:
        return environment()
    return {**environment(config.code.packages), "code": config.code.identity}


def _said_of_the_start(
    config: SweepConfig,
    opened: SweepInfo,
    info: SweepInfo,
    records: Sequence[Record],
) -> Iterator[str]:
    """Keep the code that the sweep goes on with; yield lines on changes since its last trial."""
    if info.experiment != opened.experiment:
        command = script_facts(info.experiment)["command"]
        yield f"its script is run by another Python from now on: {command}"
    imported = read_imported(config.home.store(info.id).folder)
    if imported is not None:
        yield describe_imported(imported)
    learned = learned_by(config.home.store(info.id).folder, info)
    if learned is not None and not records:
        yield f"--learn-from {learned.asked}: {describe_learned(learned)}"
    said = keep_code(config, info)
    if said is not None and records:
        yield said
    if records:
        last = records[-1]
        changed = "; ".join(changed_versions(last.environment))
        if changed:
            yield f"changed since trial {last.spec.trial} was trained: {changed}"


def _existing(config: SweepConfig) -> SweepInfo:
    check_fingerprint(config)
    return config.home.get(config.name)


def _marked(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record]
) -> tuple[SweepConfig, list[Record]]:
    """Mark the failed trials that `retry` runs again; from then on they have no outcome.

    Returns:
        The sweep with its number of trials set to those that were begun, and its records, read
        again.

    Raises:
        UsageError: One of the trials did not fail.
    """
    store = config.home.store(info.id)
    waiting = store.retries.waiting(records)
    stored = stored_trials(config.home.studies, info.study_name)
    begun = max(info.first_trial, len(stored), *(record.spec.trial + 1 for record in records), 0)
    failed = trials_to_retry(info.name, records, waiting, config.retry or ())
    if failed:
        store.retries.add([record.spec.key for record in failed], begun)
    limits = dataclasses.replace(config.limits, trials=begun)
    return dataclasses.replace(config, limits=limits), store.read_all()


def _lengthened(config: SweepConfig, info: SweepInfo, more: int) -> Iterator[str]:
    """Queue the best trial with more epochs; yield what is said of it."""
    for one in enqueue_longer(config.home, info, config.space, config.experiment, more).trials:
        if one.state == "a trial":
            yield f"--more-epochs {more}: that is trial {one.number} already"
        else:
            yield f"--more-epochs {more}: {one.origin.removeprefix('enqueued, ')} is the next trial"


def _ask(config: SweepConfig, store: RecordStore, total: int) -> None:
    """Store how many trials are asked for; a retry never lowers this number."""
    store.ask(total if config.retry is None else max(total, store.asked() or 0))


def _enqueued(config: SweepConfig, info: SweepInfo) -> EnqueuedPoints:
    """Return the enqueued points that this start runs; a retry runs none that wait."""
    fits = partial(lies_in, config.space) if config.retry is None else lambda params: False
    return EnqueuedPoints(config.home.store(info.id).folder, fits)


def _summariser(
    config: SweepConfig,
    info: SweepInfo,
    watch: Stopwatch,
    coordinator: Coordinator,
) -> Callable[[str | None], Summary]:
    store = config.home.store(info.id)
    # Recorded attempts never change: if there are no new ones, they need not be read again.
    known = coordinator.queue.records
    records = known if len(known) == len(store.paths()) else store.read_all()

    def summarise(stopped_by: str | None) -> Summary:
        ended = summarize(
            info,
            records,
            asked=store.asked() or 0,
            seconds=watch.seconds,
            stopped_by=stopped_by,
            failure_cause=coordinator.failure_cause(),
            time_split=dict(coordinator.seconds),
        )
        confirmed = heard(Conclusions(store.folder).confirmed)
        return dataclasses.replace(ended, champion=champion_of(confirmed))

    return summarise
