"""Evaluates winners, runners-up and baselines of sweeps on a test set: one frozen list, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sweeps.capabilities import Evaluated, TestSet
from sweeps.confirm.access_log import AccessLog
from sweeps.confirm.checks import experiment_on_folds, test_set_of
from sweeps.confirm.comparison import scores_of
from sweeps.confirm.confirm import ConfirmResult
from sweeps.confirm.finalists import ACCURACY, Scored
from sweeps.confirm.intervals import Outcomes, crossed_difference, crossed_mean
from sweeps.confirm.planning import HowToTrain
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.loading import (
    ask,
    check_installed,
    experiment_folder,
    failed,
    load_experiment,
)
from sweeps.home import Home
from sweeps.records import Conclusions, Record, RecordStore, SweepInfo
from sweeps.records.conclusions import (
    AtEvaluation,
    FilesCompared,
    TestConclusion,
    TestedFinalist,
)
from sweeps.records.evaluations import CHAMPION, Entry, Evaluation
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.sync import show_conclusions

# Never reworded: an evaluation is counted by the digest of its questions.
QUESTIONS: Final = (
    "accuracy of winner, runner-up and baseline, over all trainings",
    "winner minus runner-up, winner minus baseline, over all trainings",
    "champion against the baseline's training on the same block (McNemar)",
)
_MCNEMAR: Final = 2
_OF_VOTES: Final = (
    "vote of all trainings of a winner, {}, minus the mean of one of them",
    "of several sweeps: vote across their winners, training by training, {}, minus the best single "
    "winner",
    "of several sweeps: vote of all trainings of all winners, {}, minus the best single winner",
)
"""Asked by earlier versions, after all others."""


def questions_of(scored: Scored) -> tuple[str, ...]:
    """Return the questions of an evaluation by a metric, which name it."""
    of_metric = QUESTIONS[0].replace("accuracy", scored.metric, 1)
    is_share = scored.unit == "share"
    return (of_metric, *QUESTIONS[1 : _MCNEMAR + is_share])


def earlier_questions(scored: Scored) -> tuple[tuple[str, ...], ...]:
    """Return the questions of earlier versions whose scores answer those of `questions_of`.

    They asked about votes as well, of one sweep and then of several. Networks of digits were scored
    by their logits.
    """
    asked = questions_of(scored)
    by_mean = [one.format("by the mean of predictions") for one in _OF_VOTES]
    by_logits = [one.format("soft (hard beside it)") for one in _OF_VOTES]
    former = (1, 0, 3) if scored.metric == ACCURACY.metric else ()
    return (
        *((*asked, *by_mean[:more]) for more in (1, 3)),
        *((*QUESTIONS, *by_logits[:more]) for more in former),
    )


def scored_by(evaluation: Evaluation) -> Scored:
    """Return the metric of an evaluation."""
    return replace(Scored.by(evaluation.metric, evaluation.direction), unit=evaluation.unit)


def evaluate_test_set(
    home: Home,
    confirmed: Sequence[tuple[SweepInfo, ConfirmResult]],
    how: HowToTrain,
    again: str = "",
) -> int:
    """Score the chosen models on the test set, and keep the conclusions beside each sweep.

    No model is chosen by these scores, and nothing is scored before the list is frozen.

    The sweeps are of the same data, each with the result of its whole confirmation. `again` is the
    reason for evaluating on the test set again.

    Returns:
        Number of runs that MLflow lacks.

    Raises:
        UsageError: There is no test set, weights are gone, or the test set was evaluated before
            and `again` is empty.
    """
    how = how.about(confirmed[0][0])
    experiment, test_set = check_test_set(home, [info for info, _ in confirmed], how.data)
    # By the same metric; in plain numbers if one of them is.
    metrics = [one.comparison.trainings.scored for _, one in confirmed if one.comparison]
    scored = next((one for one in metrics if one.unit != "share"), metrics[0])
    entries = [entry for one in confirmed for entry in _entries(home, *one)]
    for entry in entries:  # before the list is frozen
        store = home.store(entry.confirmation)
        for key in entry.trainings:
            _check_here(experiment, store.read(key))
    access_log = AccessLog(home, test_set.digest)
    evaluation = access_log.freeze(
        entries, questions_of(scored), again, earlier=earlier_questions(scored), scored=scored
    )
    if access_log.scores(evaluation) is None:
        access_log.keep(evaluation, _score(home, experiment, test_set, evaluation))
    concluded = _conclude(home, access_log)
    tracking_uri = resolve_tracking_uri(home.path, how.tracking_uri)
    infos = [info for info in home.sweeps() if info.id in concluded]
    return sum(show_conclusions(home, info, tracking_uri) for info in infos)


def _conclude(home: Home, access_log: AccessLog) -> set[str]:
    """Write the results of every evaluation beside its sweeps, and return the ids of these.

    Each says how often the test set was evaluated by now.
    """
    written = set()
    for evaluation in access_log.all():
        scores = access_log.scores(evaluation)
        if scores is None:
            continue
        at = access_log.at(evaluation)
        for sweep in evaluation.sweeps:
            store = home.store(sweep)
            if store.folder.exists():
                tested = conclude_evaluations(evaluation, sweep, scores, at)
                Conclusions(store).keep_tested(evaluation.name, tested)
                written.add(sweep)
    return written


def conclude_evaluations(
    evaluation: Evaluation, sweep: str, scores: Mapping[str, np.ndarray], at: AtEvaluation
) -> TestConclusion:
    """Return the conclusion of an evaluation about one of its sweeps.

    `at` is its description, with the number of evaluations of the test set by now.
    """
    places = [place for place, entry in enumerate(evaluation.entries) if entry.sweep == sweep]
    found = {place: evaluation.outcomes(scores, place) for place in places}
    files = {evaluation.entries[place].role: values[0] for place, values in found.items()}
    places = [place for place in places if evaluation.entries[place].role != CHAMPION]
    entries = [evaluation.entries[place] for place in places]
    values = np.stack([found[place] for place in places])
    trainings, n = values.shape[1:]
    samples = int(scores["samples"])
    is_by_sample = n == samples
    numbers = np.tile(np.arange(n, dtype=np.int64), (trainings, 1)) if is_by_sample else None
    outcomes, scored = Outcomes(values, numbers), scored_by(evaluation)
    finalists = []
    for number, entry in enumerate(entries):
        gap = crossed_difference(outcomes, 0, number).interval(len(entries)) if number else None
        mean = scored.measured(crossed_mean(outcomes, number).interval())
        ahead = gap and scored.difference(gap)
        role = "champion" if entry.role == "winner" else entry.role
        finalists.append(TestedFinalist(role, entry.label, mean, ahead))
    baseline = next((entry.label for entry in entries if entry.role == "baseline"), None)
    champion = files.get(CHAMPION, files["winner"])
    are_right_or_wrong = is_by_sample and bool(np.isin(values, (0, 1)).all())
    return TestConclusion(
        evaluation=at,
        trainings=trainings,
        samples=samples,
        finalists=finalists,
        files=_compare_files(champion != 0, files["baseline"] != 0, baseline)
        if baseline and are_right_or_wrong
        else None,
        refit_accuracy=scored.sign * float(champion.mean()) if CHAMPION in files else None,
        metric=scored.metric,
        is_by_sample=is_by_sample,
    )


def _compare_files(champion: np.ndarray, baseline: np.ndarray, label: str) -> FilesCompared:
    from scipy.stats import binomtest

    only_champion = int((champion & ~baseline).sum())
    only_baseline = int((baseline & ~champion).sum())
    apart = only_champion + only_baseline
    p = float(binomtest(only_champion, apart).pvalue) if apart else 1.0
    return FilesCompared(label, only_champion, only_baseline, p)


def check_test_set(
    home: Home, infos: Sequence[SweepInfo], source: str | None
) -> tuple[Any, TestSet]:
    """Refuse sweeps that have no test set in common, before anything is trained.

    Returns:
        The experiment that trains on folds, and its test set.

    Raises:
        UsageError: Their experiments, data or metrics differ, or there is no test set.
    """
    names = {info.experiment for info in infos}
    datas = {(info.data.get("digest"), info.data.get("name")) for info in infos}
    if len(names) > 1 or len(datas) > 1:
        raise UsageError("--test reads one test set: name sweeps of one experiment and one source")
    metrics = sorted({experiment_on_folds(home, info)[1].metric for info in infos})
    if len(metrics) > 1:
        raise UsageError(
            f"--test scores one metric: these sweeps are confirmed by {' and '.join(metrics)}; "
            "test them one by one"
        )
    first = infos[0]
    path, _ = experiment_on_folds(home, first)
    experiment: Any = load_experiment(path, experiment_folder(first, home.sweeps_folder))
    check_installed(experiment, path)
    test_set = test_set_of(experiment, source)
    if test_set is None:
        raise UsageError(
            f"--test: sweep {first.name!r} has no test set; nothing was read. An experiment of "
            "your own is given one: KerasExperiment(..., test=(x, y)), or the methods of "
            "`SupportsTestSet` in sweeps/capabilities.py"
        )
    return experiment, test_set


def _score_model(experiment: Any, model: Any, test_set: TestSet, scored: Scored) -> np.ndarray:
    """Return (n,) the metric of each sample, or (1,) that of all."""
    found: Evaluated = ask(experiment, "evaluate", model, test_set)
    try:
        return scored.sign * scores_of(found, np.arange(len(test_set)), scored)
    except (AttributeError, TypeError, ValueError) as error:
        raise failed(experiment, "evaluate", error) from error


def _entries(home: Home, info: SweepInfo, result: ConfirmResult) -> Iterator[Entry]:
    comparison = result.comparison
    assert comparison is not None  # the sweep was confirmed
    champion, trainings = comparison.verdict.champion, comparison.trainings
    others = [one for one in comparison.verdict.standings if one.finalist != champion]
    own = [one.finalist for one in others if not (one.is_baseline or one.is_control)]
    baselines = [one.finalist for one in others if one.is_baseline]
    chosen = {"winner": [champion], "runner-up": own, "baseline": baselines}
    labels = {role: best[0] for role, best in chosen.items() if best}
    taken = {role: la for role, la in labels.items() if trainings.of(la, comparison.folds)}
    # A training that left no weights cannot be scored: its fold is left out, for all alike.
    found = trainings.found
    folds = [f for f in comparison.folds if all((f, la) in found for la in taken.values())]
    if len(folds) < 2:
        raise UsageError(
            f"sweep {info.name!r}: on {len(folds)} folds all of {', '.join(taken.values())} "
            "left weights, two are needed; leave one out (--leave-out)"
        )
    for role, label in taken.items():
        yield _entry(info, role, label, trainings.store, trainings.of(label, folds))
    confirmed = Conclusions(home.store(info.id)).confirmed()
    if confirmed is not None and confirmed.trained_in != confirmed.confirmation:
        store = home.store(confirmed.trained_in)
        yield _entry(info, CHAMPION, confirmed.finalist, store, [store.read(confirmed.champion)])


def _entry(
    info: SweepInfo, role: str, label: str, store: RecordStore, records: Sequence[Record]
) -> Entry:
    for record in records:
        _weights(store, record)  # raises before the list is frozen
    keys = [record.key for record in records]
    digests = [str(record.weights_sha256) for record in records]
    return Entry(info.id, info.name, role, label, store.folder.name, keys, digests)


def _check_here(experiment: Experiment, record: Record) -> None:
    """Refuse a training whose model this machine cannot load, as one that lacks Keras."""
    try:
        experiment.check(record.config)
    except UsageError:
        raise
    except ValueError:
        pass  # it was trained, so what is possible today does not matter


def _weights(store: RecordStore, record: Record) -> dict[str, np.ndarray]:
    try:
        return store.weights(record)
    except UsageError:
        info = store.info()
        name = info.name if info else store.folder.name
        raise UsageError(
            f"weights of trial {record.trial} of {name} are gone; make them again: "
            f"`sweeps replay {name} {record.trial} --restore`"
        ) from None


def _score(
    home: Home, experiment: Any, test_set: TestSet, evaluation: Evaluation
) -> dict[str, np.ndarray]:
    experiment.warm_up()
    scored = scored_by(evaluation)
    scores = {"samples": np.array(len(test_set))}
    for place, entry in enumerate(evaluation.entries):
        store = home.store(entry.confirmation)
        found = []
        for key in entry.trainings:
            record = store.read(key)
            weights = _weights(store, record)
            load = getattr(experiment, "load_network", experiment.load_model)
            model = load(record.config, weights, record.model_info)
            found.append(_score_model(experiment, model, test_set, scored))
        scores[f"values_{place}"] = np.stack(found)
    return scores
