"""A tool as one HTML page that needs nothing else; the pages of softmax, a training and the pad.

plotly.js comes with the traces that a page draws and no others (`.ci/build-plotly.mjs`).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from digitexp import activations
from digitexp.data import load_source, split_source
from digitexp.data.build_digits20 import cut, cut_and_centre
from digitexp.data.source import Array
from digitexp.diagnostics import surest_first
from digitexp.parameters import Scalar
from digitexp.trained import NORM_EPSILON, ShownTrial

_HERE: Final = Path(__file__).parent
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "softmax": ("common.js", "softmax.js"),
    "training": ("common.js", "net.js", "training.js"),
    "decision_regions": ("common.js", "decision_regions.js"),
    "pad": ("common.js", "net.js", "framing.js", "pad.js"),
}
"""The scripts of each tool, in their order; they find its data as the global `DATA`."""
BUNDLES: Final = {"softmax": "plotly.min.js", "decision_regions": "plotly-3d.min.js"}
"""plotly.js with what is drawn on two axes, and on three, for the tools that draw by it."""
EMBEDDED: Final = "digits20"
"""The data whose attribution a page names, wherever it shows some of them."""
PACKED: Final = ("uint8", "uint16", "int16", "int32", "float32")


def render(tool: str, title: str, data: Mapping[str, Any], source: str = "") -> str:
    """Return the page of a tool.

    Args:
        tool: Name of the tool's files beside this one. `<tool>.html` is a Jinja2 template of the
            page's content, which sees `data` and escapes text. `<tool>.css` need not be there.
        title: Heading of the page.
        data: JSON-compatible; arrays by `pack`. NaN and infinity become null.
        source: Name of the data that images on the page are from.
    """
    page, bundle = _templates().get_template("page.html"), BUNDLES.get(tool)
    text = json.dumps(_finite(data), separators=(",", ":"))
    return page.render(
        tool=tool,
        title=title,
        data=data,
        json=text.replace("<", "\\u003c"),  # it cannot end the script it stands in
        style="".join(_read(n) for n in ("page.css", f"{tool}.css") if (_HERE / n).exists()),
        scripts={name.removesuffix(".js"): _read(name) for name in SCRIPTS[tool]},
        plotly=bundle and _read(bundle).replace("</script", "<\\/script"),
        shows_digits=source == EMBEDDED,
    )


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_HERE)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _read(name: str) -> str:
    text = (_HERE / name).read_text(encoding="utf-8")
    return text.replace("/* activations */", activations.javascript().lstrip())


def pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as `common.js` unpacks it: dtype, shape, and its bytes as base64.

    Args:
        array: Of one of the dtypes `PACKED`; written little-endian.
    """
    dtype = array.dtype.name
    if dtype not in PACKED:
        raise ValueError(f"no array of {dtype} is packed; give one of {', '.join(PACKED)}")
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "bytes": base64.b64encode(raw).decode()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if abs(value) < float("inf") else None
    return value


MISTAKES: Final = 20
RIGHT_ONES: Final = 20


def softmax_page(trial: ShownTrial) -> str:
    """Return the page, self-contained HTML.

    Without a network (it diverged) or images the page has logits of one's own only, and says so.

    Args:
        trial: The trial whose images can be chosen, and whose fitted temperature is marked.
    """
    data = {
        "trial": trial.name,
        "classes": list(trial.class_names),
        "fitted": None if trial.weights is None else float(trial.temperature),
        "part": trial.part,
        "images": _images(trial),
    }
    return render("softmax", f"Softmax and temperature: {trial.name}", data, source_of(trial))


def source_of(trial: ShownTrial) -> str:
    """Return the name of a trial's data; empty if it was not kept."""
    return str(trial.about.get("name", ""))


def _images(trial: ShownTrial) -> dict[str, Any] | None:
    if trial.weights is None or not len(trial.images):
        return None
    chosen, mistakes = choose_images(trial.logits, trial.labels)
    shown = _shown(trial, chosen, logits=pack(trial.logits[chosen]))
    return shown | {"mistakes": mistakes}


def _shown(trial: ShownTrial, chosen: np.ndarray, **more: Any) -> dict[str, Any]:
    """Return some of a trial's images as the pages read them."""
    return {
        "ink": pack(ink_of(trial.images[chosen])),
        **more,
        "labels": [int(label) for label in trial.labels[chosen]],
        "numbers": [int(number) for number in chosen],
    }


def ink_of(images: np.ndarray) -> NDArray[np.uint8]:
    """Return images in [0, 1] in whole numbers from 0 (paper) to 255 (ink)."""
    return np.asarray(np.rint(images.clip(0, 1) * 255), np.uint8)


