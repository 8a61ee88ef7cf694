"""Samplers and pruners by name or import path, made afresh for every proposal.

Properties of a sweep with each sampler (tested in `tests/sweeps/study/test_samplers.py`):

| sampler | conditional spaces      | categorical | resumable  | reproducible |
|---------|-------------------------|-------------|------------|--------------|
| tpe     | yes, in groups          | yes         | yes        | yes          |
| gp      | yes, jointly            | yes         | yes        | yes          |
| cmaes   | conditional part random | random      | by replay  | yes          |
| random  | yes                     | yes         | yes        | yes          |
| qmc     | conditional part random | yes         | by replay  | yes          |
| grid    | yes                     | yes         | yes        | yes          |
| others  | as the sampler does     | as it does  | by replay  | if seeded    |

"By replay" means that a resumed sweep makes the earlier proposals again, since the sampler keeps a
state of its own. `auto` is none of them: it becomes grid, gp or tpe when a sweep is made
(`chosen_by_auto`). TPE samples each group apart from the others; all jointly was tried, and did not
pay (docs/evidence/search.md).
"""

from __future__ import annotations

import copy
import inspect
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any, Final, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.errors import did_you_mean
from search_spaces.space import Component, Space
from sweeps.errors import UsageError
from sweeps.experiment import Stop
from sweeps.study.sampler_view import HeldTrials
from sweeps.wording import counted, install_command

_Made = TypeVar("_Made")

SAMPLERS: Final = ("tpe", "gp", "cmaes", "random", "qmc", "grid", "auto")
_KNOWN: Final[Mapping[str, type[optuna.pruners.BasePruner]]] = {
    "median": optuna.pruners.MedianPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
}
PRUNERS: Final = ("none", *_KNOWN)
LEARN_NOTHING: Final = frozenset({"random", "qmc", "grid"})
"""Samplers whose proposals no outcome changes."""
MOST_SEEN: Final = 1000
"""Ended trials that TPE is shown of a longer sweep: its work grows with their number."""
START_UP: Final = 5
"""Outcomes that TPE of a new sweep sees before its model proposes; evidence: docs/evidence."""
_EARLIER_START_UP: Final = 10
"""That of a sweep whose options do not say it: Optuna's, with which earlier sweeps were made."""
_START_UP_OPTION: Final = "n_startup_trials"


def completed(choice: Component, stored: Mapping[str, Any] | None) -> Component:
    """Return a sampler with the start-up that it has if no option says it.

    The options of a new sweep's TPE say it, and are part of its fingerprint. Those of a sweep made
    earlier (`stored`) may not: then it has Optuna's, and its options stay as they are.
    """
    if choice.name != "tpe":
        return choice
    there = stored or {}
    if there.get("name") != "tpe" or _START_UP_OPTION in there.get("options", {}):
        return Component("tpe", {_START_UP_OPTION: START_UP, **choice.options})
    implied = (_START_UP_OPTION, _EARLIER_START_UP)
    return Component("tpe", dict(one for one in choice.options.items() if one != implied))


MOST_FOR_MODEL: Final = 200
"""Trials up to which `auto` takes the Gaussian process: as many as its model knows."""
MOST_DIMENSIONS: Final = 20


def chosen_by_auto(space: Space, trials: int) -> tuple[Component, str]:
    """Return the sampler of a new sweep of so many trials by the rule of `auto`, and why.

    It sees only what is known when the sweep is made. The first line that holds decides.
    """
    if space.is_open:
        return Component("tpe"), "an objective function names its parameters while it runs"
    size, several = space.size(), len(space.objectives)
    names = {name for walk in space.samples() for name in walk.params}
    parameters = counted(len(names), "parameter")
    if several > 1:  # `gp` models one
        return Component("tpe"), f"{several} objectives"
    if size is not None and size <= trials:  # it tries them all
        return Component("grid"), f"{counted(trials, 'trial')} of {counted(size, 'point')}"
    if trials > MOST_FOR_MODEL:  # `gp` would forget some
        return Component("tpe"), f"{trials} trials, more than {MOST_FOR_MODEL}"
    if len(names) > MOST_DIMENSIONS:  # distances say little there
        return Component("tpe"), f"{parameters}, more than {MOST_DIMENSIONS}"
    return Component("gp"), f"{counted(trials, 'trial')} of {parameters}"


