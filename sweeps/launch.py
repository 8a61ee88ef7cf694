"""Runs a validated sweep from opening to summary; the only module that knows all parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from search_spaces.mapping import lies_in
from search_spaces.objectives import ObjectiveFunction
from search_spaces.parameters import Value
from search_spaces.python_space import scored_by
from sweeps.analysis.summary import Summary, champion_of, summarize
from sweeps.capabilities import SupportsFiles, SupportsWarmUpFor
from sweeps.config.options import RunOptions
from sweeps.config.policies import Parallelism
from sweeps.config.resolving import resolve
from sweeps.config.sweep import SweepConfig
from sweeps.errors import LeaseLost, UsageError
from sweeps.executors import Executor, InProcessExecutor
from sweeps.executors.dask.fleet import Cluster, Fleet, check_resources, look_at, parse_cluster
from sweeps.experiments.given import UNCOUNTED
from sweeps.experiments.loading import script_facts
from sweeps.experiments.objective import ObjectiveExperiment
from sweeps.home import Home
from sweeps.journal.events import Retried
from sweeps.progress import Mode, Progress, make_progress
from sweeps.progress.lines import Logged
from sweeps.progress.tally import Tally
from sweeps.records import (
    Conclusions,
    Record,
    SweepInfo,
    confirmed_by,
    counted_start,
    describe_learned,
    heard,
    recover,
)
from sweeps.records.enqueued import trials_in_all, trials_to_retry
from sweeps.runner.budget import Budget, Reserving, make_budget
from sweeps.runner.control import ControlListener, StopRequest
from sweeps.runner.enqueuing import enqueue_longer_of
from sweeps.runner.loop import Coordinator
from sweeps.runner.opening import (
    check_fingerprint,
    describe_extension,
    describe_imported,
    keep_code,
    learned_by,
    make_trial_queue,
    newest_generation,
    open_sweep,
    trials_begun,
)
from sweeps.runner.ownership import Guard, Hold
from sweeps.tracking.address import resolve_tracking_uri, sqlite_path
from sweeps.tracking.parent import ParentRun, outage_note
from sweeps.tracking.preflight import check_store
from sweeps.tracking.store import check_database
from sweeps.tracking.sync import finish_deletions, hold_to_send
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.provenance import changed_versions, code_state, environment


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


def start_executor(coordinator: Coordinator, *, fleet: Fleet | None, running: Path) -> Executor:
    """Start the executor of a sweep.

    Workers get ready in the background; the calling process (`--workers 0`) warms up before this
    function returns.

    Args:
        coordinator: Is told of running attempts.
        fleet: The workers of a cluster; None for this machine.
        running: Folder in which each attempt has a folder, if the experiment writes files.
    """
    config, note = coordinator.config, coordinator.progress.note
    writes_files = isinstance(config.experiment, SupportsFiles)
    folders = running if writes_files else None
    is_warmed_up_for = isinstance(config.experiment, SupportsWarmUpFor)
    configs = config.some_configurations() if is_warmed_up_for else []
    if config.parallelism.workers == 0:
        return InProcessExecutor(
            config.experiment,
            config.data,
            coordinator,
            coordinator.verdict_on,
            folders=folders,
            configs=configs,
            note=note,
        )
    from sweeps.executors.local.executor import WorkersExecutor
    from sweeps.executors.preloading import make_preload

    preload = make_preload(
        config.space.experiment,
        config.folder,
        config.data,
        modules=[] if config.pruner.name == "none" else ["sweeps.study.samplers"],
        writes_files=writes_files,
        configs=configs,
    )
    longest = config.failures.trial_timeout_seconds
    if fleet is not None:
        from sweeps.executors.dask.executor import DaskExecutor

        ahead = config.ask_ahead
        return DaskExecutor(
            fleet, preload, coordinator, note, ask_ahead=ahead, trial_timeout_seconds=longest
        )
    at_once = config.parallelism.at_once
    return WorkersExecutor(
        at_once, preload, coordinator, note, trial_timeout_seconds=longest, folders=folders
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
) -> RunResult:
    """Validate options and run the sweep, as `sweeps.run` and a confirmation do.

    Raises:
        UsageError: The options cannot be carried out; nothing was created.
    """
    timing = Timing()  # before the options are resolved, which takes time, too
    config = resolve(asked)
    return run_config(config, asked, progress=progress, timing=timing)


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
        config = replace(config, parallelism=parallelism)
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
        for line in _described(config):
            shown.note(line)
        if (runs := sqlite_path(tracking_uri)) is not None:
            check_database(runs, shown.note)
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


def _described(config: SweepConfig) -> Iterator[str]:
    """Yield lines on what was chosen for the user."""
    if config.space.is_open:
        yield describe_objective(config)
    if config.why_sampler:
        yield f"sampler: {config.sampler_in_words}"
    if config.parallelism.idle or config.parallelism.why:
        yield f"workers: {config.parallelism}"


def describe_objective(config: SweepConfig) -> str:
    """Return a line: which way an objective function is taken, and what is no part of its code."""
    ways = [f"{one.direction[:-1]}es" for one in config.space.objectives]
    what = "the value" if len(ways) == 1 else "the values"
    path = ObjectiveFunction.from_experiment(config.space.experiment).path
    text = f"{' and '.join(ways)} {what} that {path} returns (direction)"
    if isinstance(config.experiment, ObjectiveExperiment):
        returned, on_test = scored_by(path, config.experiment.function)
        text += f": {returned}" if returned else ""
        if on_test:
            text += f"; if {on_test} is of the test set, none is left for the end"
    files = config.code.files if config.code is not None else {}
    left_out = [
        name for name, file in files.items() if (file.text or "").strip().endswith(UNCOUNTED)
    ]
    names = ", ".join(name.rpartition(" ")[2] for name in left_out)
    if config.code is None:
        text += "; its source text cannot be read, so that an edit of it is not noticed"
    return f"{text}; a change of {names} is not noticed" if names else text


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
    """Create or resume a sweep and run it to its end; comments say why the steps have this order.

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
    with StopRequest() as request:  # first: from here on a signal lets all that is below end
        code, note = code_state(Path.cwd()), progress.note
        # Before the lock, which lies in the folder of the sweep. A retry creates no sweep.
        opened = check_fingerprint(config) if config.retry is not None else open_sweep(config, code)
        opened = opened or config.home.get(config.name)
        store = config.home.store(opened.id)
        with (
            # Before anything else is read: the last owner, maybe on another host, wrote until now.
            hold_to_send(
                config.home, opened, tracking_uri, note, request.fail, request.is_asked
            ) as held,
            # Under the lock, since it withdraws the requests to whoever had the sweep before.
            ControlListener(store, request, progress) as listener,
            # Under the lock, which it watches.
            Guard(held, store, opened, note) as guard,
            ExitStack() as counting,
        ):
            start = _Start(config, opened, progress, timing, held=held, guard=guard)
            start.take_up(code)
            start.count(counting)
            parent = start.track(tracking_uri, is_away=is_away)
            coordinator = start.assemble(request, listener, parent, fleet)
            stopped_by = start.run(coordinator, parent)
            summary = start.end(coordinator, parent, stopped_by, has_failed=has_failed)
    # Without the lock: who hears that it is over may run the next command on the sweep at once.
    progress.finished(summary)
    return RunResult(replace(start.info, checked=store.state().checked), summary, start.budget)


