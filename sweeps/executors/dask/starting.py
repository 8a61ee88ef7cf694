"""A Dask cluster on this machine, as Dask starts one: a scheduler here, and worker processes."""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sweeps.errors import UsageError

ALLOWED_FAILURES: Final = 2
"""How many deaths of its worker an attempt survives, by default.

What a training does to its own process never counts here: it runs in a child of the Dask worker.
So this is about machines, and as often as we try a crash again. The worst is a training that takes
its whole machine along, such as one whose container is killed for want of memory: with 2 crash
retries it costs (2 + 1) * (2 + 1) = 9 workers until it has failed; with Dask's 3 it would be 12.
"""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format: of the authority, and the key pair that it has signed."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True)
class LocalPlan:
    """What is to be started.

    Attributes:
        workers: Worker processes.
        threads: Attempts that each of them trains at once.
        host: Address to listen on.
        port: Of the scheduler.
        allowed_failures: How many deaths of its worker an attempt survives.
        certificates: None for a cluster without encryption.
        resources: What each worker offers.
    """

    workers: int
    threads: int
    host: str
    port: int
    allowed_failures: int = ALLOWED_FAILURES
    certificates: Certificates | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def local_cluster(plan: LocalPlan) -> Iterator[str]:
    """Start a scheduler and workers; end them, and whatever they train, on the way out.

    Yields:
        The scheduler's address, as Dask has it.

    Raises:
        UsageError: Dask is not installed, or cannot start them.
    """
    try:
        import distributed
    except ImportError:
        raise UsageError(
            "sweeps cluster needs the package distributed: pip install -e '.[cluster]'"
        ) from None
    dask: Any = distributed  # untyped
    with tempfile.TemporaryDirectory(prefix="sweeps-cluster-") as folder:
        try:
            cluster = dask.LocalCluster(
                n_workers=plan.workers,
                threads_per_worker=plan.threads,
                host=f"[{plan.host}]" if ":" in plan.host else plan.host,
                scheduler_port=plan.port,
                security=_security(dask, plan.certificates),
                # Read once, when the scheduler starts: no client can change it later. Its web
                # server cannot be switched off; it stays on this machine, on any free port.
                scheduler_kwargs={
                    "allowed_failures": plan.allowed_failures,
                    "dashboard": False,
                    "dashboard_address": "127.0.0.1:0",
                },
                memory_limit=0,  # trainings are children, which Dask does not count
                resources=dict(plan.resources) or None,
                local_directory=folder,
                preload=[__name__],
                silence_logs=logging.CRITICAL + 1,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Dask cluster can be started: {_cause(error)}") from None
        with cluster:
            yield str(cluster.scheduler_address)


def dask_setup(_worker: Any) -> None:
    """Leave Ctrl-C to who started the cluster; called by Dask in each worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _security(dask: Any, certificates: Certificates | None) -> Any:
    if certificates is None:
        return dask.Security(require_encryption=False)
    pairs = {
        f"tls_{role}_{part}": str(getattr(certificates, part))
        for role in ("scheduler", "worker", "client")
        for part in ("cert", "key")
    }
    return dask.Security(require_encryption=True, tls_ca_file=str(certificates.ca), **pairs)


def _cause(error: BaseException) -> str:
    """Return, in a line, the first of what led to an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
