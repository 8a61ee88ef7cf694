"""Who has read a test set, and why: a list of models is frozen first, and that is what counts.

A test set answers once without having taught anybody anything. So an evaluation counts from the
moment its list is written, before anything is scored, also if it is killed then; the same list
again is the same evaluation. Evaluations are counted over all sweeps of a home, by the test set's
digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.records import Report, listed, warn
from sweeps.records.evaluations import Entry, Evaluation, Evaluations
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import make_folder


class AccessLog:
    """The evaluations of one test set in a home."""

    def __init__(self, home: Home, digest: str) -> None:
        self._files = Evaluations(home.path / "test" / digest[:16])
        self._digest = digest
        self._home = home

    def evaluations(self) -> list[Evaluation]:
        """Return every evaluation, the first one first.

        Raises:
            RecordError: A list is damaged.
        """
        return self._files.all()

    def freeze(
        self,
        entries: Sequence[Entry],
        questions: Sequence[str],
        again: str,
        *,
        earlier: Sequence[Sequence[str]] = (),
    ) -> Evaluation:
        """Write down who is to be scored on what, once.

        Args:
            entries: Who.
            questions: What is asked.
            again: Why a test set that was read is read again.
            earlier: What was asked at other times, whose scores answer `questions` as well: that is
                the same evaluation, with the questions that were asked then.

        Returns:
            The evaluation; an earlier one if that asked the same.

        Raises:
            UsageError: The test set was read before, and no reason is given to do it again.
            RecordError: An earlier list is damaged: whether it is the same cannot be known.
            StoreError: It cannot be written.
        """
        make_folder(self._files.folder)
        with self._home.exclusive():
            before = self.evaluations()
            number = self.count() + 1
            reason = again if number > 1 else ""
            wanted = Evaluation(number, self._digest, now_ms(), reason, entries, questions)
            digests = {wanted.digest_asking(asked) for asked in (questions, *earlier)}
            same = [r for r in before if r.list_digest in digests]
            if same:  # the same models, by their weights: trained again, perhaps, as another sweep
                return replace(same[-1], entries=entries)
            if number > 1 and not again.strip():
                raise UsageError(_evaluated_before(self._digest, number - 1, before))
            self._files.write(wanted)
        return wanted

    def count(self) -> int:
        """Return how often the test set was read, also before a sweep came into this home.

        An evaluation whose list was damaged and put aside counts, too.
        """
        return max(self._told() | self._files.numbers(), default=0)

    def _told(self) -> set[int]:
        """Return the numbers of evaluations that sweeps of the home tell of."""
        name = re.compile(rf"tested-{self._digest[:8]}-([0-9]+)\.json.*")
        folders = (folder for folder in listed(self._home.records) if folder.is_dir())
        found = (name.fullmatch(path.name) for folder in folders for path in listed(folder))
        return {int(match[1]) for match in found if match}

    def scores(self, evaluation: Evaluation) -> dict[str, np.ndarray] | None:
        """Return what was scored, see `Evaluations.scores`; None if that was interrupted."""
        return self._files.scores(evaluation)

    def keep(self, evaluation: Evaluation, scores: Mapping[str, np.ndarray]) -> None:
        """Keep what was scored: all later questions are answered from it."""
        self._files.keep(evaluation, scores)
        self._home.publish_evaluations()


def evaluations_of(
    home: Home, sweeps: Sequence[str], report: Report = warn
) -> list[tuple[AccessLog, Evaluation]]:
    """Return the evaluations that asked about all of these sweeps, the first one first.

    No test set is needed to know them, only what was frozen.

    Args:
        home: Where they lie.
        sweeps: Their ids.
        report: Told of the evaluations that cannot be read, which are left out.
    """
    folders = [folder for folder in listed(home.path / "test") if folder.is_dir()]
    found = [one for folder in folders for one in Evaluations(folder).readable(report)]
    asked = [evaluation for evaluation in found if set(sweeps) <= set(evaluation.sweeps)]
    return [(AccessLog(home, evaluation.digest), evaluation) for evaluation in asked]


def _evaluated_before(digest: str, count: int, evaluations: Sequence[Evaluation]) -> str:
    times = "once" if count == 1 else f"{count} times"
    last = ""
    if evaluations:
        names = ", ".join(dict.fromkeys(entry.name for entry in evaluations[-1].entries))
        last = f", last on {evaluations[-1].day} for {names}"
    return (
        f"test set {digest[:8]} was read {times}{last}: what is chosen after it was seen is no "
        'longer tested by it. To read it all the same: --again "why"'
    )
