"""`--learn-from`: points that were good on other data, which a new sweep tries first.

They are looked up once, when the sweep is created, and kept in its journal. So a sweep that
goes on depends neither on the other sweeps nor on the file any more. Data that the sweep has itself
teach nothing: points that were good on them would look better than they are on new data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from search_spaces.errors import SpaceError, listing
from search_spaces.loading import CATALOGUE, parse, read_text
from search_spaces.mapping import point_of
from search_spaces.objectives import in_words
from search_spaces.parameters import Value
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_in_words, is_same_experiment
from sweeps.journal.events import Learned, LearnedPoint, LearnedSource
from sweeps.records import SweepInfo, confirmed_by, values_of
from sweeps.study.portfolio import TriedPoints, choose
from sweeps.wording import counted, first_line

SHIPPED: Final = CATALOGUE / "portfolios"
"""Folder of the portfolios that ship with spaces."""
FEWEST_TRIALS: Final = 5
"""Complete trials on other data, from which on they can teach anything."""
_HOME: Final = "home"
_SHIPPED: Final = "shipped"
_ENDINGS: Final = (".json", ".yaml", ".yml")
_LINE: Final = 300


def learn(asked: str, config: SweepConfig, existing: SweepInfo | None = None) -> Learned:
    """Return the points that a sweep is to try first.

    Args:
        asked: `home`: every sweep of the home with the same experiment, parameters and objective;
            `shipped`: the portfolio that ships with the space; the path of a portfolio file; or the
            name or id of a sweep.
        config: The sweep.
        existing: The same, if it exists. If it was created with the same words, what it learned
            then is returned.

    Raises:
        UsageError: There is no such sweep, file or portfolio, or nothing can be learned from it.
    """
    if existing is not None and existing.learned_from == asked:
        kept = config.home.store(existing.id).state().learned
        if kept is not None:
            return kept
    if len(config.space.objectives) > 1:
        raise UsageError(
            f"--learn-from {asked}: a portfolio is chosen by one objective, and the space has "
            f"{in_words(config.space.objectives)}; leave one, or leave --learn-from out"
        )
    if asked == _SHIPPED:
        found = _of_file(_shipped(config), config, asked)
    elif asked.endswith(_ENDINGS):
        found = _of_file(Path(asked), config, asked)
    elif asked == _HOME:
        infos = [info for info in config.home.sweeps() if _is_alike(info, config)]
        found = _of_sweeps(infos, config)
    else:
        found = _of_sweeps([_named(asked, config)], config)
    if not found.points and asked != _HOME:
        why = found.left_out[0] if found.left_out else "it holds no point"
        raise UsageError(f"--learn-from {asked}: there is nothing to learn ({why})")
    return msgspec.structs.replace(found, asked=asked)


def _shipped(config: SweepConfig) -> Path:
    path = SHIPPED / f"{config.space.name}.json"
    if not path.is_file():
        known = sorted(one.stem for one in SHIPPED.glob("*.json"))
        raise UsageError(
            f"--learn-from {_SHIPPED}: no portfolio ships with the space {config.space.name!r}; "
            f"one does with {listing(known)}. Give the name of a sweep, home, or a file"
        )
    return path


def _of_file(path: Path, config: SweepConfig, asked: str) -> Learned:
    try:
        found = parse(read_text(path, str(path)), str(path)).values
        held = msgspec.convert({**found, "kind": "learned 1"}, Learned)
    except SpaceError as error:
        raise UsageError(f"--learn-from {error}") from None
    except ValueError as error:
        raise UsageError(
            f"--learn-from {path}: no portfolio ({error}); it holds `points`, a list of "
            "{params: {...}, source: ...}, and may hold `learned_from`, a list of {name: ..., "
            "data: SHA-256, trials: ...}"
        ) from None
    same = [one.name for one in held.learned_from if one.data == config.data.digest]
    if same:
        raise UsageError(
            f"--learn-from {asked}: it was learned from {same[0]}, the data of this sweep, on "
            "which its points would look better than they are; learn from other data"
        )
    points, left_out = [], list(held.left_out)
    for number, point in enumerate(held.points, 1):
        try:
            points.append(msgspec.structs.replace(point, params=_fitting(point.params, config)))
        except SpaceError as error:
            left_out.append(_line(f"point {number} ({point.source}): {error}"))
    return msgspec.structs.replace(held, points=tuple(points), left_out=tuple(left_out))


def _named(name: str, config: SweepConfig) -> SweepInfo:
    try:
        info = config.home.get(name)
    except UsageError as error:
        raise UsageError(
            f"--learn-from {name}: {error}. Besides sweeps: home, shipped, or "
            f"a file ({listing(_ENDINGS)})"
        ) from None
    if not _is_alike(info, config):
        raise UsageError(
            f"--learn-from {name}: that sweep has another experiment, other parameters or another "
            f"objective ({experiment_in_words(info.experiment)}; "
            f"{listing(sorted(_names(info.space)))}; {in_words(info.objectives)}) than this one "
            f"({experiment_in_words(config.space.experiment)}; "
            f"{listing(sorted(_names(config.space.to_dict())))}; "
            f"{in_words(config.space.objectives)}); name another"
        )
    return info


def _is_alike(info: SweepInfo, config: SweepConfig) -> bool:
    return (
        info.name != config.name
        and confirmed_by(info.directory) is None
        and is_same_experiment(info.experiment, config.space.experiment)
        and info.objectives == config.space.objectives
        and _names(info.space) == _names(config.space.to_dict())
    )


def _names(space: Mapping[str, object]) -> set[str]:
    body = space["body"]
    assert isinstance(body, Mapping)
    return {parameter["name"] for parameter in body["parameters"]}


class _Tried(NamedTuple):
    """A trial of another sweep: where it is from, its point, and its value; NaN if it diverged."""

    source: str
    point: dict[str, Value]
    value: float


def _complete(trials: Sequence[_Tried]) -> int:
    return int(np.isfinite([one.value for one in trials]).sum())


def _of_sweeps(infos: Sequence[SweepInfo], config: SweepConfig) -> Learned:
    """Return a portfolio of the trials of sweeps; those on the same data count as one."""
    by_data: dict[str, list[_Tried]] = {}
    learned_from: list[LearnedSource] = []
    left_out: list[str] = []
    for info in infos:
        digest = info.data["digest"]
        if digest == config.data.digest:
            left_out.append(f"{info.name} is on the data of this sweep")
            continue
        trials: list[_Tried] = []
        outside = list(_collect(info, config, trials))
        if outside:
            left_out.append(
                f"{info.name}: {counted(len(outside), 'trial')} outside of the space, such as "
                f"{outside[0]}"
            )
        if complete := _complete(trials):
            learned_from.append(LearnedSource(info.name, digest, complete))
            by_data.setdefault(digest, []).extend(trials)
    scarce = {digest for digest, known in by_data.items() if _complete(known) < FEWEST_TRIALS}
    for one in (one for one in learned_from if one.data in scarce):
        left_out.append(f"{one.name}: {counted(one.trials, 'trial')}, too few ({FEWEST_TRIALS})")
    enough = [known for digest, known in by_data.items() if digest not in scarce]
    tasks = [
        TriedPoints([one.point for one in k], np.array([one.value for one in k])) for k in enough
    ]
    chosen = [enough[task][place] for task, place in choose(tasks, config.space)] if tasks else []
    return Learned(
        points=tuple(LearnedPoint(one.point, one.source) for one in chosen),
        learned_from=tuple(one for one in learned_from if one.data not in scarce),
        left_out=tuple(map(_line, left_out)),
    )


def _collect(info: SweepInfo, config: SweepConfig, trials: list[_Tried]) -> Iterator[str]:
    """Add the trials of a sweep that lie in the space; yield a text for each other one."""
    sign = -1.0 if config.space.objective.direction == "maximize" else 1.0
    for record in config.home.store(info.id).read_all():
        if not record.ends_trial or record.outcome not in {"complete", "diverged"}:
            continue
        values = values_of(record, info.objectives) if record.outcome == "complete" else (np.nan,)
        if values is None:
            continue
        try:
            point = _fitting(record.params, config)
        except SpaceError as error:
            yield f"trial {record.trial}: {error}"
            continue
        trials.append(_Tried(f"{info.name} trial {record.trial}", point, sign * values[0]))


def _fitting(params: Mapping[str, Value], config: SweepConfig) -> dict[str, Value]:
    point, received = point_of(config.space, params)
    broken = config.violations(point, received)
    if broken:
        raise SpaceError(f"breaks a constraint: {'; '.join(broken)}")
    return point


def _line(text: str) -> str:
    return first_line(text, limit=_LINE)
