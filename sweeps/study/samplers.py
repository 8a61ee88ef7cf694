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

"By replay" means that a resumed sweep makes the earlier proposals again, in order, because the
sampler keeps a state of its own. The others need no such repetition. `auto` is none of them: it
becomes grid, gp or tpe when a sweep is made (`chosen_by_auto`). TPE samples each group apart from
the others; all jointly was tried, and did not pay (docs/evidence/search.md).
"""

from __future__ import annotations

import copy
import importlib
import inspect
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces.errors import did_you_mean
from search_spaces.space import Component, Space
from sweeps.errors import UsageError
from sweeps.experiment import Stop
from sweeps.wording import counted, install_command

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
    earlier may not: then it has Optuna's, and its options stay as they are.

    Args:
        choice: The sampler that is asked for.
        stored: The sampler of the sweep that exists, as in its fingerprint; None if there is none.
    """
    if choice.name != "tpe":
        return choice
    there = stored or {}
    made_earlier = there.get("name") == "tpe" and _START_UP_OPTION not in there.get("options", {})
    if not made_earlier:
        return Component("tpe", {_START_UP_OPTION: START_UP, **choice.options})
    options = dict(choice.options)
    if options.get(_START_UP_OPTION) == _EARLIER_START_UP:
        del options[_START_UP_OPTION]
    return Component("tpe", options)


MOST_FOR_MODEL: Final = 200
"""Trials up to which `auto` takes the Gaussian process: as many as its model knows."""
MOST_DIMENSIONS: Final = 20


def chosen_by_auto(space: Space, trials: int) -> tuple[Component, str]:
    """Return the sampler of a new sweep by the rule of `auto`, and why.

    It sees only what is known when the sweep is made. The first line that holds decides:

    - several objectives: `tpe`, since `gp` models one;
    - no more points than trials: `grid`, which tries them all;
    - more than `MOST_FOR_MODEL` trials: `tpe`, since `gp` forgets trials then;
    - more than `MOST_DIMENSIONS` parameters: `tpe`, since distances say little there;
    - else `gp`.

    Args:
        space: The space of the sweep.
        trials: Number of trials that the sweep is made with.
    """
    size, several = space.size(), len(space.objectives)
    names = {name for walk in space.samples() for name in walk.params}
    parameters = f"{len(names)} parameter{'s' * (len(names) != 1)}"
    if several > 1:
        return Component("tpe"), f"{several} objectives"
    if size is not None and size <= trials:
        return Component("grid"), f"{counted(trials, 'trial')} of {counted(size, 'point')}"
    if trials > MOST_FOR_MODEL:
        return Component("tpe"), f"{trials} trials, more than {MOST_FOR_MODEL}"
    if len(names) > MOST_DIMENSIONS:
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


@dataclass(frozen=True)
class SamplerFactory:
    """Makes the sampler of one proposal.

    Attributes:
        make: (sweep seed, proposal seed) -> sampler.
        stateless: Whether a proposal depends on the visible history and the seed alone.
        cautious: Like `make`; makes the sampler that draws again after a proposal was rejected,
            because it was tried before or lies where trials diverge. None: `make` draws again, and
            no proposal is rejected for lying where trials diverge. TPE takes the best of 24 draws
            from the region of good trials, so it returns to its favourite point again and again,
            even if that was tried or lies beyond the edge of a diverged region. A single draw stays
            among the good trials without returning to that point.
        most: Most ended trials that it is shown (`SamplerView.most`), so that a proposal late in a
            long sweep takes no longer; None: all.
    """

    make: Callable[[int, int], optuna.samplers.BaseSampler]
    stateless: bool
    cautious: Callable[[int, int], optuna.samplers.BaseSampler] | None = None
    most: int | None = None


