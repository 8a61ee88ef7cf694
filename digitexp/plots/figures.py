"""The pictures that a command draws once, as matplotlib figures.

pyplot keeps every figure and picks a window system; a Figure of its own does neither.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from digitexp.numpy_functions import relu, sigmoid
from digitexp.plots import colors
from digitexp.plots.language import families, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from digitexp.calibration import CrossFitted, Reliability


@contextmanager
def styled() -> Iterator[None]:
    """Apply the project's style and the fonts of the language; draw and render inside it."""
    import matplotlib

    # A Chinese font without a bold face serves with its regular one: no reason to warn.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with matplotlib.rc_context(_style()):
        matplotlib.rcParams["font.family"] = families()
        yield


@lru_cache(maxsize=1)
def _style() -> Any:
    import matplotlib

    path = Path(__file__).with_name("digitexp.mplstyle")
    return matplotlib.rc_params_from_file(path, use_default_template=False)


def png(figure: Figure, **how: Any) -> bytes:
    """Render a figure; the same picture gives the same bytes with the same matplotlib."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None}, **how)
    return stream.getvalue()


def _plain(name: str) -> str:
    """Return a name of somebody's for a figure, where what stands between dollars is a formula."""
    return name.replace("$", r"\$")


def draw_activations() -> bytes:
    """Draw ReLU and sigmoid from -10 to 10, and their slopes, as a PNG."""
    with styled():
        return png(activations_figure())


def activations_figure() -> Figure:
    """Return both functions in one panel, their slopes in the other."""
    from matplotlib.figure import Figure

    z = np.linspace(-10, 10, 401)
    small = sigmoid(z)
    panels = (
        (say("value"), relu(z), small),
        (say("slope: what a gradient is multiplied by"), z > 0, small * (1 - small)),
    )
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    for axes, (heading, of_relu, of_sigmoid) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.plot(z, of_relu, color=colors.TRAIN, label="ReLU")
        axes.plot(z, of_sigmoid, color=colors.VALIDATION, label="sigmoid")
        axes.set_title(heading)
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


LINES = (colors.TRAIN, colors.VALIDATION, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of Okabe and Ito's palette."""
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.65)))


def draw_robustness(epsilons: Sequence[float], accuracies: Mapping[str, Sequence[float]]) -> bytes:
    """Draw accuracy over the size of an attack as a PNG, a line for each network.

    Args:
        epsilons: Sizes of the attack, in pixel values, ascending from 0.
        accuracies: Name of a network -> accuracy at each size, from 0 to 1.
    """
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(4.8, 3))
        axes = figure.add_axes((0, 0, 1, 1))
        lines = {}
        for number, (name, values) in enumerate(accuracies.items()):
            color, dashes = LINES[number % len(LINES)], DASHES[number // len(LINES) % len(DASHES)]
            look: dict[str, Any] = {"color": color, "linestyle": dashes, "clip_on": False}
            (lines[name],) = axes.plot(epsilons, values, label=_plain(name), **look)
        axes.set(xlim=(0, max(epsilons)), ylim=(0, 1.05))
        axes.set_title("accuracy on attacked images")
        axes.set_xlabel("size of the attack (FGSM), in pixel values from 0 to 1")
        as_they_end = sorted(lines, key=lambda name: -accuracies[name][-1])
        handles = [lines[name] for name in as_they_end]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
        return png(figure, bbox_inches="tight", pad_inches=0.2)


Z = 1.959964
"""Standard errors on either side of a 95 % interval."""


def draw_reliability(found: CrossFitted, title: str = "") -> bytes:
    """Draw reliability before and after calibration as a PNG: share right by confidence.

    The errors stand above, the number of images in each bin below. Bars are 95 % intervals of the
    share right (Wilson 1927).

    Args:
        found: Cross-fitted calibration of one network.
        title: Line above both.
    """
    from matplotlib.figure import Figure

    lowest, highest = (f"{one:.2f}" for one in (min(found.temperatures), max(found.temperatures)))
    spread = lowest if lowest == highest else f"{lowest} to {highest}"
    panels = (
        ("As the network says it, T = 1", found.before, "before"),
        (f"Fitted on other images, T = {spread}", found.after, "after"),
    )
    with styled():
        figure = Figure(figsize=(9.6, 5.625), layout="constrained")
        figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=9, color=colors.MUTED)
        for axes, (heading, shown, when) in zip(figure.subplots(1, 2), panels, strict=True):
            ece, nll = (getattr(found.measures[name], when) for name in ("ece", "nll"))
            shares = f"{ece.low:.2%} to {ece.high:.2%}"
            nats = f"{nll.low:.3f} to {nll.high:.3f}"
            figures = f"ECE {ece.value:.2%} ({shares})  ·  NLL {nll.value:.3f} nats ({nats})"
            axes.set_title(heading, pad=22)
            axes.text(0, 1.025, figures, fontsize=8, color=colors.LABEL)
            _draw_bins(axes, shown)
        _legend(figure)
        return png(figure)


def _draw_bins(axes: Axes, shown: Reliability) -> None:
    """Draw share right by mean confidence, the gap to the diagonal, and the bins' counts."""
    low, high = wilson(shown.accuracy, shown.counts)
    at, right = shown.confidence, shown.accuracy
    axes.plot([0, 1], [0, 1], color=colors.BEST, linewidth=0.9, alpha=0.55,
              label="as often right as sure")  # fmt: skip
    axes.vlines(at, at, right, color=colors.WRONG, linewidth=5, alpha=0.45,
                label="its distance from the confidence")  # fmt: skip
    axes.vlines(at, low, high, color=colors.TRAIN, linewidth=1.2)
    axes.plot(at, right, "o", color=colors.TRAIN, markersize=5, clip_on=False,
              label="share right, 95 % interval")  # fmt: skip
    axes.plot([], [], " ", label="small numbers: images in each bin")
    middles = (shown.edges[:-1] + shown.edges[1:]) / 2
    for middle, count in zip(middles, shown.counts.tolist(), strict=True):
        axes.annotate(str(count or "·"), (middle, 0), (0, -26), textcoords="offset points",
                      ha="center", fontsize=6.5, color=colors.MUTED)  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=np.arange(11) / 10, yticks=np.arange(11) / 10)
    axes.set_xlabel("confidence of the answer", labelpad=21)


def wilson(
    shares: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of each share of `counts`, by score (Wilson 1927); NaN for none."""
    n = np.where(counts > 0, counts, np.nan)
    middle = (shares + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(shares * (1 - shares) / n + Z**2 / (4 * n**2))
    return middle - half, middle + half
