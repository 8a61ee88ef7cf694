"""Finds the sweep of a name or creates it; the same name with other options is refused."""

from __future__ import annotations

import dataclasses
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
from sweeps.experiment_loading import check_trust
from sweeps.failpoints import reached
from sweeps.naming import did_you_mean, free_name
from sweeps.records import CodeHistory, SweepInfo

EXTENDABLE: Final = frozenset({"space", "sampler", "pruner", "ask_ahead", "code"})
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
        keep_code(config, info)
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
    if info is not None:
        check_trust(info, config.home.records)
    if info is None or not differing(info, config):
        return info
    kept = _beyond_extension(info, config)
    if config.extend and not kept:
        return info
    raise UsageError(_refusal(info, config, kept))


def differing(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return the keys of the fingerprint by which a sweep is another one than what is asked for."""
    keys = [k for k, asked in config.fingerprint.items() if info.fingerprint.get(k) != asked]
    is_known = config.same_code or "code" not in keys or _is_known_code(info, config)
    return [key for key in keys if key != "code" or not is_known]


def _is_known_code(info: SweepInfo, config: SweepConfig) -> bool:
    """Whether the code is what the sweep's newest generation goes on with, or none was kept yet."""
    history = CodeHistory(config.home.store(info.id).folder)
    assert config.code is not None
    before = code_before(info, history)
    return before is None or config.code.digest in history.same_as(before)


def code_before(info: SweepInfo, history: CodeHistory) -> str | None:
    """Return the digest of the code that a sweep goes on with; None of one made before there was.

    Such a sweep goes on with the code of its next start.
    """
    recorded: str | None = info.fingerprint.get("code")
    first = next(iter(history.all()), None)
    return recorded or (first.digest if first else None)


def keep_code(config: SweepConfig, info: SweepInfo) -> str | None:
    """Keep the code that a sweep goes on with; only for who keeps others out.

    Returns:
        A line to be said, if there is one.
    """
    if config.code is None:
        return None
    history = CodeHistory(config.home.store(info.id).folder)
    before = code_before(info, history)
    code, said = config.code, None
    if before is None:
        said = (
            "its code was not recorded when it was made: what there is now counts as the code of "
            "its trials from here on"
        )
    elif code.digest not in history.same_as(before):  # declared to be
        code = dataclasses.replace(code, same_as=before)
        said = f"its code was edited and is declared to be the same ({code.digest:.12})"
    history.keep(code)
    return said


def _refusal(info: SweepInfo, config: SweepConfig, kept: Sequence[str]) -> str:
    differences = "; ".join(_differences(info, config))
    new_name = free_name(config.name, (i.name for i in config.home.sweeps()))
    if differing(info, config) == ["code"] and config.retry is not None:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            "Two ways out: undo the edit; or, if the edit is the cure and leaves the numbers of "
            "trials that ended well the same: --same-code. If it changes them, nothing is retried: "
            "`sweeps run` of this sweep with --extend goes on with the new code"
        )
    if differing(info, config) == ["code"]:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            f"Four ways out: undo the edit; begin another sweep: --name {new_name}; let this one "
            "go on with the new code, its trials kept: --extend; or, if its numbers stay the same "
            "(a comment, or a cure for trials that failed): --same-code"
        )
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
    kept = [key for key in differing(info, config) if key not in EXTENDABLE]
    return kept if same_objectives else [*kept, "objective"]


def _differences(info: SweepInfo, config: SweepConfig) -> Iterator[str]:
    for key in differing(info, config):
        there, asked = info.fingerprint.get(key), config.fingerprint[key]
        if key == "code":
            yield "\n".join(["code", *(f"  {line}" for line in _code_changes(info, config))])
        elif key == "space":
            differences = space_differences(info.space, config.space.to_dict())
            yield from (f"space, {difference}" for difference in differences)
        elif key == "data" and info.data.get("name") == config.data.name:
            yield f"data: {config.data.name} has changed, {_short(there)} then, {_short(asked)} now"
        else:
            yield f"{key}: {_short(there)} there, {_short(asked)} asked"


def _code_changes(info: SweepInfo, config: SweepConfig) -> list[str]:
    history = CodeHistory(config.home.store(info.id).folder)
    before = history.find(code_before(info, history) or "")
    assert config.code is not None
    return before.changes(config.code) if before else ["what it was is not kept"]


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
