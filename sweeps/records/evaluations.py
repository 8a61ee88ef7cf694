"""Test-set evaluations as files: the list that was frozen (`0001.json`) and its scores (`.npz`).

They lie in `test/<digest>/` of a home, not in the folder of a sweep: a test set belongs to all
sweeps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
from msgspec import Struct

from sweeps.journal.events import AttemptKey, Count, Digest, Line, Moment, Name, need_lines
from sweeps.records.arrays import pack_arrays, unpack_arrays
from sweeps.records.conclusions import AtEvaluation
from sweeps.records.schema import DamagedFileError, RecordError, json_bytes, listed, said_of
from sweeps.workspace.files import (
    MOST_PARSED,
    FormatError,
    open_file,
    parse_json,
    read_file,
    write_atomically,
)

_NUMBER: Final = re.compile(r"([0-9]{4,})\.(json|npz).*")
_LIST_REMEDY: Final = (
    "bring it back from a backup, or have `sweeps doctor --fix` put it aside: it counts as an "
    "evaluation all the same"
)
_SCORES_REMEDY: Final = (
    "`sweeps doctor --fix` puts them aside; `sweeps confirm --test` of the same sweeps scores the "
    "same list again, as the same evaluation"
)

CHAMPION: Final = "champion"
"""Role of a model that is not one of the winner's trainings on folds, but a refit."""


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """A finalist that is scored, with all its trainings, one per fold.

    Attributes:
        sweep: Id of the sweep it comes from; `name` was its name when the list was frozen.
        role: `winner`, `runner-up`, `baseline`, or `CHAMPION`.
        label: The finalist, such as `trial-17`.
        confirmation: Id of the sweep that trained it.
        trainings: The attempts in that sweep, fold 0 first.
        weights: SHA-256 (hex) of the weights of each; the text `None` for one that kept none.
    """

    sweep: Name
    name: Name
    role: Line
    label: Line
    confirmation: Name
    trainings: Sequence[AttemptKey]
    weights: Sequence[Line]

    def __post_init__(self) -> None:
        need_lines(self.role, self.label, *self.weights)


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation of a test set, whose digest it has; the first has number 1.

    Attributes:
        reason: Why the test set was evaluated again; empty the first time.
        unit: The unit of the metric, as `Interval` has it.
    """

    number: Count
    digest: Digest
    frozen_at: Moment
    reason: str
    entries: Sequence[Entry]
    questions: Sequence[Line]
    metric: Line
    direction: Literal["maximize", "minimize"] = "maximize"
    unit: Literal["share", "number"] = "share"

    def __post_init__(self) -> None:
        need_lines(self.metric, *self.questions)

    def outcomes(self, scores: Mapping[str, np.ndarray], place: int) -> np.ndarray:
        """Return (trainings, n) the `scores` of the entry at a place, larger is better.

        n is 1 if they are one number each.
        """
        sign = 1 if self.direction == "maximize" else -1
        return np.asarray(sign * scores[f"values_{place}"])

    @property
    def name(self) -> str:
        """A short name, unique in a home."""
        return f"{self.digest[:8]}-{self.number}"

    @property
    def sweeps(self) -> list[str]:
        """Ids of the sweeps that its entries come from."""
        return list(dict.fromkeys(entry.sweep for entry in self.entries))

    @property
    def list_digest(self) -> str:
        """SHA-256 (hex) of the frozen list: the models, by their weights, and the questions."""
        # Names of sweeps may change.
        frozen = [[e.sweep, e.role, e.label, *e.trainings, *e.weights] for e in self.entries]
        return hashlib.sha256(json.dumps([frozen, list(self.questions)]).encode()).hexdigest()

    def at(self, evaluations: int, *, on_machine: bool = False) -> AtEvaluation:
        """Return its description for a conclusion, see `AtEvaluation`."""
        day = day_of(self.frozen_at)
        return AtEvaluation(self.number, evaluations, self.digest, day, self.reason, on_machine)


def day_of(moment: int) -> str:
    """Return the day (UTC) of a moment in milliseconds, such as `2024-05-31`."""
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d")


class Evaluations:
    """The evaluations of one test set, in their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self, on_damage: Callable[[RecordError], object] | None = None) -> list[Evaluation]:
        """Return every evaluation, the first one first.

        Raises:
            RecordError: A list is damaged, and there is no `on_damage`, which receives the error
                instead; the list is left out then.
        """
        found = []
        for path in listed(self.folder, "[0-9]*.json"):
            try:
                with suppress(FileNotFoundError):  # put aside meanwhile
                    found.append(_read_list(path))
            except RecordError as error:
                if on_damage is None:
                    raise
                on_damage(error)
        return found

    def numbers(self) -> set[int]:
        """Return the numbers of all evaluations, also of those whose list was put aside."""
        found = (_NUMBER.fullmatch(path.name) for path in listed(self.folder, "[0-9]*"))
        return {int(match[1]) for match in found if match}

    def scores(self, evaluation: Evaluation) -> dict[str, np.ndarray] | None:
        """Return the scores of an evaluation; None if the scoring was interrupted.

        Returns:
            `samples`, the number n, and for each entry, by its index, `values_<index>` (trainings,
            n), the metric of each sample, or (trainings, 1), that of all. Others are of earlier
            versions.

        Raises:
            RecordError: The scores are damaged.
        """
        path = self._path(evaluation.number, "npz")
        try:
            with said_of(path), open_file(path) as file:
                scores = unpack_arrays(file)
            _check_scores(scores, evaluation)
        except FileNotFoundError:
            return None
        except FormatError as error:
            raise DamagedFileError(path, str(error), _SCORES_REMEDY) from None
        return scores

    def write(self, evaluation: Evaluation) -> None:
        """Freeze the list of an evaluation, which counts from this write on.

        Raises:
            StoreError: It cannot be written.
        """
        document = json_bytes(msgspec.to_builtins(evaluation), indent=1)
        write_atomically(self._path(evaluation.number, "json"), document, "conclusion")

    def keep(self, evaluation: Evaluation, scores: Mapping[str, np.ndarray]) -> None:
        """Keep the scores of an evaluation; see `scores` for their names and shapes."""
        write_atomically(self._path(evaluation.number, "npz"), pack_arrays(scores), "conclusion")

    def damage(self) -> list[RecordError]:
        """Return an error for each damaged file."""
        found: list[RecordError] = []
        for evaluation in self.all(found.append):
            try:
                self.scores(evaluation)
            except RecordError as error:
                found.append(error)
        return found

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / f"{number:04d}.{kind}"


def _read_list(path: Path) -> Evaluation:
    try:
        with said_of(path):
            content = read_file(path, MOST_PARSED // 2)
        evaluation = msgspec.convert(parse_json(content), Evaluation)
        if path.stem != f"{evaluation.number:04d}":
            raise FormatError(f"its name does not fit its number, {evaluation.number}")
    except ValueError as error:
        raise DamagedFileError(path, str(error), _LIST_REMEDY) from None
    return evaluation


def _check_scores(scores: Mapping[str, np.ndarray], evaluation: Evaluation) -> None:
    """Refuse scores of other shapes than those of `Evaluations.scores`."""
    samples = scores.get("samples")
    if samples is None or samples.ndim or samples.dtype.kind not in "iu":
        raise FormatError("it has no samples, or of another form")
    for place, entry in enumerate(evaluation.entries):
        allowed = [(len(entry.trainings), n) for n in (int(samples), 1)]
        found = scores.get(name := f"values_{place}")
        if found is None or found.shape not in allowed:
            raise FormatError(f"{name} of {entry.label} is not there with the shape {allowed[0]}")
