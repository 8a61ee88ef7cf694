"""Finds the sweep of a name or creates it; the same name with other options is refused."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.config import SweepConfig
from sweeps.coordinator.recording import describe
from sweeps.errors import UsageError
from sweeps.locks import exclusive
from sweeps.naming import free_name
from sweeps.records import SweepInfo


def open_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    """Return the sweep to run: the existing one of that name, or a new one.

    Raises:
        UsageError: The name belongs to a sweep with other options; names them and a free name.
    """
    check_fingerprint(config)
    _make(config.home.records)
    with exclusive(config.home.records):
        # Once more under the lock: another process may just have taken the name.
        existing = check_fingerprint(config)
        if existing is not None:
            return existing
        info = _new_sweep(config, code)
        config.home.store(info.id).create(info)
        return info


def check_fingerprint(config: SweepConfig) -> SweepInfo | None:
    """Return the existing sweep of that name, None if there is none.

    Raises:
        UsageError: It was made with other options.
    """
    info = config.home.find(config.name)
    if info is None or info.fingerprint == config.fingerprint:
        return info
    differences = "; ".join(_differences(info, config))
    taken = [i.name for i in config.home.sweeps()]
    raise UsageError(
        f"sweep {config.name!r} exists with other options ({differences}). Repeat the options it "
        f"was made with to continue it, or begin another: --name {free_name(config.name, taken)}"
    )


def _differences(info: SweepInfo, config: SweepConfig) -> Iterator[str]:
    for key, asked in config.fingerprint.items():
        there = info.fingerprint.get(key)
        if there == asked:
            continue
        if key == "space":
            yield from _space_differences(info.space, config.space.to_dict())
        else:
            yield f"{key}: {_short(there)} there, {_short(asked)} asked"


def _space_differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for part in sorted(there.keys() | asked.keys()):
        old, new = there.get(part), asked.get(part)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
            yield f"space, {part}: {', '.join(names) or 'their order'} differ"
        else:
            yield f"space, {part}: {_short(old)} there, {_short(new)} asked"


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        options = value.get("options") or {}
        return str(value["name"]) + (f" {dict(options)}" if options else "")
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."


def _new_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    objective = config.space.objective
    return SweepInfo(
        id=f"{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}",
        name=config.name,
        created_at=time.time_ns() // 1_000_000,
        experiment=config.space.experiment,
        experiment_name=config.experiment.name,
        metric=objective.metric,
        direction=objective.direction,
        epoch_metric=config.experiment.metrics[objective.metric].epoch_metric,
        fingerprint=config.fingerprint,
        space=config.space.to_dict(),
        data=describe(config.data),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"home: {folder} cannot be made ({error.strerror}); give another with --home"
        ) from error