def sampler_factory(
    choice: Component, objectives: int = 1, space: Space | None = None
) -> SamplerFactory:
    """Return the factory of a sampler; `grid` is none of Optuna's, and has none.

    Args:
        choice: The sampler and its options.
        objectives: Number of objectives; not every sampler takes several.
        space: The space of the sweep; `gp` walks through it.

    Raises:
        UsageError: The name, option or import path is unknown, a package is missing, or the sampler
            does not take that many objectives.
    """
    options = dict(choice.options)
    samplers = optuna.samplers
    match choice.name:
        case "tpe":
            options = options_in_full(asdict(choice))
            tpe = {"multivariate": True, "group": True, "constant_liar": True, **options}
            single = {**tpe, "n_ei_candidates": 1}
            factory = SamplerFactory(
                lambda _, s: samplers.TPESampler(seed=s, **tpe),
                stateless=True,
                cautious=lambda _, s: samplers.TPESampler(seed=s, **single),
                most=MOST_SEEN,
            )
        case "gp":
            return _gaussian_process(choice, objectives, space)
        case "random":
            factory = SamplerFactory(lambda _, s: samplers.RandomSampler(seed=s, **options), True)
        case "cmaes":
            # The state of its distribution is a note on a trial of the sampler view.
            cmaes = {"warn_independent_sampling": False, **options}
            factory = SamplerFactory(lambda _, s: samplers.CmaEsSampler(seed=s, **cmaes), False)
        case "qmc":
            factory = SamplerFactory(lambda sweep, s: _qmc(sweep, s, options), False)
        case _ if "." in choice.name:
            imported = _import(choice.name, samplers.BaseSampler, "sampler")
            takes_seed = "seed" in inspect.signature(imported).parameters
            factory = SamplerFactory(
                lambda _, s: imported(**({"seed": s} if takes_seed else {}), **options), False
            )
        case _:
            raise UsageError(_unknown("sampler", choice.name, SAMPLERS))
    return _tried(factory, choice, objectives)


def make_pruner(choice: Component) -> optuna.pruners.BasePruner | None:
    """Return a pruner, or None for `none`.

    Raises:
        UsageError: The name, option or import path is unknown.
    """
    if choice.name == "none" and choice.options:
        raise UsageError(f"pruner 'none' takes no options, got {', '.join(choice.options)}")
    if choice.name == "none":
        return None
    if choice.name in _KNOWN:
        kind: Any = _KNOWN[choice.name]
    elif "." in choice.name:
        kind = _import(choice.name, optuna.pruners.BasePruner, "pruner")
    else:
        raise UsageError(_unknown("pruner", choice.name, PRUNERS))
    pruner: optuna.pruners.BasePruner = _call(kind, dict(choice.options), "pruner", choice.name)
    return pruner


def _gaussian_process(choice: Component, objectives: int, space: Space | None) -> SamplerFactory:
    from sweeps.study.gaussian_process import GaussianProcessSampler

    if objectives > 1:
        raise UsageError(_one_objective(choice.name, objectives, "it models one"))
    if space is None:
        raise ValueError("sampler 'gp' walks through the space of its trials: give `space`")

    def make(is_cautious: bool) -> Callable[[int, int], optuna.samplers.BaseSampler]:
        return lambda _, seed: GaussianProcessSampler(
            space, seed=seed, is_cautious=is_cautious, **choice.options
        )

    _call(lambda: make(False)(0, 0), {}, "sampler", choice.name)
    return SamplerFactory(make(False), stateless=True, cautious=make(True))


def _qmc(
    sweep_seed: int, proposal_seed: int, options: Mapping[str, Any]
) -> optuna.samplers.BaseSampler:
    # The sequence belongs to the sweep: its scrambling uses one seed, and the study counts its
    # position. Only parameters outside the sequence are drawn with the proposal's seed.
    independent = optuna.samplers.RandomSampler(seed=proposal_seed)
    settings = {"scramble": True, "warn_independent_sampling": False, **options}
    return optuna.samplers.QMCSampler(seed=sweep_seed, independent_sampler=independent, **settings)


def _tried(factory: SamplerFactory, choice: Component, objectives: int) -> SamplerFactory:
    """Try one sampler now, so that a mistake is found before anything is created."""
    _call(lambda: _rehearse(factory.make(0, 0), 1), {}, "sampler", choice.name)
    if objectives > 1:
        try:
            _rehearse(factory.make(0, 0), objectives)
        except (ValueError, RuntimeError) as error:
            raise UsageError(_one_objective(choice.name, objectives, str(error))) from None
    return factory


def _one_objective(name: str, objectives: int, why: str) -> str:
    return (
        f"sampler {name!r} does not take {objectives} objectives ({why}); tpe, random, qmc, grid "
        "and optuna.samplers.NSGAIISampler do"
    )


