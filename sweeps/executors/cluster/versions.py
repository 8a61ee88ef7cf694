"""Whether another process would train the same: versions, and what its processor can."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Final, TypedDict

from sweeps.provenance import cpu_features

PACKAGES: Final = ("digit-sweeps", "tensorflow", "keras", "numpy", "optuna")


class About(TypedDict):
    """What a worker says of itself: what it has otherwise, and its CPU features."""

    differences: list[str]
    features: list[str]


def about(wanted: Mapping[str, str]) -> About:
    """Say what this process is; called inside Dask's workers."""
    return {"differences": differences(wanted), "features": cpu_features()}


def versions() -> dict[str, str]:
    """Return the versions that must be equal everywhere; `absent` of what is not installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def differences(wanted: Mapping[str, str]) -> list[str]:
    """Return what this process has otherwise, one text each: `keras 3.15.1 there, 3.14 here`."""
    here = versions()
    return [
        f"{name} is {here.get(name, 'absent')}, the coordinator has {version}"
        for name, version in wanted.items()
        if here.get(name) != version
    ]