def options_in_full(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a stored sampler, with those that it has without saying so."""
    implied = {_START_UP_OPTION: _EARLIER_START_UP} if stored.get("name") == "tpe" else {}
    return {**implied, **(stored.get("options") or {})}


def options_given(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a stored sampler or pruner without those of every new sweep."""
    options = dict(stored.get("options") or {})
    if stored.get("name") == "tpe" and options.get(_START_UP_OPTION) == START_UP:
        del options[_START_UP_OPTION]
    return options


@lru_cache
def _takes_seed(kind: Callable[..., optuna.samplers.BaseSampler]) -> bool:
    return "seed" in inspect.signature(kind).parameters


@dataclass(frozen=True)
class SamplerFactory:
    """Makes the sampler of one proposal.

    Attributes:
        kind: Returns a sampler for a seed, if it takes one, and options.
        stateless: Whether a proposal depends on the visible history and the seed alone.
        is_sequence: Whether its draws are one sequence, which belongs to the sweep: its scrambling
            uses one seed, and the study counts its position. Only parameters outside of it are
            drawn with the proposal's seed.
        cautious: Options of the sampler that draws again after a proposal was rejected, because it
            was tried before or lies where trials diverge; without any, no proposal is rejected for
            the latter. TPE takes the best of 24 draws from the region of good trials, so it returns
            to its favourite point again and again. A single draw stays among the good trials
            without that.
        most: Most ended trials that it is shown (`SamplerView.most`), so that a proposal late in a
            long sweep takes no longer; None: all.
    """

    kind: Callable[..., optuna.samplers.BaseSampler]
    options: Mapping[str, Any]
    stateless: bool = False
    is_sequence: bool = False
    cautious: Mapping[str, Any] = field(default_factory=dict)
    most: int | None = None

    def make(
        self, sequence: int, seed: int, *, is_cautious: bool = False
    ) -> optuna.samplers.BaseSampler:
        """Return a sampler, for the seed of the sequence and that of the proposal."""
        options = {**self.options, **(self.cautious if is_cautious else {})}
        if self.is_sequence:
            outside = optuna.samplers.RandomSampler(seed=seed)
            return self.kind(seed=sequence, independent_sampler=outside, **options)
        if _takes_seed(self.kind):
            return self.kind(seed=seed, **options)
        return self.kind(**options)


def sampler_factory(
    choice: Component, objectives: int = 1, space: Space | None = None
) -> SamplerFactory:
    """Return the factory of a sampler; `grid` has none, and `gp` walks through the space.

    Raises:
        UsageError: The name, option or import path is unknown, a package is missing, or the sampler
            does not take that many objectives.
    """
    options, samplers = dict(choice.options), optuna.samplers
    match choice.name:
        case "tpe":
            options = options_in_full(asdict(choice))
            tpe = {"multivariate": True, "group": True, "constant_liar": True, **options}
            cautious = {"n_ei_candidates": 1}
            factory = SamplerFactory(
                samplers.TPESampler, tpe, stateless=True, cautious=cautious, most=MOST_SEEN
            )
        case "gp":
            from sweeps.study.gaussian_process import GaussianProcessSampler

            if objectives > 1:
                raise UsageError(_one_objective(choice.name, objectives, "it models one"))
            assert space is not None
            if space.is_open:
                raise UsageError(
                    "sampler 'gp': needs the ranges of all parameters before the first trial, and "
                    "an objective function names them while it runs; take tpe, or declare a space"
                )
            kind = partial(GaussianProcessSampler, space)
            cautious = {"is_cautious": True}
            factory = SamplerFactory(kind, options, stateless=True, cautious=cautious)
            _call(lambda: factory.make(0, 0), "sampler", choice.name)
            return factory
        case "random":
            factory = SamplerFactory(samplers.RandomSampler, options, stateless=True)
        case "cmaes":
            # The state of its distribution is a note on a trial of the sampler view.
            cmaes = {"warn_independent_sampling": False, **options}
            factory = SamplerFactory(samplers.CmaEsSampler, cmaes)
        case "qmc":
            qmc = {"scramble": True, "warn_independent_sampling": False, **options}
            factory = SamplerFactory(samplers.QMCSampler, qmc, is_sequence=True)
        case path:
            imported = _import(path, samplers.BaseSampler, "sampler", SAMPLERS)
            factory = SamplerFactory(imported, options)
    # A mistake is found now, before anything is created.
    _call(lambda: _rehearse(factory.make(0, 0), 1), "sampler", choice.name)
    if objectives > 1:
        try:
            _rehearse(factory.make(0, 0), objectives)
        except (ValueError, RuntimeError) as error:
            raise UsageError(_one_objective(choice.name, objectives, str(error))) from None
    return factory


def make_pruner(choice: Component) -> optuna.pruners.BasePruner | None:
    """Return a pruner, or None for `none`.

    Raises:
        UsageError: The name, option or import path is unknown.
    """
    if choice.name == "none":
        if choice.options:
            raise UsageError(f"pruner 'none' takes no options, got {', '.join(choice.options)}")
        return None
    base = optuna.pruners.BasePruner
    kind = _KNOWN.get(choice.name) or _import(choice.name, base, "pruner", PRUNERS)
    return _call(lambda: kind(**choice.options), "pruner", choice.name)


def _one_objective(name: str, objectives: int, why: str) -> str:
    return (
        f"sampler {name!r} does not take {objectives} objectives ({why}); tpe, random, qmc, grid "
        "and optuna.samplers.NSGAIISampler do"
    )


def _rehearse(sampler: optuna.samplers.BaseSampler, objectives: int) -> None:
    # Some samplers import packages only when they first fit a model. 12 trials are more than the
    # start-up phase of any sampler that Optuna ships.
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    axis = optuna.distributions.FloatDistribution(0, 1, step=1 / 16)
    for number in range(12):
        point, values = {"x": number / 16, "y": number / 16}, [number / 16] * objectives
        study.add_trial(
            create_trial(params=point, distributions={"x": axis, "y": axis}, values=values)
        )
    study.ask({"x": axis, "y": axis})


def _call(make: Callable[[], _Made], what: str, name: str) -> _Made:
    try:
        return make()
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        how = install_command("cmaes") if package == "cmaes" else f"pip install {package}"
        raise UsageError(f"{what} {name!r} needs the package {package!r}: {how}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} {name!r}: {error}") from None


def _import(path: str, base: type, what: str, known: Sequence[str]) -> Any:
    if "." not in path:
        names = f"{', '.join(known)}, or a dotted import path"
        raise UsageError(f"unknown {what} {path!r}{did_you_mean(path, known)}; known: {names}")
    try:
        found = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{what} {path!r} cannot be imported: {error}") from None
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UsageError(f"{what} {path!r} is no subclass of optuna's {base.__name__}")
    return found


@dataclass
class TrialPruner:
    """The pruner of one running trial, with its snapshot; it travels with the trial to the worker.

    Attributes:
        pruner: Made for this trial alone: pruners keep state (Hyperband its resources), and a
            resumed sweep has none.
        metric: The per-epoch metric that it watches.
        finished: The trials told before this trial was proposed.
    """

    pruner: optuna.pruners.BasePruner
    metric: str
    direction: str
    trial: int
    finished: Sequence[FrozenTrial]

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Report one epoch (from 0) and return the pruner's verdict."""
        value = metrics[self.metric]
        if not math.isfinite(value):
            return None
        curve = {**self._held.trials[-1].intermediate_values, epoch: value}
        trial = self._held.change(self.trial, intermediate_values=curve)
        return Stop("pruned") if self.pruner.prune(self._held.study(self.pruner), trial) else None

    @property
    def notes(self) -> Mapping[str, Any]:
        """The pruner's notes about this trial; the pruners of later trials need them."""
        return self._held.trials[-1].system_attrs

    @cached_property
    def _held(self) -> HeldTrials:
        """The trial that runs, behind the others: made in the worker, after the first epoch.

        Numbers stay the same, since Hyperband derives the brackets from them: a trial that has not
        finished is blank.
        """
        held, finished = HeldTrials([self.direction]), {one.number: one for one in self.finished}
        for number in range(self.trial + 1):
            held.add(finished.get(number) or copy.copy(_BLANK))
        return held


def told_to(
    pruner: optuna.pruners.BasePruner, finished: Sequence[FrozenTrial]
) -> Sequence[FrozenTrial]:
    """Return these trials with what a pruner looks at, since all travel to the worker each time.

    Pruners with a name look at no parameters, and all but `median` at the last epoch only.
    """
    kind = type(pruner)
    if kind not in _KNOWN.values():
        return finished
    told = [copy.copy(trial) for trial in finished]
    for trial in told:
        trial.params, trial.distributions = {}, {}
        last = trial.last_step
        if kind is not optuna.pruners.MedianPruner and last is not None:
            trial.intermediate_values = {last: trial.intermediate_values[last]}
    return told


_BLANK: Final = create_trial(state=TrialState.RUNNING)
