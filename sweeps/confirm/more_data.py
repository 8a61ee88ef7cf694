"""Estimates what more training data would bring: the champion's learning curve, on its own folds.

The champion of a confirmation is trained again on a quarter and on half of each fold's training
samples; what stops and what scores a training stays as it is. The confirmation has its trainings on
all of them. So three scores come from the same samples, folds and seeds, and have one crossed
covariance (intervals.py).

A power law is fitted to them: score = a - b share^-c (Cortes et al. 1994, "Learning Curves:
Asymptotic Values and Rate of Convergence"; of deep networks Hestness et al. 2017, "Deep Learning
Scaling is Predictable, Empirically"). c is between 0.05 and 1, as there. The gain of twice as many
training samples is read off the curve. It assumes that more data are like those there are, and that
the configuration stays; with more data another one may be better. A training of few epochs that
never stops early makes fewer steps on less data, too: its curve is too steep, and promises too
much.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.config.options import RunOptions
from sweeps.confirm.best import Joint, drawn_means
from sweeps.confirm.checks import check_code, check_data, cross_validation_experiment
from sweeps.confirm.comparison import Trainings
from sweeps.confirm.finalists import Scored
from sweeps.confirm.intervals import NO_SAMPLE, Outcomes, stacked
from sweeps.confirm.planning import (
    CONTROL_FOLDER,
    SPACE,
    HowToTrain,
    Ran,
    begun_in,
    ended_trials,
    name_for,
    own_folder,
)
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.folds import TRAIN_SHARE, FoldExperiment
from sweeps.experiments.loading import (
    check_installed,
    experiment_folder,
    experiment_in_words,
    load_experiment,
)
from sweeps.home import Home
from sweeps.interval import Interval
from sweeps.launch import run_options
from sweeps.records import FINALIST, FOLD, Conclusions, Record, SweepInfo, need_one_objective
from sweeps.records.conclusions import VerdictConclusion
from sweeps.wording import first_line
from sweeps.workspace.files import make_folder, write_atomically

SHARES: Final = (0.25, 0.5)
"""Shares of the training samples that are trained on, beside all of them."""
MOST_FOLDS: Final = 20
"""The champion is trained on so many of the confirmation's folds at most."""
FOLDER: Final = "data"
"""Folder of the space, beside that of random trials: it is no confirmation of the sweep."""
_EXPONENTS: Final = np.linspace(0.05, 1.0, 20)


@dataclass(frozen=True)
class PointOfCurve:
    """The champion's score on a share of its training samples, with its 95 % interval."""

    share: float
    score: Interval


@dataclass(frozen=True)
class MoreData:
    """The estimated gain of more training data, and the learning curve it comes from.

    Attributes:
        champion: The finalist.
        gain: By how much its score is expected to rise with twice as many training samples; None
            before `sweeps next --more-data` has trained.
        curve: Its scores by the share of its training samples; empty likewise.
        folds: Number of folds that they come from.
        seconds: The seconds of training, of all workers together, that are left to measure it.
    """

    champion: str
    gain: Interval | None
    curve: Sequence[PointOfCurve]
    folds: int
    seconds: float


@dataclass(frozen=True)
class _Curve:
    """The trainings of a learning curve, made or not.

    Attributes:
        path: Import path of the experiment on folds.
        experiment: That experiment.
        scored: The metric.
        verdict: The verdict that names the champion.
        whole: The champion's trainings on all training samples, by fold.
        confirmation: Id of the confirmation that has them.
        folds: Number of folds.
        space: The space of the trainings on less, as YAML.
    """

    path: str
    experiment: Experiment
    scored: Scored
    verdict: VerdictConclusion
    whole: Mapping[int, Record]
    confirmation: str
    folds: int
    space: str

    @property
    def trainings(self) -> int:
        """Number of trainings on less than all training samples."""
        return self.folds * len(SHARES)