class _Start:
    """One start of a sweep, from the moment on that this process holds it.

    Its methods are the steps of `run_sweep`, in their order: each needs those above it.
    """

    def __init__(
        self,
        config: SweepConfig,
        opened: SweepInfo,
        progress: Progress,
        timing: Timing,
        *,
        held: Hold,
        guard: Guard,
    ) -> None:
        self.config, self.opened, self.info = config, opened, opened
        self.progress, self.timing = progress, timing
        self.held, self.guard = held, guard
        self.store = config.home.store(opened.id)
        self.records: Sequence[Record] = ()
        self.surroundings: dict[str, Any] = {}
        self.budget: Budget | None = None
        self.total = 0

    @property
    def is_confirmation(self) -> bool:
        """Whether it is a part of a confirmation, whose command is counted and told as a whole."""
        return confirmed_by(self.info.directory) is not None

    def take_up(self, code: Mapping[str, Any]) -> None:
        """Read what is there, and mark what this start runs beside new trials."""
        _keep_log(self.config.home, self.opened, self.progress)  # first: it has all lines below
        note = self.progress.note
        # Before anything counts the trials: a record that is torn is none.
        self.records = recover(self.store, note)
        # With whole records: an extension takes over the trials without an outcome.
        self.info = newest_generation(self.config, self.opened, code)
        self.store.begin(self.info)
        own = self.config.code
        self.surroundings = environment(own.packages if own is not None else ())
        self.surroundings |= {"code": own.identity} if own is not None else {}
        # Before the first trial: its record names the code, which is kept here.
        for line in self._said_of_the_start():
            note(line)
        # Before the number of trials is known, which both change.
        if self.config.retry is not None:
            self.config, self.records = _marked(self.config, self.info, self.records)
        if self.config.more_epochs is not None:
            for line in _lengthened(self.config, self.info, self.config.more_epochs):
                note(line)

    def _said_of_the_start(self) -> Iterator[str]:
        """Keep the code that the sweep goes on with; yield lines on what has changed."""
        info = self.info
        if info.experiment != self.opened.experiment:
            command = script_facts(info.experiment)["command"]
            yield f"its script is run by another Python from now on: {command}"
        imported = self.store.state().imported
        if imported is not None:
            yield describe_imported(imported)
        learned = learned_by(self.store, info)
        if learned is not None and not self.records:
            yield f"--learn-from {learned.asked}: {describe_learned(learned)}"
        said = keep_code(self.config, info)
        if said is not None and self.records:
            yield said
        if self.records:
            last = self.records[-1]
            changed = "; ".join(changed_versions(last.environment))
            if changed:
                yield f"changed since trial {last.trial} was trained: {changed}"

    def count(self, counting: ExitStack) -> None:
        """Find out how many trials there will be, and count this start."""
        config, asked = self.config, self.config.limits.trials
        begun = max((record.trial + 1 for record in self.records), default=0)
        if config.retry is None:
            # Before this start is counted below: the budget knows of its time by the watch.
            self.budget = make_budget(config, self.timing.watch, self.timing.reserving)
        if self.budget is not None:
            asked = max(begun, min(asked, self.budget.trials or 0))
        if not self.is_confirmation:
            watch, command = self.timing.watch, self.timing.command
            counting.enter_context(counted_start(self.store, watch, command))
        self.total = trials_in_all(self.store.state(), asked, begun, _fitting(config))

    def track(self, tracking_uri: str, *, is_away: bool) -> ParentRun:
        """Begin to send runs to MLflow."""
        earlier = self.store.state().finished  # before the next line, which removes it
        self._ask(self.total)  # before anything of MLflow, whose notes have this number
        return ParentRun(
            self.config,
            self.info,
            tracking_uri,
            self.progress,
            self.held,
            earlier,
            asked=self.total,
            is_away=is_away,
        )

    def _ask(self, total: int) -> None:
        """Store how many trials are asked for; a retry never lowers this number."""
        is_retry = self.config.retry is not None
        self.store.ask(max(total, self.store.state().requested or 0) if is_retry else total)

    def assemble(
        self, request: StopRequest, control: ControlListener, parent: ParentRun, fleet: Fleet | None
    ) -> Coordinator:
        """Put together what runs the trials."""
        config, info = self.config, self.info
        store = self.store

        def start(coordinator: Coordinator) -> Executor:
            if not self.is_confirmation:
                self.progress.note("warming up")
            executor = start_executor(coordinator, fleet=fleet, running=store.running)
            if not isinstance(executor, InProcessExecutor):
                parent.prepare()  # beside what the workers import
            return executor

        return Coordinator(
            config=config,
            queue=make_trial_queue(config, info, self.records, _fitting(config)),
            store=store,
            progress=self.progress,
            request=request,
            control=control,
            start_executor=start,
            environment=self.surroundings,
            on_record=parent.project,
            budget=self.budget,
            expected=self.total,
        )

    def run(self, coordinator: Coordinator, parent: ParentRun) -> str | None:
        """Run the trials and return why they were stopped; an error ends the parent run, too."""
        config, progress = self.config, self.progress
        for line in self.budget.lines() if self.budget is not None else ():
            progress.note(line)
        if config.extend:
            progress.note(describe_extension(self.opened, self.info, coordinator.queue.prior))
        expected = self.total if self.budget is None else lambda: coordinator.expected
        longest = config.limits.timeout_seconds
        progress.started(Tally(self.info, expected, self.records, longest_seconds=longest))
        self.guard.watch(self.info, parent.files)
        parent.catch_up(self.records)
        try:
            try:
                return coordinator.run()
            finally:  # an error may come of another process that has taken the sweep
                self.guard.check()
        except LeaseLost:
            parent.leave()  # the sweep is not ours any more, nor its parent run
            raise
        except BaseException as error:
            parent.abandon(error)
            raise

    def end(
        self,
        coordinator: Coordinator,
        parent: ParentRun,
        stopped_by: str | None,
        *,
        has_failed: Callable[[Summary], bool],
    ) -> Summary:
        """Say what was found, and wait for MLflow."""
        guard, request = self.guard, coordinator.request
        self._ask(coordinator.total())  # before the summary: points enqueued meanwhile count, too
        # Recorded attempts never change: if there are no new ones, they need not be read again.
        known = coordinator.queue.records
        records = known if len(known) == len(self.store.state().ended) else self.store.read_all()
        ended = self._summary(records, coordinator, stopped_by)
        # Before MLflow, which may be slow or away: the answer does not depend on it.
        self.progress.trials_ended(ended)
        self.timing.answer(RunResult(self.info, ended, self.budget))
        report = parent.finish(ended, failed=has_failed(ended), request=request)
        # A stop request after the last trial has stopped only the wait for MLflow.
        stopped_by = stopped_by or (request.reason if report.pending else None)
        guard.check()  # after that wait, in which files may have been deleted
        pending, why = len(report.pending), report.error
        if guard.runs_lost is not None:  # with the parent run
            pending, why = pending + report.done + 1, guard.runs_lost
        return replace(
            self._summary(records, coordinator, stopped_by),
            tracking_pending=pending,
            tracking_error=why,
            deleted=tuple(guard.lost),
        )

    def _summary(
        self, records: Sequence[Record], coordinator: Coordinator, stopped_by: str | None
    ) -> Summary:
        ended = summarize(
            self.info,
            records,
            asked=self.store.state().requested or 0,
            seconds=self.timing.watch.seconds,
            stopped_by=stopped_by,
            failure_cause=coordinator.breaker.cause(),
            time_split=dict(coordinator.seconds),
        )
        confirmed = heard(Conclusions(self.store).confirmed)
        return replace(ended, champion=champion_of(confirmed))


