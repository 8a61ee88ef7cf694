"""The workers of a cluster, looked at before anything is created: versions, processors, places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.errors import UsageError
from sweeps.executors.cluster.connecting import Cluster
from sweeps.executors.cluster.resources import how_often, in_words
from sweeps.executors.cluster.starting import ALLOWED_FAILURES
from sweeps.executors.cluster.versions import About, about, versions
from sweeps.provenance import cpu_features


@dataclass(frozen=True)
class Fleet:
    """A scheduler with the workers that it had when the sweep began.

    Attributes:
        places: How many attempts they train at once.
        is_mixed: Whether some have other CPU features than the coordinator.
        notes: What the user is to be told, a line each.
    """

    cluster: Cluster
    places: int
    is_mixed: bool
    notes: tuple[str, ...]


def look_at(cluster: Cluster) -> Fleet:
    """Return what the workers of a cluster are.

    Raises:
        UsageError: Nobody answers, there is no worker, workers have other versions, or none of
            them offers the resources that are asked for.
    """
    with cluster.connect() as client:
        free = places(client, cluster.resources)
        if not free:
            raise UsageError(
                f"--executor {cluster.asked}: the scheduler has no worker; start some: dask worker "
                f"{cluster.address}"
            )
        _check_resources(client, cluster, free)
        found = _ask(client, cluster)
        allowed = int(client.run_on_scheduler(allowed_failures))
    others = {where: one["features"] for where, one in found.items()}
    mixed = mixed_note(others)
    notes = [] if allowed == ALLOWED_FAILURES else [_allowed_note(allowed)]
    notes += [mixed] if mixed else []
    return Fleet(cluster, sum(free.values()), bool(mixed), tuple(notes))


def places(client: Any, resources: Mapping[str, float]) -> dict[str, int]:
    """Return how many attempts each worker trains at once: by its threads, and by its resources."""
    if not resources:
        return dict(client.nthreads())
    workers = client.scheduler_info()["workers"]
    return {
        where: min(int(worker["nthreads"]), *how_often(worker["resources"], resources))
        for where, worker in workers.items()
    }


def mixed_note(others: Mapping[str, Iterable[str]]) -> str | None:
    """Return, in a line, which workers have other CPU features than this machine; None: none."""
    own = set(cpu_features())
    unlike = {where: own ^ set(features) for where, features in others.items()}
    unlike = {where: features for where, features in unlike.items() if features}
    if not unlike:
        return None
    where, features = next(iter(sorted(unlike.items())))
    lacking, more = sorted(features & own), sorted(features - own)
    texts = [f"no {', '.join(lacking)}"] if lacking else []
    texts += [f"also {', '.join(more)}"] if more else []
    beyond = f" (one of {len(unlike)} workers)" if len(unlike) > 1 else ""
    return (
        f"mixed CPU features: {where}{beyond} has {'; '.join(texts)}, unlike this machine; the "
        "last bits of a trial depend on who trains it: reproducible=false"
    )


def _allowed_note(allowed: int) -> str:
    return (
        f"cluster: allowed-failures of its scheduler is {allowed}, so an attempt is begun again "
        f"{allowed} times at most when its worker dies; `sweeps cluster start` sets "
        f"{ALLOWED_FAILURES}"
    )


def allowed_failures(dask_scheduler: Any) -> int:
    """Return how many deaths of its worker a task survives; called inside the scheduler."""
    return int(dask_scheduler.allowed_failures)


def _ask(client: Any, cluster: Cluster) -> Mapping[str, About]:
    """Return what every worker says of itself."""
    try:
        found: dict[str, Any] = client.run(about, versions(), on_error="return")
    except Exception as error:  # Dask cannot even say what
        raise UsageError(
            f"--executor {cluster.asked}: its workers cannot say what they are "
            f"({type(error).__name__} {error}); install the same everywhere"
        ) from None
    wrong = {where: _trouble(one) for where, one in found.items()}
    for where, text in wrong.items():
        if text:
            raise UsageError(
                f"--executor {cluster.asked}: {where}: {text}; install the same everywhere"
            )
    return found


def _trouble(one: About | Exception) -> str:
    if isinstance(one, Exception):  # such as: it does not know this package
        return f"{type(one).__name__}: {one}"
    return "; ".join(one["differences"])


def _check_resources(client: Any, cluster: Cluster, free: Mapping[str, int]) -> None:
    if any(free.values()):
        return
    asked = in_words(cluster.resources)
    workers = client.scheduler_info()["workers"].values()
    offered = sorted({in_words(w["resources"]) for w in workers} - {""})
    raise UsageError(
        f"--resources {asked}: no worker offers it (offered: {' or '.join(offered) or 'nothing'}); "
        f"start one that does: dask worker {cluster.address} --resources "
        f"'{' '.join(asked.split(','))}'"
    )