def _curve(home: Home, info: SweepInfo) -> _Curve | None:
    """Return the learning curve of the champion; None before a confirmation.

    Its space has as many folds as could be asked for later, so that more folds continue it.
    """
    confirmed = Conclusions(home.store(info.id).folder).confirmed()
    concluded = confirmed.conclusions if confirmed else ()
    verdict = next((one for one in concluded if isinstance(one, VerdictConclusion)), None)
    if confirmed is None or verdict is None:
        return None
    path, scored = cross_validation_experiment(home, info)
    if verdict.quotable is not None:
        scored = replace(scored, unit="share" if verdict.quotable.unit == "share" else "number")
    label = verdict.recommended
    trained = Trainings.read(home.store(confirmed.confirmation), scored=scored).found
    whole = {fold: record for (fold, own), record in trained.items() if own == label}
    if not whole:
        return None
    experiment = load_experiment(path, experiment_folder(info, home.records))
    folds, high = min(verdict.folds, MOST_FOLDS), experiment.parameters[FOLD].high
    most = MOST_FOLDS if high is None else max(folds, min(MOST_FOLDS, int(high) + 1))
    config = {k: v for k, v in whole[min(whole)].spec.config.items() if k not in {FOLD, FINALIST}}
    document: dict[str, Any] = {
        "description": f"{label} on a part of its training data, on its own fresh folds",
        "experiment": path,
        "objective": {"metric": scored.metric, "direction": scored.direction},
        "parameters": {
            FOLD: {"type": "int", "low": 0, "high": most - 1},
            FINALIST: {
                "type": "categorical",
                "choices": {_label(share): {TRAIN_SHARE: share} for share in SHARES},
            },
        },
        "fixed": config,
        "defaults": {"trials": most * len(SHARES), "sampler": "grid", "pruner": "none"},
    }
    space = yaml.safe_dump(document, sort_keys=False)
    return _Curve(path, experiment, scored, verdict, whole, confirmed.confirmation, folds, space)


def _label(share: float) -> str:
    return f"share-{round(100 * share)}"


def train_on_less(home: Home, info: SweepInfo, how: HowToTrain) -> Ran:
    """Train the champion of a confirmation on parts of its training data.

    It is a sweep like any other (NAME-data). The same command goes on with it, and trains nothing
    twice.

    Raises:
        UsageError: The sweep is running or not confirmed, or its training data cannot be thinned;
            nothing was begun.
    """
    need_one_objective(info)
    how = how.about(info)
    if home.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is running: measure it when it has ended")
    curve = _curve(home, info)
    if curve is None:
        raise UsageError(
            f"--more-data: sweep {info.name!r} has no champion yet; first "
            f"`sweeps confirm {shlex.quote(info.name)}`"
        )
    experiment, data = check_data(home, info, how.data)
    if TRAIN_SHARE not in experiment.parameters:
        raise UsageError(
            f"--more-data: {experiment_in_words(info.experiment)} cannot be trained on a part of "
            "its training data (see `SupportsSubsets` in sweeps/capabilities.py)"
        )
    if isinstance(experiment, FoldExperiment):
        try:
            experiment.divided({FOLD: 0, TRAIN_SHARE: SHARES[0]}, data)
        except Exception as error:  # of the experiment's own code
            reason = f"{type(error).__name__}: {first_line(str(error))}"
            raise UsageError(
                f"--more-data: the training data cannot be thinned: {reason}"
            ) from None
    folder = _folder(home, info, curve)
    begun = begun_in(home, folder)
    if begun is not None and ended_trials(home, begun) >= curve.trainings:
        return Ran(begun)
    check_installed(experiment, curve.path)
    check_code(home.store(info.id), info, same_code=how.same_code)
    make_folder(folder)
    write_atomically(folder / SPACE, curve.space.encode(), "conclusion")
    home.publish(info.id)  # so that another host can continue it
    asked = RunOptions(
        str(folder / SPACE), name=name_for(home, folder, f"{info.name}-{FOLDER}"),
        trials=curve.trainings, home=home.path, storage=home.storage, workers=how.workers,
        same_code=how.same_code, check_determinism=False, tracking_uri=how.tracking_uri,
        data=how.data,
    )  # fmt: skip
    ran = run_options(asked, progress=how.progress)
    return Ran(ran.info, ran.summary.stopped_by, ran.summary.tracking_pending)


def _folder(home: Home, info: SweepInfo, curve: _Curve) -> Path:
    parent = home.store(info.id).folder / CONTROL_FOLDER
    return own_folder(home, parent, FOLDER, curve.space)