def _keep_log(home: Home, info: SweepInfo, progress: Progress) -> None:
    """Log what is shown in the folder of the sweep; of a confirmation, in the log of its sweep."""
    if isinstance(progress, Logged):
        confirmed = confirmed_by(info.directory)
        path = progress.keep_in(home.store(confirmed or info.id).folder)
        if confirmed is None:
            near = path.is_relative_to(Path.cwd())
            progress.note(f"full output: {path.relative_to(Path.cwd()) if near else path}")


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
    begun = trials_begun(info, store.state())
    again = trials_to_retry(info.name, store.state(), records, config.retry or ())
    failed = tuple(record.key for record in again.values() if record is not None)
    if failed:
        store.append(Retried(attempts=failed, opened=begun))
    limits = replace(config.limits, trials=begun)
    return replace(config, limits=limits), store.read_all()


def _lengthened(config: SweepConfig, info: SweepInfo, more: int) -> Iterator[str]:
    """Queue the best trial with more epochs; yield what is said of it."""
    target = config.space, config.experiment
    for one in enqueue_longer_of(config.home, info, more, target=target).trials:
        if one.state == "a trial":
            yield f"--more-epochs {more}: that is trial {one.number} already"
        else:
            yield f"--more-epochs {more}: {one.origin.removeprefix('enqueued, ')} is the next trial"


def _fitting(config: SweepConfig) -> Callable[[Mapping[str, Value]], bool]:
    """Return which enqueued points this start tries: those in its space; a retry tries none."""
    return partial(lies_in, config.space) if config.retry is None else lambda params: False
