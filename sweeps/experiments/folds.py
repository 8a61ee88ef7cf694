"""Makes the experiment of a confirmation from an experiment whose data can be divided into folds.

It is found at the import path of that experiment with `@folds` at its end, so that a confirmation
is a sweep like any other: workers, `replay` and MLflow load it by its path.
"""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from search_spaces.parameters import ParameterInfo, Value
from sweeps.capabilities import (
    FOLDS_A_REPEAT,
    GROUPS,
    REPEATS_A_DRAWING,
    SAMPLES,
    Fold,
    SupportsEngines,
    SupportsExamination,
    SupportsFiles,
    SupportsPages,
    Trained,
)
from sweeps.errors import ExperimentError, UsageError
from sweeps.experiment import (
    EnginePlan,
    Experiment,
    MetricInfo,
    OnEpoch,
    PreparedData,
    TrialResult,
    TrialSpec,
)
from sweeps.records import FOLD

ON_FOLDS: Final = "@folds"
"""The end of the import path of an experiment on folds."""
FRESH: Final = "fresh"
"""Parameter of an experiment on folds: the number of the drawing of folds, from 0."""
_AS_SEARCHED: Final = (
    "signature", "predict", "requires", "ordered", "test_set", "evaluate",
    "validation_predictions", "validation_truth", "judged",
    "calibration_terms", "save_model", "engines", "searches_on_less",
)  # fmt: skip
_IN_OUR_WORDS: Final = (
    "recomputed", "warm_up_for", "train_in", "train_by", "command", "examine", "pages",
    "load_network", "export",
)  # fmt: skip
"""Members that get configurations without our parameters, and trainings of a fold."""
EPOCHS: Final = "epochs"
REFIT_EPOCHS: Final = "refit_epochs"
"""Parameter of an experiment that is refitted: train on all data for this many epochs."""
TEMPERATURE: Final = "temperature"
"""Parameter of an experiment that is refitted and calibrated, and the fact of a training: what its
model's logits are divided by."""
_OWN: Final = {FOLD: "the fold", FRESH: "the drawing of folds"}
_MOST: Final = 9999