def choose_images(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Choose instructive images: the surest mistakes, and right answers from sure to unsure.

    Args:
        logits: (n, classes).
        labels: (n,), integers from 0 to classes - 1.

    Returns:
        Indices, and how many of them are mistakes: these come first, the surest first, at most
        `MISTAKES`. Then right answers, class by class, the surest first and the least sure last,
        `RIGHT_ONES` in all but at least one of each class.
    """
    surest = surest_first(logits)
    is_right = (logits.argmax(axis=1) == labels)[surest]
    mistakes, right = surest[~is_right][:MISTAKES], surest[is_right]
    n_classes = logits.shape[1]
    each = max(1, RIGHT_ONES // n_classes)
    by_class = [right[labels[right] == label] for label in range(n_classes)]
    spread = [one[evenly(len(one), each)] for one in by_class]
    return np.concatenate([mistakes, *spread]), len(mistakes)


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` of `count` indices, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


_FIRST: Final = ("learning_rate", "learning_rate_schedule", "batch_size")
"""Parameters that decide how a training converges; they stand first among the differences."""
MOST_UNITS: Final = 128
MOST_LAYERS: Final = 3
"""Hidden layers, and units of each, that the page trains: more would take minutes."""


def training_page(trial: ShownTrial, beside: ShownTrial | None = None) -> str:
    """Return the page, self-contained HTML.

    It plays what was recorded, and trains networks of dense layers on the embedded digits. A trial
    without a history is only where the settings begin.

    Args:
        trial: The trial whose learning curve is shown.
        beside: Another trial on the same data, shown at the same epoch; left out without a history.
    """
    given = [trial] if beside is None else [trial, beside]
    shown = [one for one in given if len(one.confusion) and len(one.history.get("loss", ()))]
    data = {
        "classes": list(trial.class_names),
        "trials": [_curve(one) for one in shown],
        "differences": differences(*shown) if len(shown) > 1 else [],
        "settings": _settings(trial),
        "digits": _digits(),
    }
    names = " and ".join(one.name for one in shown) or trial.name
    return render("training", f"Training, epoch by epoch: {names}", data, EMBEDDED)


def _settings(trial: ShownTrial) -> dict[str, Any]:
    """Return what the page trains at first: as the trial, where the page can."""
    config = trial.config
    units = [units for units in config.units[:MOST_LAYERS] if units <= MOST_UNITS]
    rate = config.learning_rate
    return {
        "units": units or [25, 15],
        "rates": [rate, rate * 10 if rate <= 0.01 else rate / 10],
        "most_units": MOST_UNITS,
    }


@cache
def _digits() -> dict[str, Any]:
    """Return the embedded digits: those that train, then those that validate, split as by default.

    The test set is no part of it.
    """
    source = load_source(EMBEDDED)
    split = split_source(source)
    order = np.concatenate([split.train_indices, split.validation_indices])
    packed = zlib.compress(ink_of(source.images[order]).tobytes(), 6)  # 9: 1 % less, in 0.7 s
    return {
        "ink": base64.b64encode(packed).decode(),
        "labels": pack(source.labels[order].astype(np.uint8)),
        "shape": list(source.images.shape[1:]),
        "train": len(split.train_indices),
        "classes": list(source.class_names),
    }


def _curve(trial: ShownTrial) -> dict[str, Any]:
    largest = int(trial.confusion.max())
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    return {
        "name": trial.name,
        "description": trial.config.describe(),
        "penalised": trial.config.l2 > 0,
        "history": {name: [float(v) for v in values] for name, values in trial.history.items()},
        "confusion": pack(trial.confusion.astype(dtype)),
        "best_epoch": trial.best_epoch,
    }


def differences(trial: ShownTrial, beside: ShownTrial) -> list[dict[str, Any]]:
    """Return the parameters in which two trials differ, the learning rate first.

    Returns:
        For each parameter its flat `name`, and two `values` as text, None where a trial has none.
        The seed comes last.
    """
    one, other = trial.config.to_params(), beside.config.to_params()
    longer, shorter = sorted((one, other), key=len, reverse=True)
    middle = [name for name in {**longer, **shorter} if name not in (*_FIRST, "seed")]
    found = []
    for name in (*_FIRST, *middle, "seed"):
        values = [_text(params, name, ".4g") for params in (one, other)]
        if values[0] == values[1]:  # floats may differ in later digits
            values = [_text(params, name, ".17g") for params in (one, other)]
        if values[0] != values[1]:
            found.append({"name": name, "values": values})
    return found


def _text(params: Mapping[str, Scalar], name: str, digits: str) -> str | None:
    if name not in params:
        return None
    value = params[name]
    return format(value, digits) if isinstance(value, float) else str(value)


MOST_NETWORKS: Final = 4
MOST_EXAMPLES: Final = 20


def pad_page(trials: Sequence[ShownTrial]) -> str:
    """Return the page, self-contained HTML.

    Args:
        trials: Those whose networks answer, the first one first; its images are there to be chosen.

    Raises:
        ValueError: There are none, more than `MOST_NETWORKS`, or one has no weights.
    """
    if not 1 <= len(trials) <= MOST_NETWORKS:
        raise ValueError(
            f"{len(trials)} networks: give 1 to {MOST_NETWORKS}, which answer together"
        )
    first = trials[0]
    data = {"networks": [_network(trial) for trial in trials], "examples": _examples(first)}
    names = " and ".join(trial.name for trial in trials)
    return render("pad", f"Draw a digit: {names}", data, source_of(first))


def _network(trial: ShownTrial) -> dict[str, Any]:
    return {
        "name": trial.name,
        "description": trial.config.describe(),
        "classes": list(trial.class_names),
        "temperature": float(trial.temperature),
        "framing": vars(Framing.of(trial.train_images)),
        "net": {
            "shape": list(trial.image_shape),
            "activation": trial.config.activation,
            "layers": _layers(trial),
        },
    }


def _layers(trial: ShownTrial) -> list[dict[str, Any]]:
    """Return the layers as `net.js` computes them, batch normalisation within the convolutions."""
    config = trial.config
    layers = []
    if config.architecture == "cnn":
        for block in range(1, len(config.filters) + 1):
            for turn in range(1, config.convs_per_block + 1):
                layers.append(_layer(trial, "conv", f"conv_{block}_{turn}", f"norm_{block}_{turn}"))
            layers.append({"kind": "pool"})
    names = [f"hidden_{number}" for number in range(1, len(config.units) + 1)]
    return layers + [_layer(trial, "dense", name) for name in (*names, "output")]


def _layer(trial: ShownTrial, kind: str, name: str, norm: str = "") -> dict[str, Any]:
    weights = trial.network.weights
    kernel, bias = (weights[f"{name}/{part}"].astype(np.float64) for part in ("kernel", "bias"))
    if norm and trial.config.batch_norm:
        gamma, beta, mean, variance = (
            weights[f"{norm}/{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + NORM_EPSILON)
        kernel, bias = kernel * scale, (bias - mean) * scale + beta
    return {
        "kind": kind,
        "kernel": pack(kernel.astype(np.float32)),
        "bias": pack(bias.astype(np.float32)),
    }


def _examples(trial: ShownTrial) -> dict[str, Any] | None:
    """Return the first image of each class, for those who do not draw; None without images."""
    _, firsts = np.unique(trial.labels, return_index=True)
    chosen = firsts[:MOST_EXAMPLES]
    return _shown(trial, chosen) | {"part": trial.part} if len(chosen) else None


@dataclass(frozen=True)
class Framing:
    """The way in which the training images fill their frame, measured on them.

    Attributes:
        shape: Height and width of an image.
        side: Median of the longer side of the ink's box, in pixels.
        by_mass: Whether the ink's centre of mass lies in the middle, as in MNIST's own 28x28
            images; if not, the ink's box does, as in digits20.
    """

    shape: tuple[int, int]
    side: int
    by_mass: bool

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> Framing:
        """Measure training images (n, h, w) in [0, 1]; the first 500 are enough."""
        looked_at = [image for image in images[:500] if image.any()]
        height, width = images.shape[1:]
        sides = [max(cut(image).shape) for image in looked_at]
        framed = [cut_and_centre(image, (height, width)) for image in looked_at]
        off = [_both_off(*pair) for pair in zip(looked_at, framed, strict=True)]
        by_mass, by_box = np.mean(off, axis=0) if off else (0.0, 0.0)
        side = int(np.median(sides)) if sides else min(height, width)
        return cls((int(height), int(width)), side, bool(by_mass < by_box))


def _off_centre(image: Array) -> NDArray[np.floating]:
    """Return (rows, columns) by which the centre of mass lies below and right of the middle."""
    return np.array(center_of_mass(image.astype(float))) - (np.array(image.shape) - 1) / 2


def _both_off(image: Array, boxed: Array) -> tuple[float, float]:
    """Return how far the mass lies from the middle, and from its place with the box centred."""
    mass = _off_centre(image)
    return float(np.abs(mass).max()), float(np.abs(_off_centre(boxed) - mass).max())
