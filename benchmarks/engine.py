"""Microseconds that a step of our engine takes, between two limits, on one core with one thread.

The lower limit is the step's matrix multiplications alone in NumPy; an epoch of ours and as many
steps of bare products take turns in one process. The upper one is a `lax.scan` of the whole step
written by hand in JAX, several epochs in turn with ours, so that a slow moment of the machine hits
all; medians of the epochs count. Dropout is on. The parts of our step are measured one at a time,
too.

Then each runs a whole trial of a new architecture: ours with callbacks and evaluation, JAX with its
compilation, which a sweep pays for every trial. Ours is compiled once a machine, before.
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
from benchmarks.step.products import operations
from benchmarks.step.server import Part
from benchmarks.throughput import save_digits

SHAPES = (((25, 15), 32), ((72, 72), 16), ((72, 72), 128), ((128, 128, 128), 16),
          ((128, 128, 128), 64))  # fmt: skip
LIMIT = 1.7
"""Highest allowed time of our step, as a multiple of the multiplications alone."""
IMAGES = 4000
PROCESSES = {"jax": "jax_scan", "ours": "ours"}
COLUMNS = ("products", "jax", "ours")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(
        parser, rounds=(7, "turns each"), epochs=(5, "of a turn"), trials=(3, "whole trials"),
        trial_epochs=(30, "of them"), shapes=(len(SHAPES), "only the first"),
    )  # fmt: skip


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every shape."""
    need("jax", "bench")
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="engine-") as folder:
        data = save_digits(Path(folder))
        processes = {
            name: stack.enter_context(Part(module, core)) for name, module in PROCESSES.items()
        }
        for process in processes.values():
            process.ask("load", data=data)
        shapes = [
            _measure(processes, units, batch, options) for units, batch in SHAPES[: options.shapes]
        ]
        kernel, peak = (processes["ours"].ask(action) for action in ("kernel", "peak"))
    settings = {name: getattr(options, name) for name in ("rounds", "epochs", "trial_epochs")}
    return {**settings, "core": core, "kernel": kernel, "peak": peak, "shapes": shapes}


def _measure(
    processes: dict[str, Part], units: tuple[int, ...], batch: int, options: argparse.Namespace
) -> dict[str, Any]:
    ours, jax = processes["ours"], processes["jax"]
    shape: dict[str, Any] = {"widths": [400, *units, 10], "batch": batch}
    steps: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for _ in range(options.rounds):
        request = {**shape, "epochs": options.epochs, "images": IMAGES}
        steps["jax"] += jax.ask("steps", **request)
        for name, found in ours.ask("steps", **request).items():
            steps[name] += found
    trials: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    for number in range(1, options.trials + 1):
        unseen = [400, *(width + number for width in units), 10]
        for name, process in processes.items():
            request = {"widths": unseen, "batch": batch, "epochs": options.trial_epochs}
            trials[name].append(process.ask("trial", **request))
    print(f"{units}, batch {batch}: measured", file=sys.stderr)
    middle = {name: statistics.median(found) for name, found in steps.items()}
    return {
        "units": units,
        "batch": batch,
        "engine": ours.ask("engine", **shape),
        "step_microseconds": middle,
        "ratio": middle["ours"] / middle["products"],
        "parts": ours.ask("parts", **shape),
        "operations": operations(shape["widths"], batch),
        "steps": steps,
        "trials": trials,
    }


def table(result: dict[str, Any]) -> str:
    """Return steps beside their limits, the parts of a step, and whole trials."""
    said = [
        f"core {result['core']}, one thread, dropout on, {IMAGES} images; products with "
        f"{result['kernel']}",
        f"microseconds per step, medians of {result['rounds']} turns of {result['epochs']} epochs",
    ]
    steps = []
    for shape in result["shapes"]:
        products, jax, ours = (shape["step_microseconds"][name] for name in COLUMNS)
        steps.append([_name(shape), *(f"{one:.0f}" for one in (products, jax, ours)),
                      f"{shape['ratio']:.2f}", f"{ours / jax:.2f}",
                      f"{LIMIT}: {kept(shape['ratio'] <= LIMIT)}", shape["engine"]])  # fmt: skip
    heads = ["units, batch", "products", "JAX scan", "ours", "/products", "/JAX", "limit", "engine"]
    single = (
        "microseconds of each part of our step alone, the least; the rest of the median step; and "
        f"billions of operations a second in its products (a large product: {result['peak']:.0f})"
    )
    parts = [_parts_row(shape) for shape in result["shapes"]]
    names = ["units, batch", *result["shapes"][0]["parts"], "rest", "operations"]
    whole = (
        f"a trial of {result['trial_epochs']} epochs, architecture not seen before, seconds "
        "(median; the ratio's smallest)"
    )
    its = ["units, batch", "JAX", "of it compiling", "ours", "JAX/ours, least"]
    trials = markdown(its, map(_trial_row, result["shapes"]))
    return "\n\n".join(["\n".join(said), markdown(heads, steps), single, markdown(names, parts),
                        whole, trials])  # fmt: skip


def _parts_row(shape: dict[str, Any]) -> list[str]:
    parts = shape["parts"]
    rest = shape["step_microseconds"]["ours"] - sum(parts.values())
    speed = shape["operations"] / parts["products"] / 1e3
    return [_name(shape), *(f"{one:.1f}" for one in (*parts.values(), rest)), f"{speed:.0f}"]


def _trial_row(shape: dict[str, Any]) -> list[str]:
    jax, ours = shape["trials"]["jax"], shape["trials"]["ours"]
    least = min(a["seconds"] / b["seconds"] for a, b in zip(jax, ours, strict=True))
    middle = [statistics.median(trial["seconds"] for trial in trials) for trials in (jax, ours)]
    compiling = statistics.median(trial["compile_seconds"] for trial in jax)
    return [_name(shape), *(f"{one:.2f}" for one in (middle[0], compiling, middle[1], least))]


def _name(shape: dict[str, Any]) -> str:
    return f"{'-'.join(map(str, shape['units']))}, {shape['batch']}"