def _rehearse(sampler: optuna.samplers.BaseSampler, objectives: int) -> None:
    # Some samplers import packages only when they first fit a model. 12 trials are more than the
    # start-up phase of any sampler that Optuna ships.
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    distribution = optuna.distributions.FloatDistribution(0, 1, step=1 / 16)
    for number in range(12):
        value = number / 16
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": value, "y": value},
                distributions={"x": distribution, "y": distribution},
                values=[value] * objectives,
            )
        )
    study.ask({"x": distribution, "y": distribution})


def _call(kind: Callable[..., Any], options: Mapping[str, Any], what: str, name: str) -> Any:
    try:
        return kind(**options)
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        how = install_command("cmaes") if package == "cmaes" else f"pip install {package}"
        raise UsageError(f"{what} {name!r} needs the package {package!r}: {how}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what} {name!r}: {error}") from None


def _import(path: str, base: type, what: str) -> Any:
    module_name, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise UsageError(f"{what} {path!r} cannot be imported: {error}") from None
    except AttributeError:
        raise UsageError(f"{what} {path!r}: {module_name} has no {attribute!r}") from None
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UsageError(f"{what} {path!r} is no subclass of optuna's {base.__name__}")
    return found


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    hint = did_you_mean(name, known)
    return f"unknown {what} {name!r}{hint}; known: {', '.join(known)}, or a dotted import path"


@dataclass
class TrialPruner:
    """The pruner of one running trial, with its snapshot; it travels with the trial to the worker.

    So its verdicts depend neither on timing nor on the place where the trial runs.

    Attributes:
        pruner: An Optuna pruner made for this trial alone: pruners keep state (Hyperband its
            resources), and a resumed sweep has none.
        metric: The per-epoch metric that it watches.
        direction: `maximize` or `minimize`.
        trial: Trial number.
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
        storage, study, trial_id = self._snapshot
        storage.set_trial_intermediate_value(trial_id, epoch, value)
        return Stop("pruned") if self.pruner.prune(study, storage.get_trial(trial_id)) else None

    @property
    def notes(self) -> Mapping[str, Any]:
        """The pruner's notes about this trial; the pruners of later trials need them."""
        storage, _, trial_id = self._snapshot
        return dict(storage.get_trial_system_attrs(trial_id))

    @cached_property
    def _snapshot(self) -> tuple[InMemoryStorage, optuna.Study, int]:
        """The snapshot as a study in memory; made in the worker, after the first epoch."""
        is_known = type(self.pruner) in _KNOWN.values()
        storage = _Snapshot(self.trial, self.finished) if is_known else InMemoryStorage()
        direction = optuna.study.StudyDirection[self.direction.upper()]
        study_id = storage.create_new_study([direction], "snapshot")
        study = optuna.load_study(study_name="snapshot", storage=storage, pruner=self.pruner)
        if not is_known:
            for trial in _in_places(self.trial, self.finished):
                storage.create_new_trial(study_id, trial)
        return storage, study, storage.create_new_trial(study_id)


def told_to(
    pruner: optuna.pruners.BasePruner, finished: Sequence[FrozenTrial]
) -> Sequence[FrozenTrial]:
    """Return these trials with what a pruner looks at, since all travel to the worker each time.

    Those that have a name here look at no parameters; only `median` looks at epochs before the
    last. Others are told everything.
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


def _in_places(count: int, finished: Sequence[FrozenTrial]) -> Iterator[FrozenTrial]:
    """Yield a trial for each number below `count`: one that is not finished is blank.

    Numbers must stay the same: Hyperband derives the brackets from them.
    """
    by_number = {trial.number: trial for trial in finished}
    for number in range(count):
        trial = by_number.get(number) or copy.copy(_BLANK)
        trial.number = number
        yield trial


class _Snapshot(InMemoryStorage):
    """Holds the trial that runs, behind others that are only shown: to store one takes 40 us.

    It is for pruners that are known to ask for all trials, and for nothing else.
    """

    def __init__(self, running: int, finished: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._running, self._shown = running, list(_in_places(running, finished))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        running = [self._numbered(t) for t in super().get_all_trials(study_id, deepcopy, states)]
        shown = [trial for trial in self._shown if states is None or trial.state in states]
        return [*(copy.deepcopy(shown) if deepcopy else shown), *running]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self._numbered(super().get_trial(trial_id))

    def _numbered(self, trial: FrozenTrial) -> FrozenTrial:
        trial.number = self._running
        return trial


_BLANK = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
