"""The log of test-set evaluations: who was scored on a test set, when, and why.

A test set is unbiased only until somebody has seen its scores. So an evaluation freezes its list of
models first, and counts from that write on, before anything is scored, even if it is killed then.
The same list again is the same evaluation. Evaluations are counted over all sweeps of a home, by
the digest of the test set.
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
        """Write the list of an evaluation: the models to be scored, and the questions.

        Args:
            entries: The models.
            questions: The questions.
            again: Reason for evaluating on this test set again; empty if there is none.
            earlier: Lists of questions of former versions whose scores answer `questions` as well.
                An evaluation of the same models with one of these lists is the same evaluation.

        Returns:
            The evaluation; an earlier one if its models and questions are the same.

        Raises:
            UsageError: The test set was evaluated before, and `again` gives no reason.
            RecordError: An earlier list is damaged, so it cannot be compared with this one.
            StoreError: The list cannot be written.
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
        """Return the number of evaluations of the test set.

        Evaluations in the former home of an imported sweep count, and so do those whose damaged
        list was put aside.
        """
        return max(self._recorded_numbers() | self._files.numbers(), default=0)

    def _recorded_numbers(self) -> set[int]:
        """Return the numbers of the evaluations whose results lie beside sweeps of the home."""
        name = re.compile(rf"tested-{self._digest[:8]}-([0-9]+)\.json.*")
        folders = (folder for folder in listed(self._home.records) if folder.is_dir())
        found = (name.fullmatch(path.name) for folder in folders for path in listed(folder))
        return {int(match[1]) for match in found if match}

    def scores(self, evaluation: Evaluation) -> dict[str, np.ndarray] | None:
        """Return the scores, see `Evaluations.scores`; None if the scoring was interrupted."""
        return self._files.scores(evaluation)

    def keep(self, evaluation: Evaluation, scores: Mapping[str, np.ndarray]) -> None:
        """Keep the scores; all later questions are answered from them."""
        self._files.keep(evaluation, scores)
        self._home.publish_evaluations()


def evaluations_of(
    home: Home, sweeps: Sequence[str], report: Report = warn
) -> list[tuple[AccessLog, Evaluation]]:
    """Return the evaluations that scored all of these sweeps, the first one first.

    Only the frozen lists are read, no test set.

    Args:
        home: The home of the evaluations.
        sweeps: Ids of the sweeps.
        report: Receives a line about each evaluation that cannot be read, which is left out.
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
