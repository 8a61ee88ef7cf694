"""Microseconds that a step of our engine takes, between two limits, on one core with one thread.

The limits are measured in the same run: the step's matrix multiplications alone in NumPy, and a
`lax.scan` of the whole step written by hand in JAX. Dropout is on. The three take turns, several
epochs each, so that a slow moment of the machine hits them all; medians of the epochs count.

Then each runs a whole trial of a new architecture: ours with model, callbacks and evaluation, JAX
with its compilation, which a sweep pays for every trial. Our engine has seen the number of hidden
layers before, as it has in all but the first trials of a sweep.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.machine import need
from benchmarks.markdown import kept, markdown
from benchmarks.options import whole_numbers
from benchmarks.step.server import Part
from benchmarks.throughput import save_digits

SHAPES = (((25, 15), 32), ((72, 72), 16), ((72, 72), 128), ((128, 128, 128), 16),
          ((128, 128, 128), 64))  # fmt: skip
LIMITS = {
    ((25, 15), 32): 4.5,
    ((72, 72), 16): 2.5,
    ((72, 72), 128): 2.0,
    ((128, 128, 128), 16): 1.6,
}
"""Highest allowed time of our step, as a multiple of the multiplications alone."""
IMAGES = 4000
PARTS = {"products": "products", "jax": "jax_scan", "ours": "ours"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(
        parser, rounds=(7, "turns each"), epochs=(5, "of a turn"), trials=(3, "whole trials"),
        trial_epochs=(30, "of them"), shapes=(len(SHAPES), "only the first"),
    )  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every shape by all three methods."""
    need("jax", "bench")
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="engine-") as folder:
        data = save_digits(Path(folder))
        parts = {name: stack.enter_context(Part(module, core)) for name, module in PARTS.items()}
        for name in ("jax", "ours"):
            parts[name].ask("load", data=data)
        shapes = [
            _measure(parts, units, batch, options) for units, batch in SHAPES[: options.shapes]
        ]
        kernel = parts["products"].ask("kernel")
    settings = {name: getattr(options, name) for name in ("rounds", "epochs", "trial_epochs")}
    return {**settings, "core": core, "kernel": kernel, "shapes": shapes}


def _measure(
    parts: dict[str, Part], units: tuple[int, ...], batch: int, options: argparse.Namespace
) -> dict[str, Any]:
    widths = [400, *units, 10]
    steps: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(options.rounds):
        for name, part in parts.items():
            request = {"widths": widths, "batch": batch, "epochs": options.epochs}
            steps[name] += part.ask("steps", images=IMAGES, **request)
    trials: dict[str, list[dict[str, float]]] = {"jax": [], "ours": []}
    for number in range(1, options.trials + 1):
        unseen = [400, *(width + number for width in units), 10]
        for name, found in trials.items():
            request = {"widths": unseen, "batch": batch, "epochs": options.trial_epochs}
            found.append(parts[name].ask("trial", **request))
    print(f"{units}, batch {batch}: measured", file=sys.stderr)
    engine = parts["ours"].ask("engine", widths=widths, batch=batch)
    middle = {name: statistics.median(found) for name, found in steps.items()}
    return {
        "units": units,
        "batch": batch,
        "engine": engine,
        "step_microseconds": middle,
        "ratio": middle["ours"] / middle["products"],
        "steps": steps,
        "trials": trials,
    }


def table(result: dict[str, Any]) -> str:
    """Return steps beside their limits, and whole trials."""
    said = [
        f"core {result['core']}, one thread, dropout on, {IMAGES} images; NumPy multiplies with "
        f"{result['kernel']}",
        f"microseconds per step, medians of {result['rounds']} turns of {result['epochs']} epochs",
    ]
    steps = []
    for shape in result["shapes"]:
        products, jax, ours = (shape["step_microseconds"][name] for name in PARTS)
        steps.append([_name(shape), *(f"{one:.0f}" for one in (products, jax, ours)),
                      f"{shape['ratio']:.2f}", f"{ours / jax:.2f}", _verdict(shape),
                      shape["engine"]])  # fmt: skip
    heads = ["units, batch", "products", "JAX scan", "ours", "/products", "/JAX", "limit", "engine"]
    whole = (
        f"a trial of {result['trial_epochs']} epochs, architecture not seen before, seconds "
        "(median; the ratio's smallest)"
    )
    its = ["units, batch", "JAX", "of it compiling", "ours", "JAX/ours, least"]
    trials = markdown(its, map(_trial_row, result["shapes"]))
    return "\n\n".join(["\n".join(said), markdown(heads, steps), whole, trials])


def _trial_row(shape: dict[str, Any]) -> list[str]:
    jax, ours = shape["trials"]["jax"], shape["trials"]["ours"]
    least = min(a["seconds"] / b["seconds"] for a, b in zip(jax, ours, strict=True))
    middle = [statistics.median(trial["seconds"] for trial in trials) for trials in (jax, ours)]
    compiling = statistics.median(trial["compile_seconds"] for trial in jax)
    return [_name(shape), *(f"{one:.2f}" for one in (middle[0], compiling, middle[1], least))]


def _name(shape: dict[str, Any]) -> str:
    return f"{'-'.join(map(str, shape['units']))}, {shape['batch']}"


def _verdict(shape: dict[str, Any]) -> str:
    limit = LIMITS.get((tuple(shape["units"]), shape["batch"]))
    if limit is None:
        return ""
    return f"{limit}: {kept(shape['ratio'] <= limit)}"
