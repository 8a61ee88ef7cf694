"""Finds the sweep of a name or creates it; the same name with other options is refused."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from search_spaces.differences import space_differences
from sweeps.clock import now_ms
from sweeps.config import SweepConfig
from sweeps.coordinator.recording import describe
from sweeps.errors import UsageError
from sweeps.failpoints import reached
from sweeps.naming import did_you_mean, free_name
from sweeps.records import SweepInfo

EXTENDABLE: Final = frozenset({"space", "sampler", "pruner", "ask_ahead"})
"""What --extend may change of a fingerprint; the rest makes trials of one sweep comparable."""


def open_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    """Return the sweep to run: the existing one of that name, or a new one.

    Raises:
        UsageError: The name belongs to a sweep with other options; names them and the ways out.
    """
    check_fingerprint(config)
    _make(config.home.records)
    with config.home.exclusive():
        # Once more under the lock: another process may just have taken the name.
        config.home.remove_unborn()
        existing = check_fingerprint(config)
        if existing is not None:
            return existing
        info = _new_sweep(config, code)
        config.home.store(info.id).create(info)
        return info


def check_fingerprint(config: SweepConfig) -> SweepInfo | None:
    """Return the existing sweep of that name, None if there is none.

    With `extend` its newest generation may differ in what an extension may change.

    Raises:
        UsageError: It was made with other options; or there is nothing to extend.
    """
    info = config.home.find(config.name)
    if info is None and config.extend:
        names = [i.name for i in config.home.sweeps()]
        raise UsageError(
            f"--extend: no sweep {config.name!r} in {config.home.path}"
            f"{did_you_mean(config.name, names)}; existing: {', '.join(names) or 'none'}. "
            "Leave --extend out to begin it"
        )
    if info is None or info.fingerprint == config.fingerprint:
        return info
    kept = _beyond_extension(info, config)
    if config.extend and not kept:
        return info
    raise UsageError(_refusal(info, config, kept))


def _refusal(info: SweepInfo, config: SweepConfig, kept: Sequence[str]) -> str:
    differences = "; ".join(_differences(info, config))
    new_name = free_name(config.name, (i.name for i in config.home.sweeps()))
    text = f"sweep {config.name!r} exists with other options ({differences}). "
    repeat = "repeat the options it was made with to continue it"
    if kept:
        return (
            f"{text}{repeat.capitalize()}, or begin another: --name {new_name}. --extend cannot "
            f"change {', '.join(kept)}: trials of one sweep must compare"
        )
    return (
        f"{text}Three ways out: {repeat}; begin another: --name {new_name}; or let this one go on "
        "like that, its trials kept: --extend"
    )


def _beyond_extension(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return what differs that no extension may change."""
    same_objectives = info.objectives == config.space.objectives
    differing = [k for k, asked in config.fingerprint.items() if info.fingerprint.get(k) != asked]
    kept = [key for key in differing if key not in EXTENDABLE]
    return kept if same_objectives else [*kept, "objective"]


def _differences(info: SweepInfo, config: SweepConfig) -> Iterator[str]:
    for key, asked in config.fingerprint.items():
        there = info.fingerprint.get(key)
        if there == asked:
            continue
        if key == "space":
            differences = space_differences(info.space, config.space.to_dict())
            yield from (f"space, {difference}" for difference in differences)
        elif key == "data" and info.data["name"] == config.data.name:
            yield f"data: {config.data.name} has changed, {_short(there)} then, {_short(asked)} now"
        else:
            yield f"{key}: {_short(there)} there, {_short(asked)} asked"


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        options = value.get("options") or {}
        return str(value["name"]) + (f" {dict(options)}" if options else "")
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."


def _new_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    objective, *others = config.space.objectives
    return SweepInfo(
        id=f"{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}",
        name=config.name,
        created_at=now_ms(),
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
        other_objectives=tuple(others),
    )


def _make(folder: Path) -> None:
    reached("home.begun")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"home: {folder} cannot be made ({error.strerror}); give another with --home"
        ) from error
