"""A sweep as data, with the distributions that findings need, without any file."""

from __future__ import annotations

from pathlib import Path

from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from sweeps.analysis.data import SweepData
from sweeps.records import RecordStore
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import record, sweep_info

DOMAINS = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "units": IntDistribution(8, 128),
    "kind": CategoricalDistribution(("a", "b", "c")),
    "depth": IntDistribution(1, 3),
}


def sweep_data(points, objectives, direction="maximize"):
    """Return a sweep whose trials are these points with these objectives."""
    texts = {name: distribution_to_json(domain) for name, domain in DOMAINS.items()}
    records = tuple(
        altered(
            record(trial, objective, params=point),
            distributions={name: texts[name] for name in point},
        )
        for trial, (point, objective) in enumerate(zip(points, objectives, strict=True))
    )
    info = sweep_info(direction=direction)
    return SweepData(info, RecordStore(Path("none")), records, len(records), None)
