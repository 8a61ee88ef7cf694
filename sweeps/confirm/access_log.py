"""The log of test-set evaluations: who was scored on a test set, when, and why.

A test set is unbiased only until somebody has seen its scores. So an evaluation freezes its list of
models first, and counts from that write on, before anything is scored, even if it is killed then.
The same list again is the same evaluation. Evaluations are counted by the digest of the test set,
over all homes of this machine (`sweeps.records.machine_log`).

Fresh folds wear out likewise, only more slowly: all confirmations of the same data judge their
finalists on the same samples, and who chooses anew after each adapts to them. So it is counted how
many finalists of how many sweeps the data have judged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.experiments.folds import AGAIN, FRESH
from sweeps.home import Home
from sweeps.records import (
    BLOCK,
    FINALIST,
    Report,
    SweepInfo,
    confirmed_by,
    heard,
    listed,
    warn,
)
from sweeps.records.conclusions import Judged
from sweeps.records.evaluations import Entry, Evaluation, Evaluations, day_of
from sweeps.records.machine_log import DataUse, MachineLog, TestSetUse
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import make_folder


class AccessLog:
    """The evaluations of one test set: those of a home, counted with those of this machine."""

    def __init__(self, home: Home, digest: str) -> None:
        self._files = Evaluations(home.path / "test" / digest[:16])
        self._digest = digest
        self._home = home
        self._machine = MachineLog("test-set", digest, TestSetUse)

    @property
    def is_on_machine(self) -> bool:
        """Whether evaluations of all homes of this machine are counted; else of this home only."""
        return self._machine.is_kept

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
            before, elsewhere = self.evaluations(), self._machine.read()
            number = self.count() + 1
            reason = again if number > 1 else ""
            wanted = Evaluation(number, self._digest, now_ms(), reason, entries, questions)
            digests = {wanted.digest_asking(asked) for asked in (questions, *earlier)}
            same = [r for r in before if r.list_digest in digests]
            if same:  # the same models, by their weights: trained again, perhaps, as another sweep
                self._machine.add([_use(one) for one in before])
                return replace(same[-1], entries=entries)
            is_known = any(use.key in digests for use in elsewhere)  # scored by another home
            if number > 1 and not again.strip() and not is_known:
                raise UsageError(self._evaluated_before(number - 1, before, elsewhere))
            self._files.write(wanted)
            self._machine.add([_use(one) for one in [*before, wanted]])
        return wanted

    def count(self) -> int:
        """Return the number of evaluations of the test set.

        Those of other homes of this machine count, those in the former home of an imported sweep,
        and those whose damaged list was put aside.
        """
        own = self._files.readable(lambda _: None)
        keys = {one.list_digest for one in own} | {use.key for use in self._machine.read()}
        return max(self._recorded_numbers() | self._files.numbers() | {len(keys)})

    def _evaluated_before(
        self, count: int, own: Sequence[Evaluation], elsewhere: Sequence[TestSetUse]
    ) -> str:
        times = "once" if count == 1 else f"{count} times"
        known = {use.key: use for use in [*map(_use, own), *elsewhere]}
        last = ""
        if known:
            newest = max(known.values(), key=lambda use: use.at)
            last = f", last on {day_of(newest.at)} for {', '.join(newest.sweeps)}"
        where = ""
        if len(known) > len(own):
            where = f" (other homes are counted as well, in {self._machine.path})"
        return (
            f"test set {self._digest[:8]} was read {times}{last}{where}: what is chosen after it "
            'was seen is no longer tested by it. To read it all the same: --again "why"'
        )

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


def _use(evaluation: Evaluation) -> TestSetUse:
    names = list(dict.fromkeys(entry.name for entry in evaluation.entries))
    return TestSetUse(evaluation.list_digest, evaluation.number, evaluation.frozen_at, names)


# Confirmations of the same data.


def judged_by(home: Home, info: SweepInfo) -> Judged:
    """Log the confirmations of a home on the data of a sweep, and count those of this machine.

    Args:
        home: The home.
        info: A sweep of the data; a confirmation of it that has begun counts.
    """
    digest = str(info.data.get("digest"))
    log = MachineLog("folds", digest, DataUse)
    own = [use for one in home.sweeps() if (use := _data_use(home, one, digest)) is not None]
    log.add(own)
    uses = [*log.read(), *own]
    return Judged(
        finalists=len({finalist for use in uses for finalist in use.finalists}),
        sweeps=len({use.sweep for use in uses}),
        on_machine=log.is_kept,
    )


def _data_use(home: Home, info: SweepInfo, digest: str) -> DataUse | None:
    """Return the use of data by a confirmation that has begun; None for others, or other data."""
    sweep = confirmed_by(info.directory)
    if sweep is None or info.data.get("digest") != digest:
        return None
    records = heard(home.store(info.id).read_all) or []
    configs = [r.spec.config for r in records if FINALIST in r.params]  # not of other trainings
    finalists = sorted({_digest_of(config) for config in configs})
    return DataUse(f"{info.id} {len(finalists)}", sweep, finalists) if finalists else None


def _digest_of(config: Mapping[str, Value]) -> str:
    own = {name: value for name, value in config.items() if name not in {BLOCK, FRESH, AGAIN}}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]
