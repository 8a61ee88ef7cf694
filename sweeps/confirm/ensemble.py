"""Selects an ensemble of a search's own trials, and says what it is worth; nothing is trained.

Trials keep what they predict of the validation samples. An ensemble is selected from that, step by
step and with replacement: the trial joins that improves the mean of all predictions the most
(Caruana, Niculescu-Mizil, Crew & Ksikes 2004, "Ensemble selection from libraries of models"). Where
predictions are probabilities, they are improved by their log loss, which is less a matter of chance
than how many of few samples are right. It is done in bags, each of as many samples drawn with
replacement (Breiman 1996, "Bagging predictors"), so that a trial that fits some of them by chance
weighs less. Bags of trials, as in the paper, are for hundreds of them: of twenty a half lacks the
best (`python -m benchmarks ensembles`).

The same samples would praise what they selected. So it is cross-fitted: on a random half of the
samples an ensemble and the best trial are selected, and both are scored on the other half; then the
halves change places, and all of that is repeated. The mean difference of the scores has the error
of one such pair on as many samples as there are: a mean over divisions would hide how much it
matters what was selected. Two samples of the opposite result are added, since few samples may show
no difference at all (Agresti & Min 2005, "Simple improved confidence intervals for comparing
matched proportions"). A metric that is one number for all samples, such as R2, has one for each
half, whose spread is corrected for the samples that they share (Nadeau & Bengio 2003, "Inference
for the generalization error").
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sweeps.capabilities import BY_SAMPLE, Evaluated, SupportsEnsemble
from sweeps.confirm.checks import asked_by
from sweeps.confirm.comparison import COST, MARGIN_SHARE
from sweeps.confirm.finalists import Scored
from sweeps.confirm.intervals import Estimate
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import PreparedAgain
from sweeps.experiments.loading import ask, failed, recorded_experiment
from sweeps.home import Home
from sweeps.records import Conclusions, Record, RecordStore, SweepInfo, need_one_objective, ranked
from sweeps.records.conclusions import EnsembleConclusion, EnsembleMember, VerdictConclusion
from sweeps.runner.loop import KEEP_BEST
from sweeps.wording import format_seconds, in_a_row

MOST_MEMBERS: Final = 10
_BAGS: Final = 6
_STEPS: Final = 5
_DIVISIONS: Final = 5
"""So often the samples are divided into halves."""
_FEWEST_SAMPLES: Final = 20
_LEAST: Final = 1e-7
"""A smaller probability of the true class counts as this."""
_MOST_NUMBERS: Final = 2_000_000
"""Of wider predictions fewer trials are candidates, so that it takes seconds at most."""

Samples = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Library:
    """The trials that an ensemble is selected from, the best first, and how they are judged.

    Attributes:
        records: Their records.
        predictions: (trials, n, ...) their predictions of the validation samples.
        truth: (n, ...) the true values.
        experiment: A `SupportsEnsemble`, which judges predictions.
        selected_by: The metric by which trials are selected.
        scored: The metric by which they are scored.
        by_sample: Names of the metrics that are means over samples.
    """

    records: Sequence[Record]
    predictions: Values = field(repr=False)
    truth: NDArray[Any] = field(repr=False)
    experiment: Experiment
    selected_by: Scored
    scored: Scored
    by_sample: frozenset[str]

    def scores(self, predictions: Values, samples: Samples, by: Scored) -> Values:
        """Return (k, samples) oriented scores of k times predictions; (k, 1): one number each.

        Args:
            predictions: (k, samples, ...).
            samples: The numbers of the samples.
            by: The metric.
        """
        truth, k = self.truth[samples], len(predictions)
        if by.metric in self.by_sample:  # at once, which is much faster
            rows = predictions.reshape(-1, *predictions.shape[2:])
            found = self._judged(rows, np.concatenate([truth] * k)).arrays[by.by_sample]
            return by.sign * np.asarray(found, float).reshape(k, -1)
        each = [[self._judged(one, truth).metrics[by.metric]] for one in predictions]
        return by.sign * np.asarray(each, float)

    def _judged(self, predictions: Values, truth: NDArray[Any]) -> Evaluated:
        judged: Evaluated = ask(self.experiment, "judged", predictions, truth)
        return judged

    @cached_property
    def likelihoods(self) -> Values | None:
        """(trials, n) the probability of each true class; None if predictions are none of classes.

        That of a mean of predictions is the mean of these.
        """
        found, truth = self.predictions, self.truth
        is_of_classes = found.ndim == 3 and truth.ndim == 1 and truth.dtype.kind in "iu"
        if not is_of_classes or truth.min() < 0 or truth.max() >= found.shape[2]:
            return None
        if found.min() < 0 or not np.allclose(found.sum(axis=2), 1, atol=1e-3):
            return None
        likely: Values = found[:, np.arange(len(truth)), truth]
        return likely

    def select(self, samples: Samples) -> Values:
        """Return (trials,) the weights of an ensemble that is selected on some samples.

        It is the best trial alone if bags make it worse, by a standard error.
        """
        trials, random = len(self.records), np.random.default_rng(0)
        weights = np.zeros(trials)
        for _ in range(_BAGS):
            weights += self._grown(random.choice(samples, len(samples)))
        weights[np.argsort(-weights, kind="stable")[MOST_MEMBERS:]] = 0.0
        weights /= weights.sum()
        best = np.eye(trials)[self.best(samples)]
        both = np.tensordot(np.stack([weights, best]), self._grows_from[:, samples], 1)
        lead = np.diff(self._growth(both, samples), axis=0)
        return best if lead.mean() > lead.std() / np.sqrt(lead.size) else weights

    @property
    def _grows_from(self) -> Values:
        return self.predictions if self.likelihoods is None else self.likelihoods

    def _growth(self, predictions: Values, samples: Samples) -> Values:
        """Return (k, samples) by what members are selected, of k means of `_grows_from`."""
        if self.likelihoods is None:
            return self.scores(predictions, samples, self.selected_by)
        return np.log(np.maximum(predictions, _LEAST))

    def _grown(self, samples: Samples) -> Values:
        """Return (trials,) the weights of an ensemble that grows by a trial each step."""
        own = self._grows_from[:, samples]
        taken, sums = np.zeros(len(self.records)), np.zeros_like(own[0])
        best, weights = -np.inf, taken
        for step in range(1, _STEPS + 1):
            means = _means(self._growth((sums + own) / step, samples))
            joins = int(means.argmax())
            sums += own[joins]
            taken[joins] += 1
            if means[joins] > best or step == 1:
                best, weights = means[joins], taken / step
        return weights

    def best(self, samples: Samples) -> int:
        """Return the place of the trial that is best on some samples."""
        found = self.scores(self.predictions[:, samples], samples, self.selected_by)
        return int(_means(found).argmax())

    def mean(self, weights: Values) -> Values:
        """Return (n, ...) the predictions of an ensemble."""
        found: Values = np.tensordot(weights, self.predictions, 1)
        return found

    def cross_fitted(self) -> tuple[Estimate, Estimate, Estimate]:
        """Return the scores of an ensemble and of the best trial, and their difference, oriented.

        Neither was selected on the samples that score it.
        """
        n = len(self.truth)
        found = [
            self.scores(self._pair(rest)[:, half], half, self.scored)
            for half, rest in _halves(n, _DIVISIONS, seed=1)
        ]
        whole, best = (_estimate([one[place] for one in found], n) for place in (0, 1))
        differences = [one[0] - one[1] for one in found]
        most = max(float(np.abs(one).max()) for one in differences)
        opposite = 1.0 if self.scored.unit == "share" else most
        return whole, best, _estimate(differences, n, 2 * opposite**2)

    def _pair(self, samples: Samples) -> Values:
        """Return (2, n, ...) what an ensemble and the best trial, selected on samples, predict."""
        return np.stack([self.mean(self.select(samples)), self.predictions[self.best(samples)]])


def _means(scores: Values) -> Values:
    means = scores.mean(axis=1)
    return np.where(np.isnan(means), -np.inf, means)


def _halves(n: int, times: int, seed: int) -> Iterator[tuple[Samples, Samples]]:
    """Yield random halves of n numbers, each with the other one."""
    generator = np.random.default_rng(seed)
    for _ in range(times):
        order = generator.permutation(n)
        first, second = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
        yield first, second
        yield second, first


def _estimate(halves: Sequence[Values], n: int, more: float = 0.0) -> Estimate:
    """Return the mean over halves of n samples, with the error of samples.

    Args:
        halves: (n / 2,) the values of each half, or (1,) one number.
        n: Number of samples.
        more: Squares of deviations that are added to those of n samples.
    """
    each = np.concatenate(halves)
    mean, spread = float(each.mean()), float(each.var(ddof=1))
    if len(each) == len(halves):
        return Estimate(mean, spread * (1 / len(each) + 1), 0.0, len(each) - 1)
    return Estimate(mean, (spread + more / n) / n, 0.0, n - 1)


@dataclass(frozen=True)
class Selected:
    """An ensemble that was selected on all validation samples.

    Attributes:
        conclusion: Its members, and what it is worth.
        records: The records of its members, in their order.
        predictions: (n, ...) what it predicts of the validation samples.
    """

    conclusion: EnsembleConclusion
    records: Sequence[Record]
    predictions: Values = field(repr=False)

    def gone(self, store: RecordStore) -> list[EnsembleMember]:
        """Return the members whose weights are not kept any more."""
        members = zip(self.conclusion.members, self.records, strict=True)
        return [one for one, record in members if not store.weights_path(record.key).exists()]


def how_to_restore(name: str, gone: Sequence[EnsembleMember]) -> str:
    """Return which weights are gone, what training them again costs, and the command."""
    trials = in_a_row([str(one.trial) for one in gone])
    seconds = sum(one.train_seconds for one in gone)
    cost = f", {format_seconds(seconds)} in all" if seconds else ""
    return (
        f"the weights of {'trial' if len(gone) == 1 else 'trials'} {trials} are gone: "
        f"`sweeps replay {shlex.quote(name)} {gone[0].trial} --restore` trains one again{cost}"
    )


def select_ensemble(home: Home, info: SweepInfo, source: str | None = None) -> Selected:
    """Select an ensemble of a sweep's trials; nothing is trained, and no test set is read.

    Args:
        home: The home.
        info: The sweep.
        source: Source of its data; None for the experiment's own.

    Raises:
        UsageError: See `selected`; or the data are others than those of the trials.
    """
    need_one_objective(info)
    experiment = recorded_experiment(info, home.sweeps_folder)
    store = home.store(info.id)
    best = ranked(store.read_all(), info.direction)
    if len(best) < 2:
        raise UsageError(f"sweep {info.name!r}: an ensemble needs two complete trials or more")
    data = PreparedAgain(lambda: experiment, source=source).of(best[0])
    confirmed = Conclusions(store).confirmed()
    return selected(store, info, experiment, data, confirmed.verdict if confirmed else None)


def selected(
    store: RecordStore,
    info: SweepInfo,
    experiment: Experiment,
    data: PreparedData,
    verdict: VerdictConclusion | None,
) -> Selected:
    """Select an ensemble of the best trials of a sweep, which keep their weights.

    Args:
        store: The records of the sweep.
        info: The sweep.
        experiment: Its experiment.
        data: The data of its trials.
        verdict: The verdict of its confirmation, whose margin counts; None without one.

    Raises:
        UsageError: The experiment has no such predictions, fewer than two trials kept some, or it
            judges them otherwise than `train` has judged.
    """
    library = library_of(store, info, experiment, data)
    everything, by = np.arange(len(library.truth)), library.scored
    weights, (*scores, difference) = library.select(everything), library.cross_fitted()
    score, best_score = (by.measured(one.interval()) for one in scores)
    if verdict is not None and verdict.metric == by.metric:
        margin = verdict.margin
    else:
        margin = MARGIN_SHARE * (by.distance(best_score.value) or 0.0)
    order = [int(place) for place in np.argsort(-weights, kind="stable") if weights[place] > 0]
    best = library.best(everything)
    conclusion = EnsembleConclusion(
        members=[_member(library.records[place], weights[place]) for place in order],
        best=_member(library.records[best], weights[best]),
        accuracy=score,
        best_accuracy=best_score,
        ahead_by=by.difference(difference.interval()),
        margin=margin,
        metric=by.metric,
        selected_by=library.selected_by.metric,
        candidates=len(library.records),
        samples=len(library.truth),
    )
    members = [library.records[place] for place in order]
    return Selected(conclusion, members, library.mean(weights))


def _member(record: Record, weight: float) -> EnsembleMember:
    assert record.result is not None
    assert record.objective is not None
    metrics, timings = record.result.metrics, record.result.timings
    seconds = metrics.get("train_seconds", timings.get("train_seconds", 0.0))
    size = metrics.get(COST, 0.0)
    return EnsembleMember(record.trial, float(weight), record.objective, size, seconds)


def library_of(
    store: RecordStore, info: SweepInfo, experiment: Experiment, data: PreparedData
) -> Library:
    """Return the best trials of a sweep with what they predict; see `selected`."""
    if not isinstance(experiment, SupportsEnsemble):
        raise UsageError(
            f"experiment {info.experiment!r} keeps no predictions whose mean is one, so that no "
            "ensemble can be selected (see `SupportsEnsemble` in sweeps/capabilities.py)"
        )
    truth, kept = ask(experiment, "validation_truth", data), []
    for record in ranked(store.read_all(), info.direction)[:KEEP_BEST]:
        whole = store.read(record.key)
        found = ask(experiment, "validation_predictions", whole.result, data)
        if found is not None and np.isfinite(own := np.asarray(found, float)).all():
            kept.append((whole, own))
    kept = [(record, own) for record, own in kept if own.shape == kept[0][1].shape]
    if truth is None or len(kept) < 2:
        raise UsageError(
            f"sweep {info.name!r}: fewer than two trials kept predictions of validation samples "
            "whose true values are known, so that no ensemble can be selected"
        )
    kept = kept[: max(2, _MOST_NUMBERS // kept[0][1].size)]
    records, predictions = [record for record, _ in kept], np.stack([own for _, own in kept])
    known, n = len(truth), predictions.shape[1]
    if known < n or n < _FEWEST_SAMPLES:
        what = f"{known} true values for {n} predictions; {_FEWEST_SAMPLES} or more are needed"
        raise failed(experiment, "validation_truth", ValueError(what))
    truth = np.asarray(truth)[:n]
    judged: Evaluated = ask(experiment, "judged", predictions[0], truth)
    by_sample = {name for name in judged.metrics if f"{name}{BY_SAMPLE}" in judged.arrays}
    selected_by, scored = _metrics(info, experiment, judged)
    if n == known:
        _check_alike(experiment, records[0], judged, selected_by)
    return Library(
        records, predictions, truth, experiment, selected_by, scored, frozenset(by_sample)
    )


def _check_alike(experiment: Experiment, record: Record, judged: Evaluated, by: Scored) -> None:
    """Refuse true values in another order than that of the predictions, say."""
    assert record.result is not None
    trained, now = record.result.metrics.get(by.metric), judged.metrics[by.metric]
    if trained is not None and not np.isclose(trained, now, rtol=1e-3, atol=1e-6):
        what = (
            f"{by.metric} of trial {record.trial} is {now:.6g} by its recorded predictions and was "
            f"{trained:.6g}: `validation_predictions` and `validation_truth` are to be in one order"
        )
        raise failed(experiment, "judged", ValueError(what))


def _metrics(info: SweepInfo, experiment: Experiment, judged: Evaluated) -> tuple[Scored, Scored]:
    """Return by which metrics trials are selected, and scored: the objective's, the confirmation's.

    One that predictions are not judged by, such as the loss of a model, is replaced by the other,
    or by the first of the experiment's that they are judged by.
    """
    objective = info.objectives[0]
    known = {name: one.direction for name, one in experiment.metrics.items()}
    known[objective.metric] = objective.direction
    names = [name for name in (objective.metric, *known) if name in judged.metrics]
    if not names:
        raise UsageError(
            f"experiment {info.experiment!r}: `judged` returns {', '.join(judged.metrics) or None}"
            f", none of its metrics ({', '.join(known)})"
        )
    by = asked_by(info).metric
    scored = by if by in judged.metrics and by in known else names[0]
    selecting = objective.metric if objective.metric in names else scored
    by_name = (Scored.by(name, known[name]) for name in (selecting, scored))
    first, second = (
        one if 0 <= judged.metrics[one.metric] <= 1 else replace(one, unit="number")
        for one in by_name
    )
    return first, second
