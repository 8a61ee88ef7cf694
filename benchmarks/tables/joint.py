"""TPE that samples conditional parameters together with all others; tried, not shipped.

Optuna's `group=True` samples parameters of the same condition together, and each group apart: for
`mlp`, `units_2` apart from `units_1`. Here all are one joint sample; a trial that lacks a parameter
takes part with a value drawn once, uniformly, which says nothing (as OptunaHub's
`tpe_union_multivariate`, in its idea). `python -m benchmarks samplers` measures it.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweeps.study.gaussian_process import value_at
from sweeps.study.samplers import SamplerFactory


class JointTPESampler(optuna.samplers.TPESampler):
    """TPE of the union of all parameters."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter that a trial with an outcome had."""
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        found: dict[str, BaseDistribution] = {}
        for one in study.get_trials(deepcopy=False, states=states):
            found |= one.distributions
        self._union = {name: found[name] for name in sorted(found) if not found[name].single()}
        return self._union

    def _get_params(self, trial: FrozenTrial, study: optuna.Study) -> dict[str, Any]:
        drawn = {
            name: value_at(
                distribution,
                np.random.default_rng([trial.number, zlib.crc32(name.encode())]).random(),
            )
            for name, distribution in self._union.items()
            if name not in trial.params
        }
        return {**trial.params, **drawn}


def joint_tpe(**options: Any) -> SamplerFactory:
    """Return the factory of the sampler, as that of `tpe` in all else."""
    tpe = {"multivariate": True, "constant_liar": True, **options}
    single = {**tpe, "n_ei_candidates": 1}
    return SamplerFactory(
        lambda _, seed: JointTPESampler(seed=seed, **tpe),
        stateless=True,
        cautious=lambda _, seed: JointTPESampler(seed=seed, **single),
    )
