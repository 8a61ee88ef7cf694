"""Reads a test part for the winners, runners-up and baselines of some sweeps: one list, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sweeps.capabilities import TestPart
from sweeps.confirm.access_log import AccessLog
from sweeps.confirm.confirming import HowToTrain
from sweeps.confirm.finalize import FinalizeResult
from sweeps.confirm.sections import VOTE_QUESTIONS, tell_reading, tell_reading_votes
from sweeps.errors import UsageError
from sweeps.experiments.loading import experiment_folder, load_experiment
from sweeps.home import Home
from sweeps.records import Conclusions, Record, RecordStore, SweepInfo, Telling
from sweeps.records.readings import CHAMPION, Entry, Reading
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.sync import show_conclusions

QUESTIONS: Final = (
    "accuracy of winner, runner-up and baseline, over all trainings",
    "winner minus runner-up, winner minus baseline, over all trainings",
    "champion against the baseline's training on the same block (McNemar)",
    *VOTE_QUESTIONS,
)
EARLIER_QUESTIONS: Final = (QUESTIONS[:3],)
"""What readings asked that were made before there were votes; their scores answer these as well."""


@dataclass(frozen=True)
class FinalizedSweep:
    """A sweep that was finalised and is to be tested.

    Attributes:
        info: The sweep.
        result: What finalising said.
    """

    info: SweepInfo
    result: FinalizeResult


@dataclass(frozen=True)
class Tested:
    """A reading and what it says.

    Attributes:
        reading: Which.
        tellings: By the sweep's id.
        votes: What votes of its trainings came to; None without logits.
        tracking_pending: Runs that MLflow lacks.
    """

    reading: Reading
    tellings: Mapping[str, Telling]
    votes: Telling | None
    tracking_pending: int


def read_test(
    home: Home, finalized: Sequence[FinalizedSweep], how: HowToTrain, again: str = ""
) -> Tested:
    """Score what was chosen on the test part, and keep what that says beside each sweep.

    Nothing is chosen anew, and nothing is scored before the list is frozen.

    Args:
        home: Where the sweeps lie.
        finalized: Sweeps of the same data, each with a whole confirmation.
        how: Names the data and the store of runs.
        again: Why it is read again, if it was read.

    Raises:
        UsageError: There is no test part, weights are gone, or it was read before.
    """
    check_one_part([one.info for one in finalized])
    experiment, part = _test_part(home, finalized, how.data)
    entries = [entry for one in finalized for entry in _entries(home, one)]
    access_log = AccessLog(home, part.digest)
    reading = access_log.freeze(entries, QUESTIONS, again, earlier=EARLIER_QUESTIONS)
    if access_log.scores(reading) is None:
        access_log.keep(reading, _score(home, experiment, part, reading))
    tellings = _tell(home, access_log)
    tracking_uri = resolve_tracking_uri(home.path, how.tracking_uri)
    infos = [info for info in home.sweeps() if any(info.id == sweep for sweep, _ in tellings)]
    pending = sum(show_conclusions(home, info, tracking_uri) for info in infos)
    own = {sweep: told for (sweep, name), told in tellings.items() if name == reading.name}
    scores = access_log.scores(reading)
    votes = tell_reading_votes(reading, scores, access_log.count()) if scores else None
    return Tested(reading, own, votes, pending)


def _tell(home: Home, access_log: AccessLog) -> dict[tuple[str, str], Telling]:
    """Write what every reading said beside its sweeps, with how many readings there are now.

    Returns:
        What was written, by the sweep's id and the reading's name.
    """
    written = {}
    readings = access_log.readings()
    for reading in readings:
        scores = access_log.scores(reading)
        if scores is None:
            continue
        votes = tell_reading_votes(reading, scores, access_log.count())
        for sweep in reading.sweeps:
            folder = home.store(sweep).folder
            if folder.exists():
                told = tell_reading(reading, sweep, scores, access_log.count())
                Conclusions(folder).keep_tested(reading.name, told, votes)
                written[sweep, reading.name] = told
    return written


def check_one_part(infos: Sequence[SweepInfo]) -> None:
    """Refuse sweeps that have no test part in common.

    Raises:
        UsageError: Their experiments or their data differ.
    """
    names = {info.experiment for info in infos}
    datas = {(info.data.get("digest"), info.data.get("name")) for info in infos}
    if len(names) > 1 or len(datas) > 1:
        raise UsageError("--test reads one test part: name sweeps of one experiment and one source")


def _test_part(
    home: Home, finalized: Sequence[FinalizedSweep], source: str | None
) -> tuple[Any, TestPart]:
    first = finalized[0]
    confirmation = first.result.confirmation
    assert confirmation is not None  # of what was finalised
    folder = experiment_folder(first.info, home.records)
    experiment: Any = load_experiment(confirmation.experiment, folder)
    has_one = hasattr(experiment, "test_part") and hasattr(experiment, "logits")
    part = experiment.test_part(source) if has_one else None
    if part is None:
        raise UsageError(
            f"the data of sweep {first.info.name!r} have no test part; nothing to read"
        )
    return experiment, part


def _entries(home: Home, one: FinalizedSweep) -> Iterator[Entry]:
    judged = one.result.judged
    assert judged is not None  # of what was finalised
    verdict = judged.verdict
    chosen = {
        "winner": verdict.recommended,
        "runner-up": verdict.runner_up,
        "baseline": verdict.baseline,
    }
    for role, standing in chosen.items():
        if standing is not None:
            label = standing.finalist.label
            records = judged.trainings.of(label, judged.blocks)
            yield _entry(one.info, role, label, judged.trainings.store, records)
    finalized = Conclusions(home.store(one.info.id).folder).finalized()
    if finalized is not None and finalized.trained_in != finalized.confirmation:
        store = home.store(finalized.trained_in)
        yield _entry(one.info, CHAMPION, finalized.winner, store, [store.read(finalized.champion)])


def _entry(
    info: SweepInfo, role: str, label: str, store: RecordStore, records: Sequence[Record]
) -> Entry:
    for record in records:
        _weights(store, record)  # before anything is frozen
    keys = [record.spec.key for record in records]
    digests = [str(record.weights_sha256) for record in records]
    return Entry(info.id, info.name, role, label, records[0].spec.sweep, keys, digests)


def _weights(store: RecordStore, record: Record) -> dict[str, np.ndarray]:
    try:
        return store.weights(record)
    except UsageError:
        info = store.info()
        name = info.name if info else record.spec.sweep
        raise UsageError(
            f"weights of trial {record.spec.slot} of {name} are gone; make them again: "
            f"`sweeps replay {name} {record.spec.slot} --restore`"
        ) from None


def _score(home: Home, experiment: Any, part: TestPart, reading: Reading) -> dict[str, np.ndarray]:
    experiment.warm_up()
    scores = {"labels": np.asarray(part.labels, np.int64)}
    for place, entry in enumerate(reading.entries):
        store = home.store(entry.confirmation)
        logits = []
        for key in entry.trainings:
            record = store.read(key)
            weights = _weights(store, record)
            model = experiment.load_model(record.spec.config, weights, record.model_info)
            logits.append(experiment.logits(model, part.inputs))
        stacked = np.stack(logits)
        scores[f"logits_{place}"] = stacked
        scores[f"correct_{place}"] = stacked.argmax(axis=2) == part.labels
    return scores