def more_data(home: Home, info: SweepInfo) -> MoreData | None:
    """Estimate what more training data would bring, from records alone.

    Returns:
        The estimate, without a gain before `train_on_less`; None if the sweep is not confirmed, or
        its training data cannot be thinned.
    """
    curve = _curve(home, info)
    if curve is None:
        return None
    if TRAIN_SHARE not in curve.experiment.parameters:
        return None
    begun = begun_in(home, _folder(home, info, curve))
    ended = ended_trials(home, begun) if begun else 0
    a_training = fmean([record.seconds for record in curve.whole.values()])
    left = max(curve.trainings - ended, 0) / len(SHARES) * sum(SHARES) * a_training
    champion = curve.verdict.recommended
    outcomes = _outcomes(home, curve, begun) if begun else None
    if outcomes is None:
        return MoreData(champion, None, (), 0, left)
    scored, joint, shares = curve.scored, Joint.of(outcomes), (*SHARES, 1.0)
    gain = gain_of_more_data(joint, shares, _room(scored, float(joint.means[-1])))
    points = [
        PointOfCurve(share, scored.measured(score.interval()))
        for share, score in zip(shares, joint.estimates, strict=True)
    ]
    return MoreData(champion, scored.difference(gain), points, outcomes.folds, left)


def _room(scored: Scored, score: float) -> float:
    """Return how far an oriented score is from perfect; infinity if nobody knows."""
    known = scored.unit == "share" or scored.direction == "minimize"
    distance = scored.distance(scored.sign * score) if known else None
    return math.inf if distance is None else distance


def _outcomes(home: Home, curve: _Curve, begun: SweepInfo) -> Outcomes | None:
    """Return the outcomes on all shares, the whole last; None before two repeats are whole."""
    whole = Trainings(
        home.store(curve.confirmation),
        {(fold, curve.verdict.recommended): record for fold, record in curve.whole.items()},
        scored=curve.scored,
    )
    less = Trainings.read(home.store(begun.id), scored=curve.scored)
    labels, champion = [_label(share) for share in SHARES], [curve.verdict.recommended]
    both = set(whole.whole_folds(champion, curve.folds))
    folds = [fold for fold in less.whole_folds(labels, curve.folds) if fold in both]
    if len(folds) < 2 * FOLDS_A_REPEAT:
        return None
    kept = {**less.answers(labels, folds), **whole.answers(champion, folds)}
    first, own = kept[labels[0]], kept[champion[0]]
    if any(not np.array_equal(a.samples, b.samples) for a, b in zip(first, own, strict=True)):
        raise UsageError("the folds of the confirmation were other ones than those of its data")
    return Outcomes(
        np.array([stacked([a.scores for a in kept[one]], float) for one in [*labels, *champion]]),
        stacked([a.samples for a in own], np.int64, NO_SAMPLE) if len(own[0].samples) else None,
    )


def gain_of_more_data(
    joint: Joint, shares: Sequence[float], room: float = math.inf, times: float = 2.0
) -> Interval:
    """Return by how much a score is expected to rise with more training samples.

    Args:
        joint: The oriented scores by share, with their joint error.
        shares: The shares, the last one 1.
        room: How far the last score is from perfect.
        times: So many times the training samples of the last one.

    Returns:
        The gain of the power law fitted to the scores; its interval holds 95 % of those fitted to
        draws around them (parametric bootstrap), and the value.
    """
    drawn = np.column_stack([joint.means, drawn_means(joint)])
    gains = np.clip(_gains(drawn, np.array(shares), times), 0.0, room)
    value, (low, high) = float(gains[0]), np.quantile(gains[1:], (0.025, 0.975))
    return Interval(value, min(float(low), value), max(float(high), value))


def _gains(
    scores: NDArray[np.float64], shares: NDArray[np.float64], times: float
) -> NDArray[np.float64]:
    """Return (n,) gains by power laws fitted to (shares, n) scores by least squares."""
    best = np.full(scores.shape[1], np.inf)
    gains = np.zeros(scores.shape[1])
    centred = scores - scores.mean(axis=0)
    for exponent in _EXPONENTS:
        place = shares**-exponent
        place = place - place.mean()
        steps = np.maximum(-(place @ centred) / (place @ place), 0.0)
        missed = ((centred + np.outer(place, steps)) ** 2).sum(axis=0)
        better = missed < best
        best = np.where(better, missed, best)
        gains = np.where(better, steps * (1 - times**-exponent), gains)
    return gains
