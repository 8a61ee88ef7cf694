"""Plans a confirmation: which difference so many folds will see, before anything is trained.

The error of a difference has a part that more folds reduce (seeds, partitions, noise) and a part
that only more samples do. Earlier confirmations on the same data have measured both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sweeps.config.sweep import SweepConfig
from sweeps.confirm.best import LOOKS, POWER, nominal, normal_critical
from sweeps.confirm.checks import scored_in
from sweeps.errors import UsageError
from sweeps.records import Conclusions, heard, is_same_data
from sweeps.records.conclusions import Components, VerdictConclusion

SHIPPED: Final = Components(fixed=2.8e-7, by_folds=9.07e-5, level=0.0136)
"""Of a default confirmation of `mlp` on digits20: six finalists, 4000 images."""


def detectable(components: Components, folds: float) -> float:
    """Return the difference from the best that is seen in 80 of 100 confirmations, at least.

    A later look tests at a small level of its own, but what was seen at an earlier one stays.

    Args:
        components: The variance components.
        folds: Number of folds, that of a look; infinity for as many as one likes.
    """

    def at_look(look: float) -> float:
        critical = normal_critical(nominal(components.level, int(min(look, LOOKS[-1]))))
        return (critical + POWER) * math.sqrt(components.fixed + components.by_folds / look)

    return min(at_look(look) for look in (*LOOKS, math.inf) if look <= folds)


@dataclass(frozen=True)
class PowerPlan:
    """The differences that a confirmation will see.

    Attributes:
        confirmations: Names of the earlier confirmations that this comes from; empty if it comes
            from `SHIPPED`.
        components: The mean of their variance components.
        unit: The unit of the differences, as `Interval` has it.
    """

    confirmations: Sequence[str]
    components: Components
    unit: str

    @property
    def seen(self) -> dict[int, float]:
        """The difference that is seen in 80 of 100 cases, by the number of folds."""
        return {folds: detectable(self.components, folds) for folds in LOOKS}

    @property
    def at_best(self) -> float:
        """The difference that is seen with as many folds as one likes: samples limit it."""
        return detectable(self.components, math.inf)


def plan_power(config: SweepConfig) -> PowerPlan:
    """Return what a confirmation will see, from those of its home on the same data.

    Raises:
        UsageError: It cannot be confirmed, or by a metric whose variance nothing has measured yet.
    """
    home, experiment, data = config.home, config.space.experiment, config.data
    scored, found = scored_in(config), {}
    unit = scored.unit
    for info in home.sweeps():
        if info.experiment != experiment or not is_same_data(data, info.data):
            continue
        confirmed = heard(Conclusions(home.store(info.id).folder).confirmed)
        for one in confirmed.conclusions if confirmed else ():
            if not isinstance(one, VerdictConclusion) or one.metric != scored.metric:
                continue
            if one.components is not None:
                found[one.confirmation] = one.components
                unit = one.quotable.unit if one.quotable else unit
    if not found and scored.unit != "share":
        raise UsageError(
            f"--power: how much {scored.called} differs by chance is measured by a confirmation, "
            f"and none on these data is in {home.path} yet"
        )
    if not found:
        return PowerPlan([], SHIPPED, unit)
    known = list(found.values())
    mean = Components(
        fixed=float(np.mean([one.fixed for one in known])),
        by_folds=float(np.mean([one.by_folds for one in known])),
        level=float(np.mean([one.level for one in known])),
    )
    return PowerPlan(list(found), mean, unit)
