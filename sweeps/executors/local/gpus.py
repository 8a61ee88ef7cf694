"""Deals the GPUs of this machine out to the workers, by `CUDA_VISIBLE_DEVICES`.

Left to themselves all workers would take the first GPU. The variable is read when a process first
uses CUDA. A fork server should not do that (a process that has used CUDA cannot be forked), so each
worker can have its own, and so has every process that it starts: a script in PyTorch as well as
TensorFlow. ROCm reads the same variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
SHARING: Final = {
    # Else a process takes most of a GPU's memory at once, and the next worker gets none.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # JAX
}
"""What workers that may share a GPU are told, unless the user's environment says otherwise."""
DEVICES: Final = Path("/dev")
_DEVICE: Final = re.compile(r"nvidia\d+")


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number or name, as `VARIABLE` has them.

    Without the variable they are those of NVIDIA whose device files are here. As for CUDA, a number
    that no GPU has ends the list.
    """
    count = sum(_DEVICE.fullmatch(path.name) is not None for path in DEVICES.glob("nvidia*"))
    listed = os.environ.get(VARIABLE)
    if listed is None:
        return [str(number) for number in range(count)]
    found: list[str] = []
    for name in map(str.strip, listed.split(",")):
        beyond = name.isdecimal() and 0 < count <= int(name)
        if not name or name.startswith("-") or beyond:
            break
        found.append(name)
    return found


def dealt(gpus: Sequence[str], workers: int) -> list[str | None]:
    """Return, for each worker, the value of its `VARIABLE`; None: it stays as it is.

    Each worker sees another GPU. If there are more workers, they share in turn; if there are more
    GPUs, some workers see several. A single worker, or a single GPU, leaves nothing to deal.
    """
    if len(gpus) < 2 or workers < 2:
        return [None] * workers
    if workers <= len(gpus):
        return [",".join(gpus[worker::workers]) for worker in range(workers)]
    return [gpus[worker % len(gpus)] for worker in range(workers)]


def environments(workers: int) -> list[Mapping[str, str]]:
    """Return what the environment of each worker has beyond that of this process."""
    gpus = visible_gpus()
    may_share = workers > max(1, len(gpus))  # GPUs that are not found may be there
    sharing = {name: value for name, value in SHARING.items() if name not in os.environ}
    return [
        {**(sharing if may_share else {}), **({} if seen is None else {VARIABLE: seen})}
        for seen in dealt(gpus, workers)
    ]
