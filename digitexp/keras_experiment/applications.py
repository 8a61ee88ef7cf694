"""Nets of Keras Applications on small grey images, as an experiment.

A space names it: `experiment: digitexp.keras_experiment.applications:experiment`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digitexp.data import load_source
from digitexp.keras_experiment.experiment import KerasExperiment
from digitexp.transfer.applications import MIN_SIDE, NETS, build_application, check_application
from digitexp.transfer.comparing import resized
from sweeps.experiment import ParameterInfo, Value

__all__ = ["experiment"]


class ApplicationExperiment(KerasExperiment):
    """A `KerasExperiment` that refuses weights which are not here before a sweep begins."""

    def check(self, config: Mapping[str, Value]) -> None:
        """Raise ValueError if `body_weights` is no local file."""
        check_application(config)


def images(source: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a source, (n, 32, 32, 1) float32 in [0, 1], and their classes.

    Images of another size are resized; the test part is left out.
    """
    loaded = load_source(source)
    return resized(loaded.images, (MIN_SIDE, MIN_SIDE))[..., None], loaded.labels


experiment = ApplicationExperiment(
    build_application,
    images,
    {
        "net": ParameterInfo(
            "categorical",
            choices=tuple(NETS),
            default="MobileNetV2",
            description="of Keras Applications",
        ),
        "alpha": ParameterInfo(
            "float",
            low=0.1,
            high=2.0,
            default=1.0,
            description="width of MobileNet and MobileNetV2, as a share",
        ),
        "body_weights": ParameterInfo(
            "categorical",
            optional=True,
            description="local file of weights without the top; null = at random",
        ),
        "frozen_body": ParameterInfo(
            "bool", default=False, description="only the head trains; needs body_weights"
        ),
        "image_side": ParameterInfo(
            "int", low=MIN_SIDE, high=512, default=MIN_SIDE, description="images grow to it, pixels"
        ),
        "head_units": ParameterInfo(
            "int", low=0, high=4096, default=0, description="hidden layer of the head; 0 = none"
        ),
        "head_dropout": ParameterInfo(
            "float", low=0.0, high=0.95, default=0.0, description="before the output layer"
        ),
        "classes": ParameterInfo(
            "int", low=2, high=1000, default=10, description="classes of the data"
        ),
        "learning_rate": ParameterInfo(
            "float", low=1e-8, high=10.0, default=1e-3, description="Adam's"
        ),
    },
    name="applications",
)
