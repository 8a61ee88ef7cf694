"""Deals the GPUs of this machine out to the workers, by `CUDA_VISIBLE_DEVICES`.

Left to themselves all workers would take the first GPU. The variable is read when a process first
uses CUDA, which a fork server never does, so each worker gets its own, and so does every process
that it starts: a script in PyTorch as well as TensorFlow. ROCm reads the same variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
DEVICES: Final = Path("/dev")
_DEVICE: Final = re.compile(r"nvidia\d+")


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number or name, as `VARIABLE` has them.

    Without the variable they are those whose device files are here. As CUDA does, a number below 0
    ends the list.
    """
    listed = os.environ.get(VARIABLE)
    if listed is None:
        there = (path for path in DEVICES.glob("nvidia*") if _DEVICE.fullmatch(path.name))
        return [str(number) for number, _ in enumerate(there)]
    found: list[str] = []
    for name in map(str.strip, listed.split(",")):
        if not name or name.startswith("-"):
            break
        found.append(name)
    return found


def dealt(gpus: Sequence[str], workers: int) -> list[str | None]:
    """Return, for each worker, the value of its `VARIABLE`; None: it stays as it is.

    Each worker sees another GPU; if there are more workers, they share in turn, and if there are
    more GPUs, each worker sees several. A single worker, or a single GPU, leaves nothing to deal.
    """
    if len(gpus) < 2 or workers < 2:
        return [None] * workers
    if workers <= len(gpus):
        return [",".join(gpus[worker::workers]) for worker in range(workers)]
    return [gpus[worker % len(gpus)] for worker in range(workers)]
