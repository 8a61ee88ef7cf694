"""Importance of parameters by PED-ANOVA (Watanabe et al. 2023), with a reference for chance.

The reference is a parameter that is random noise by construction. A parameter that does not stand
out from it may be noise as well. Intervals come from resampling the trials (Efron 1979).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sweeps.interval import Interval

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search_spaces.objectives import Direction
    from sweeps.journal.events import Record

RELIABLE_FROM: Final = 40
"""Complete trials below which importances are called unreliable."""

FEWEST: Final = 10
"""Complete trials below which no importance is computed."""

_Point = tuple[tuple[tuple[str, Any], ...], tuple[tuple[str, str], ...], float | None]
"""Parameters, distributions as JSON, and the objective of a trial."""

_NOISE: Final = "noise (reference)"
_RESAMPLES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Importance(Interval):
    """The importance of one parameter.

    Its value is the parameter's share of the importance of all parameters, with the bootstrap
    interval. If only some trials have the parameter, it is the share in a sweep of those alone.

    Attributes:
        name: The parameter, or the reference.
        trials: Number of complete trials that have the parameter.
        is_reference: Whether it is the noise.
        stands_out: Whether its interval lies above that of the noise, and its share above that of
            every noise that was drawn.
    """

    name: str
    trials: int
    is_reference: bool
    stands_out: bool


def importances(
    ranking: Sequence[Record],
    varied: Sequence[str],
    direction: Direction,
) -> list[Importance]:
    """Return the importance of each varied parameter, the greatest first; empty if too few trials.

    Args:
        ranking: Complete trials, the best first.
        varied: Names of the parameters that differ between trials.
        direction: Direction of the objective.
    """
    points = tuple(
        (tuple(record.params.items()), tuple(record.distributions.items()), record.objective)
        for record in ranking
        if record.params.keys() == record.distributions.keys()  # else Optuna makes no trial of it
    )
    return list(_importances(points, tuple(varied), direction))


@lru_cache(maxsize=4)
def _importances(
    points: Sequence[_Point], varied: Sequence[str], direction: Direction
) -> Sequence[Importance]:
    """Compute them; a sweep and its confirmation, in one process, draw two reports of the same."""
    from optuna.distributions import json_to_distribution

    if len(points) < FEWEST:
        return ()
    trials: list[FrozenTrial] = []
    for params, texts, objective in points:
        distributions = {name: json_to_distribution(text) for name, text in texts}
        trials.append(_trial(len(trials), dict(params), distributions, objective))
    random = np.random.default_rng(0)  # always the same noise and the same resamples
    found: list[Importance] = []
    for names, having in _groups(varied, trials):
        draws = [_shares(names, having, direction, random) for _ in range(_RESAMPLES)]
        whole = _shares(names, having, direction, random, resample=False)
        noise = np.array([draw[_NOISE] for draw in draws])
        whole[_NOISE] = float(np.median(noise))  # one draw alone would be chance
        for name in names if found else (*names, _NOISE):  # the reference is shown once
            low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
            is_above = whole[name] > noise.max() and low > np.quantile(noise, 0.975)
            found.append(
                Importance(
                    name=name,
                    value=whole[name],
                    low=float(low),
                    high=float(high),
                    trials=len(having),
                    is_reference=name == _NOISE,
                    stands_out=bool(is_above),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.is_reference, -one.value)))


def _groups(
    varied: Sequence[str], trials: Sequence[FrozenTrial]
) -> list[tuple[list[str], list[FrozenTrial]]]:
    """Group parameters by the trials that have them, reduced: first those of all trials."""
    groups: dict[frozenset[int], list[str]] = {}
    for name in varied:
        having = frozenset(i for i, trial in enumerate(trials) if name in trial.params)
        if len(having) >= FEWEST:
            groups.setdefault(having, []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[0]))
    return [
        (names, _reduced([trials[i] for i in sorted(having)], names)) for having, names in ordered
    ]


def _shares(
    names: Sequence[str],
    trials: Sequence[FrozenTrial],
    direction: Direction,
    random: np.random.Generator,
    *,
    resample: bool = True,
) -> dict[str, float]:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    chosen: NDArray[np.int64] = np.arange(len(trials))
    if resample:
        chosen = random.integers(0, len(trials), len(trials))
    made = []
    for number, trial in enumerate(trials[index] for index in chosen):
        params = {**trial.params, _NOISE: float(random.uniform())}
        made.append(_trial(number, params, trial.distributions, trial.value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction=direction)
        # Adding them would check and copy each, which takes ten times as long as the evaluation.
        study.get_trials = lambda *_, **__: made  # type: ignore[method-assign]
        found = PedAnovaImportanceEvaluator().evaluate(study)
    total = sum(found.values()) or 1.0
    return {name: found.get(name, 0.0) / total for name in (*names, _NOISE)}


def _reduced(trials: Sequence[FrozenTrial], names: Sequence[str]) -> list[FrozenTrial]:
    """Return the trials with the parameters that all have with one distribution, `names` included.

    Another one that is the same in all trials is left out.
    """
    from optuna.distributions import FloatDistribution

    kept = [
        name
        for name, distribution in trials[0].distributions.items()
        if all(trial.distributions.get(name) == distribution for trial in trials)
        and (name in names or len({str(trial.params[name]) for trial in trials}) > 1)
    ]
    first = trials[0].distributions
    distributions = {name: first[name] for name in kept} | {_NOISE: FloatDistribution(0, 1)}
    return [
        _trial(number, {name: trial.params[name] for name in kept}, distributions, trial.value)
        for number, trial in enumerate(trials)
    ]


def _trial(
    number: int, params: dict[str, Any], distributions: dict[str, Any], value: float | None
) -> FrozenTrial:
    """Return a complete trial of what was checked when it ran, as `create_trial` does again."""
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=number,
        state=TrialState.COMPLETE,
        value=value,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )
