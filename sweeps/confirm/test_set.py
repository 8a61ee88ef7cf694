"""Evaluates winners, runners-up and baselines of sweeps on a test set: one frozen list, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sweeps.capabilities import TestSet
from sweeps.confirm.access_log import AccessLog
from sweeps.confirm.confirm import ConfirmResult
from sweeps.confirm.intervals import Outcomes, crossed_difference, crossed_mean
from sweeps.confirm.planning import HowToTrain
from sweeps.confirm.votes import VOTE_QUESTIONS, conclude_votes
from sweeps.errors import UsageError
from sweeps.experiments.loading import check_installed, experiment_folder, load_experiment
from sweeps.home import Home
from sweeps.records import Conclusions, Record, RecordStore, SweepInfo
from sweeps.records.conclusions import (
    FilesCompared,
    TestConclusion,
    TestedFinalist,
    TestVotesConclusion,
)
from sweeps.records.evaluations import CHAMPION, Entry, Evaluation
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.sync import show_conclusions

# Never reworded: an evaluation is counted by the digest of its questions.
QUESTIONS: Final = (
    "accuracy of winner, runner-up and baseline, over all trainings",
    "winner minus runner-up, winner minus baseline, over all trainings",
    "champion against the baseline's training on the same block (McNemar)",
    *VOTE_QUESTIONS,
)
EARLIER_QUESTIONS: Final = (QUESTIONS[:3],)
"""Questions of evaluations made before there were votes.

