"""Chooses the executor: this process, worker processes of this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweeps.capabilities import SupportsFiles
from sweeps.config.options import RunOptions
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.executors import Executor, InProcessExecutor
from sweeps.executors.dask.fleet import Cluster, Fleet, check_resources, parse_cluster
from sweeps.runner.loop import Watch


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
    note("warming up")
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