class FoldExperiment:
    """An experiment on fresh folds: one more parameter, `block`, is the number of the fold.

    Folds 0 to 3 score every sample once, folds 4 to 7 again, and so on. The seed of a trial follows
    from its fold, so that every finalist meets a fold under the same seed. With another `fresh` the
    same samples are divided otherwise. Of a `SupportsRefit`, a trial with `refit_epochs` is no
    training on a fold, but on all data; of a `SupportsCalibration`, too, it answers at the
    `temperature` that it is given, since no sample is left to fit one on.

    Attributes:
        searched: The experiment of the search, a `SupportsFolds`.
    """

    def __init__(self, searched: Experiment, path: str) -> None:
        """Wrap an experiment.

        Raises:
            UsageError: It has no folds, or a parameter of its own with the name of the fold's.
        """
        if not hasattr(searched, "folds"):
            raise UsageError(
                f"experiment {path!r}: the one of the search has no `folds` (see `SupportsFolds` "
                "in sweeps/capabilities.py)"
            )
        self._has_refit = hasattr(searched, "refit")
        own_parameters = _own_parameters(searched)
        for name, info in own_parameters.items():
            if name in set(searched.parameters):
                raise UsageError(
                    f"experiment {path!r}: a confirmation has a parameter {name!r} of its own "
                    f"({info.description}); give that of the experiment another name"
                )
        self._added = frozenset(own_parameters)
        self.searched = searched
        self.name = searched.name
        # Those of a script may be of any name: its mapping has them all.
        taken = cast(dict[str, ParameterInfo], searched.parameters)
        self.parameters: Mapping[str, ParameterInfo] = ChainMap(own_parameters, taken)
        self.metrics, self.measures = searched.metrics, searched.measures
        if self._has_refit:  # it has an objective, as every training has: for how long it was
            self.metrics = {EPOCHS: MetricInfo("minimize", shown=False), **searched.metrics}
        self.prepare, self.warm_up = searched.prepare, searched.warm_up
        # Capabilities are members, so it has those that the searched one has.
        own: Any = searched
        for name in _AS_SEARCHED:
            if hasattr(own, name):
                setattr(self, name, getattr(own, name))
        for name in _IN_OUR_WORDS:
            if hasattr(own, name):
                setattr(self, name, getattr(self, f"_{name}"))

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse what the search refuses."""
        self.searched.check(self._searched(config))

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Compute what the search computes."""
        return self.searched.measure(self._searched(config), data)

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine of the search."""
        return self.searched.plan(self._searched(config), data)

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train on all but one fold, and score on it; or train on everything, without a score."""
        if epochs := self._refit_epochs(spec.config):
            own: Any = self.searched
            refitted: TrialResult = own.refit(self._own(spec), data, epochs, on_epoch)
            metrics = {EPOCHS: float(epochs), **refitted.metrics}
            refitted = replace(refitted, metrics=metrics)
            if TEMPERATURE not in self._added:
                return refitted
            temperature = float(str(spec.config.get(TEMPERATURE) or 1.0))
            return replace(refitted, info={**refitted.info, TEMPERATURE: temperature})
        fold = self.divided(spec.config, data)
        return numbered(self.searched.train(self._own(spec), fold.data, on_epoch), fold)

    def _train_in(
        self, folder: Path, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        if self._refit_epochs(spec.config):
            return self.train(spec, data, on_epoch)
        fold, own = self.divided(spec.config, data), cast(SupportsFiles, self.searched)
        return numbered(own.train_in(folder, self._own(spec), fold.data, on_epoch), fold)

    def _command(self, spec: TrialSpec, info: Mapping[str, Any], output: str) -> list[str]:
        fold = self.divided(spec.config, PreparedData(self.name, "", "", info, None))
        own: Any = self.searched
        words: list[str] = own.command(self._own(spec), fold.data.info, output)
        return words

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw what the search draws."""
        return self.searched.draw(self._own(spec), result)

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Build the trained model again."""
        return self.searched.load_model(self._searched(config), weights, info)

    def _load_network(self, config: Mapping[str, Value], *more: Any) -> Any:
        own: Any = self.searched
        return own.load_network(self._searched(config), *more)

    def _export(self, config: Mapping[str, Value], *more: Any) -> str:
        own: Any = self.searched
        code: str = own.export(self._searched(config), *more)
        return code

    def _recomputed(
        self, model: Any, config: Mapping[str, Value], data: PreparedData
    ) -> Mapping[str, np.ndarray]:
        own: Any = self.searched
        part = self._part(config, data)
        found: Mapping[str, np.ndarray] = own.recomputed(model, self._searched(config), part)
        return found

    def _train_by(
        self, engine: str, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        if self._refit_epochs(spec.config):
            raise ValueError("it was trained on all data; name a training on a fold")
        fold, own = self.divided(spec.config, data), cast(SupportsEngines, self.searched)
        return numbered(own.train_by(engine, self._own(spec), fold.data, on_epoch), fold)

    def _examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        own, part = cast(SupportsExamination, self.searched), self._part(config, data)
        return own.examine(self._searched(config), part, result)

    def _pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        part, shown = self.of_search(data, trained)
        other = None if beside is None else self.of_search(data, beside)[1]
        return cast(SupportsPages, self.searched).pages(part, shown, other)

    def of_search(self, data: PreparedData, trained: Trained) -> tuple[PreparedData, Trained]:
        """Return the data of a training, and what it left, as the search's experiment has them."""
        own = replace(trained, config=self._searched(trained.config))
        return self._part(trained.config, data), own

    def _part(self, config: Mapping[str, Value], data: PreparedData) -> PreparedData:
        return data if self._refit_epochs(config) else self.divided(config, data).data

    def _warm_up_for(
        self, configs: Sequence[Mapping[str, Value]], say: Callable[[str], None]
    ) -> None:
        own: Any = self.searched
        own.warm_up_for([self._searched(config) for config in configs], say)

    def _refit_epochs(self, config: Mapping[str, Value]) -> int:
        return _number(config, REFIT_EPOCHS) if self._has_refit else 0

    def _searched(self, config: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in config.items() if name not in self._added}

    def _own(self, spec: TrialSpec) -> TrialSpec:
        """Return the attempt as the search's experiment takes it, with the seed of the fold."""
        fold, *others = (_number(spec.config, name) for name in _OWN)
        entropy = [fold, 2, *(others if any(others) else ())]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        return replace(spec, seed=seed, config=self._searched(spec.config))

    def divided(self, config: Mapping[str, Value], data: PreparedData) -> Fold:
        """Return the fold that a configuration names."""
        own: Any = self.searched
        repeat, place = divmod(_number(config, FOLD), FOLDS_A_REPEAT)
        seed = repeat + REPEATS_A_DRAWING * _number(config, FRESH)
        try:
            found = iter(own.folds(data, seed, FOLDS_A_REPEAT))
            fold: Fold | None = next(itertools.islice(found, place, None), None)
        except Exception as error:
            raise ExperimentError.at(self.name, "folds", error) from error
        if fold is not None and not isinstance(fold, Fold):
            raise ValueError(
                f"`folds` of experiment {self.name!r} gave {type(fold).__name__}; each is to be a "
                "`sweeps.capabilities.Fold`"
            )
        if fold is None:
            raise ValueError(
                f"`folds` of experiment {self.name!r} gave {place} folds; {FOLDS_A_REPEAT} are "
                "needed, as many as its argument n says"
            )
        return fold


def _own_parameters(searched: Experiment) -> dict[str, ParameterInfo]:
    own = {
        name: ParameterInfo(
            "int", 0, most, default=0, description=f"number of {_OWN[name]}, from 0"
        )
        for name, most in ((FOLD, None), (FRESH, _MOST))
    }
    if hasattr(searched, "refit"):
        own[REFIT_EPOCHS] = ParameterInfo(
            "int", 1, None, default=None, optional=True, description="epochs of a refit on all data"
        )
        if hasattr(searched, "calibration_terms"):
            own[TEMPERATURE] = ParameterInfo(
                "float", 0, None, optional=True, description="temperature of a refit's answers"
            )
    return own


def numbered(result: TrialResult, fold: Fold) -> TrialResult:
    """Return the result of a training with the numbers, and groups, of its fold's samples.

    A script numbers them by itself.
    """
    samples = np.asarray(fold.samples)
    if not len(samples):
        return result
    numbers = {SAMPLES: samples}
    if fold.groups is not None:
        numbers[GROUPS] = np.asarray(fold.groups)
    return replace(result, arrays={**result.arrays, **numbers})


def _number(config: Mapping[str, Value], name: str) -> int:
    return int(str(config.get(name) or 0))