The scores of such an evaluation answer `QUESTIONS` as well.
"""


@dataclass(frozen=True)
class ConfirmedSweep:
    """A confirmed sweep that is to be evaluated on the test set.

    Attributes:
        info: The sweep.
        result: The result of its confirmation.
    """

    info: SweepInfo
    result: ConfirmResult


@dataclass(frozen=True)
class Tested:
    """An evaluation and its conclusions.

    Attributes:
        evaluation: The evaluation.
        conclusions: The conclusions by the sweep's id.
        votes: The conclusion about votes of its trainings; None without logits.
        tracking_pending: Number of runs that MLflow lacks.
    """

    evaluation: Evaluation
    conclusions: Mapping[str, TestConclusion]
    votes: TestVotesConclusion | None
    tracking_pending: int


def evaluate_test_set(
    home: Home, confirmed: Sequence[ConfirmedSweep], how: HowToTrain, again: str = ""
) -> Tested:
    """Score the chosen models on the test set, and keep the conclusions beside each sweep.

    No model is chosen by these scores, and nothing is scored before the list is frozen.

    Args:
        home: The home of the sweeps.
        confirmed: Sweeps of the same data, each with a whole confirmation.
        how: Names the data and the store of runs.
        again: Reason for evaluating on the test set again; empty if there is none.

    Raises:
        UsageError: There is no test set, weights are gone, or the test set was evaluated before
            and `again` is empty.
    """
    check_one_test_set([one.info for one in confirmed])
    experiment, test_set = _test_set_of(home, confirmed, how.data)
    entries = [entry for one in confirmed for entry in _entries(home, one)]
    access_log = AccessLog(home, test_set.digest)
    evaluation = access_log.freeze(entries, QUESTIONS, again, earlier=EARLIER_QUESTIONS)
    if access_log.scores(evaluation) is None:
        access_log.keep(evaluation, _score(home, experiment, test_set, evaluation))
    concluded = _conclude(home, access_log)
    tracking_uri = resolve_tracking_uri(home.path, how.tracking_uri)
    infos = [info for info in home.sweeps() if any(info.id == sweep for sweep, _ in concluded)]
    pending = sum(show_conclusions(home, info, tracking_uri) for info in infos)
    own = {sweep: one for (sweep, name), one in concluded.items() if name == evaluation.name}
    scores = access_log.scores(evaluation)
    count, on_machine = access_log.count(), access_log.is_on_machine
    votes = conclude_votes(evaluation, scores, count, on_machine=on_machine) if scores else None
    return Tested(evaluation, own, votes, pending)


def _conclude(home: Home, access_log: AccessLog) -> dict[tuple[str, str], TestConclusion]:
    """Write the results of every evaluation beside its sweeps, with the number of evaluations.

    Returns:
        The results that were written, by the sweep's id and the evaluation's name.
    """
    written = {}
    evaluations, count = access_log.evaluations(), access_log.count()
    on_machine = access_log.is_on_machine
    for evaluation in evaluations:
        scores = access_log.scores(evaluation)
        if scores is None:
            continue
        votes = conclude_votes(evaluation, scores, count, on_machine=on_machine)
        for sweep in evaluation.sweeps:
            folder = home.store(sweep).folder
            if folder.exists():
                tested = conclude_evaluations(
                    evaluation, sweep, scores, count, on_machine=on_machine
                )
                Conclusions(folder).keep_tested(evaluation.name, tested, votes)
                written[sweep, evaluation.name] = tested
    return written


def conclude_evaluations(
    evaluation: Evaluation,
    sweep: str,
    scores: Mapping[str, np.ndarray],
    evaluations: int,
    *,
    on_machine: bool = False,
) -> TestConclusion:
    """Return the conclusion of an evaluation about one of its sweeps.

    Args:
        evaluation: The evaluation.
        sweep: Id of the sweep.
        scores: Its scores, see `AccessLog.scores`.
        evaluations: Number of evaluations of the test set by now.
        on_machine: Whether these are those of all homes of this machine.
    """
    places = [place for place, entry in enumerate(evaluation.entries) if entry.sweep == sweep]
    files = {evaluation.entries[place].role: scores[f"correct_{place}"][0] != 0 for place in places}
    places = [place for place in places if evaluation.entries[place].role != CHAMPION]
    entries = [evaluation.entries[place] for place in places]
    correct = np.stack([scores[f"correct_{place}"] != 0 for place in places])
    trainings, n = correct.shape[1:]
    outcomes = Outcomes(correct, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))
    finalists = []
    for number, entry in enumerate(entries):
        gap = crossed_difference(outcomes, 0, number).interval(len(entries)) if number else None
        accuracy = crossed_mean(outcomes, number).interval()
        finalists.append(TestedFinalist(entry.role, entry.label, accuracy, gap))
    baseline = next((entry.label for entry in entries if entry.role == "baseline"), None)
    champion = files.get(CHAMPION, files["winner"])
    return TestConclusion(
        kind="test",
        evaluation=evaluation.at(evaluations, on_machine=on_machine),
        trainings=trainings,
        samples=n,
        finalists=finalists,
        files=_compare_files(champion, files["baseline"], baseline) if baseline else None,
        refit_accuracy=float(champion.mean()) if CHAMPION in files else None,
    )


def _compare_files(champion: np.ndarray, baseline: np.ndarray, label: str) -> FilesCompared:
    from scipy.stats import binomtest

    only_champion = int((champion & ~baseline).sum())
    only_baseline = int((baseline & ~champion).sum())
    apart = only_champion + only_baseline
    p = float(binomtest(only_champion, apart).pvalue) if apart else 1.0
    return FilesCompared(label, only_champion, only_baseline, p)


def check_one_test_set(infos: Sequence[SweepInfo]) -> None:
    """Refuse sweeps that have no test set in common.

    Raises:
        UsageError: Their experiments or their data differ.
    """
    names = {info.experiment for info in infos}
    datas = {(info.data.get("digest"), info.data.get("name")) for info in infos}
    if len(names) > 1 or len(datas) > 1:
        raise UsageError("--test reads one test set: name sweeps of one experiment and one source")


def _test_set_of(
    home: Home, confirmed: Sequence[ConfirmedSweep], source: str | None
) -> tuple[Any, TestSet]:
    first = confirmed[0]
    confirmation = first.result.confirmation
    assert confirmation is not None  # the sweep was confirmed
    folder = experiment_folder(first.info, home.records)
    experiment: Any = load_experiment(confirmation.experiment, folder)
    check_installed(experiment, confirmation.experiment)
    has_one = hasattr(experiment, "test_set") and hasattr(experiment, "logits")
    test_set = experiment.test_set(source) if has_one else None
    if test_set is None:
        raise UsageError(f"the data of sweep {first.info.name!r} have no test set; nothing to read")
    return experiment, test_set


def _entries(home: Home, one: ConfirmedSweep) -> Iterator[Entry]:
    comparison = one.result.comparison
    assert comparison is not None  # the sweep was confirmed
    verdict = comparison.verdict
    chosen = {
        "winner": verdict.recommended,
        "runner-up": verdict.runner_up,
        "baseline": verdict.baseline,
    }
    trainings = comparison.trainings
    labels = {role: standing.finalist.label for role, standing in chosen.items() if standing}
    taken = {role: la for role, la in labels.items() if trainings.of(la, comparison.folds)}
    # A training that left no weights cannot be scored: its fold is left out, for all alike.
    found = trainings.found
    folds = [f for f in comparison.folds if all((f, la) in found for la in taken.values())]
    if len(folds) < 2:
        raise UsageError(
            f"sweep {one.info.name!r}: on {len(folds)} folds all of {', '.join(taken.values())} "
            "left weights, two are needed; leave one out (--leave-out)"
        )
    for role, label in taken.items():
        yield _entry(one.info, role, label, trainings.store, trainings.of(label, folds))
    confirmed = Conclusions(home.store(one.info.id).folder).confirmed()
    if confirmed is not None and confirmed.trained_in != confirmed.confirmation:
        store = home.store(confirmed.trained_in)
        yield _entry(one.info, CHAMPION, confirmed.winner, store, [store.read(confirmed.champion)])


def _entry(
    info: SweepInfo, role: str, label: str, store: RecordStore, records: Sequence[Record]
) -> Entry:
    for record in records:
        _weights(store, record)  # raises before the list is frozen
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
            f"weights of trial {record.spec.trial} of {name} are gone; make them again: "
            f"`sweeps replay {name} {record.spec.trial} --restore`"
        ) from None


def _score(
    home: Home, experiment: Any, test_set: TestSet, evaluation: Evaluation
) -> dict[str, np.ndarray]:
    experiment.warm_up()
    scores = {"labels": np.asarray(test_set.labels, np.int64)}
    for place, entry in enumerate(evaluation.entries):
        store = home.store(entry.confirmation)
        logits = []
        for key in entry.trainings:
            record = store.read(key)
            weights = _weights(store, record)
            model = experiment.load_model(record.spec.config, weights, record.model_info)
            logits.append(experiment.logits(model, test_set.inputs))
        stacked = np.stack(logits)
        scores[f"logits_{place}"] = stacked
        scores[f"correct_{place}"] = stacked.argmax(axis=2) == test_set.labels
    return scores
