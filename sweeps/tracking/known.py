"""What a projection knows of a sweep's runs, until an error says the store may have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UNDRAWN: Final = "undrawn"
"""Tag of a run that lacks files which could not be made; also its status where completeness is
judged."""
ORPHANED: Final = "orphaned"
"""Status of a run under a parent that is no more, where completeness is judged."""


@dataclass
class KnownSweep:
    """What is known of one sweep's runs.

    Attributes:
        children: Key of an attempt -> run id and status.
        columns: Parameters seen so far: columns of the sweep's view.
    """

    experiment_id: str
    parent_id: str
    children: dict[str, tuple[str, str]] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)


class ForgetOnError:
    """Forgets what was known of a sweep when a call fails: the store may have changed."""

    def __init__(self, sweeps: dict[str, KnownSweep], sweep_id: str) -> None:
        self._sweeps, self._sweep_id = sweeps, sweep_id

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._sweeps.pop(self._sweep_id, None)


def status_of(run: Any, parent_id: str) -> str:
    """Return a run's status; what still lacks something never has the one it is to end with."""
    if run.data.tags.get(UNDRAWN) == "true":
        return UNDRAWN
    is_child = run.data.tags.get("mlflow.parentRunId") == parent_id
    return standing(str(run.info.status), run.data.tags) if is_child else ORPHANED


def standing(status: str, tags: Mapping[str, str]) -> str:
    """Return a run's status; of an attempt that was tried again also that."""
    return f"{status}, retried" if tags.get("retried") else status
