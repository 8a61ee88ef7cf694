"""Comparison of defaults (objective, split and pruner) by what they choose on digits20-tabular.

Each policy runs sweeps of `mlp` whose trainings are looked up in the table, so that thousands cost
nothing. A policy is measured by the configurations that its sweeps choose: by their accuracy on
fresh folds, where no trial was scored, as `sweeps confirm` measures it. Policies are compared seed
by seed; limits are those of the mean over seeds (Student's t, 95 % between both), for this table
and these folds.

`--build` makes the table or extends it; `--publish` writes the file that the repository holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import bank, blocks, digits20
from benchmarks.tables.limits import limits
from benchmarks.tables.policies import BASE, POLICIES, Sweep, simulated
from benchmarks.timing import at_least_one

AT = (20, 50, 100)
SAVING = 0.2
"""Share of the epochs that a pruner must save at equal quality to be worth having."""
FOLDER = Path("build") / "tabular"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument(
        "--folder", type=Path, default=FOLDER,
        help="trainings and sweeps are kept there; all goes on if interrupted",
    )  # fmt: skip
    parser.add_argument(
        "--build", type=at_least_one, metavar="COUNT",
        help="train what is missing of COUNT configurations, and nothing else",
    )  # fmt: skip
    parser.add_argument("--own", action="store_true",
                        help="use the folder's table, not the published one")  # fmt: skip
    parser.add_argument("--publish", action="store_true", help="make it the published one")
    parser.add_argument("--seeds", type=at_least_one, default=30, help="(default 30)")
    parser.add_argument("--trials", type=at_least_one, default=max(AT), help="(default 100)")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=tuple(POLICIES),
                        metavar="NAME", help="(default all)")  # fmt: skip
    parser.add_argument("--processes", type=at_least_one, default=2, help="(default 2)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Build the table, or let every policy choose and measure its choices on fresh folds."""
    folder = options.folder
    if options.build:
        digits20.unpack(folder)
        bank.build(folder, options.build, options.processes)
    own = options.build or options.own or options.publish
    table = digits20.of_folder(folder) if own else digits20.published()
    result: dict[str, Any] = {"configurations": len(table.columns), "noise": table.noise(),
              "surprise": table.surprise()}  # fmt: skip
    if options.build:
        return result
    names = dict.fromkeys([BASE, *options.policies])
    sweeps = simulated(folder, table, names, options.trials, options.seeds)
    points = [at for at in AT if at <= options.trials]
    chosen = {
        row
        for name, runs in sweeps.items()
        for sweep in runs
        for row in (sweep.chosen(POLICIES[name], at) for at in points)
    }
    missing = chosen - set(table.judged)
    blocks.train_missing(
        folder, table.points, missing - set(blocks.read(folder)), options.processes
    )
    bits = {**table.judged, **blocks.read(folder)}
    if options.publish:
        result["digest"] = digits20.publish(digits20.of_folder(folder), digits20.PUBLISHED)
    worths = fold_accuracies(sweeps, bits, sorted(chosen), points)
    rows = [row for at in points for row in compare(sweeps, worths, points.index(at), at)]
    return {**result, "seeds": options.seeds, "judged": len(chosen), "rows": rows}


def fold_accuracies(
    sweeps: dict[str, list[Sweep]], bits: dict[int, Any], judged: list[int], points: list[int]
) -> dict[str, NDArray[np.float64]]:
    """Return, by policy, (seeds, points) the accuracy of its choices on fresh folds."""
    right = blocks.unpacked(bits, judged)
    found = {}
    for name, runs in sweeps.items():
        policy, worths = POLICIES[name], np.zeros((len(runs), len(points)))
        for place in np.ndindex(worths.shape):
            row = runs[place[0]].chosen(policy, points[place[1]])
            without = blocks.scored_on(row) if policy.own_split else None
            worths[place] = blocks.worth(right, judged.index(row), without)
        found[name] = worths
    return found


def compare(
    sweeps: dict[str, list[Sweep]], worths: dict[str, Any], point: int, trials: int
) -> list[dict[str, Any]]:
    """Return a row for each policy: accuracy, difference to the base, epochs saved."""
    reference = sum(sum(sweep.epochs[:trials]) for sweep in sweeps[BASE])
    rows = []
    for name, runs in sweeps.items():
        used = sum(sum(sweep.epochs[:trials]) for sweep in runs)
        rows.append(
            {
                "policy": name,
                "trials": trials,
                "accuracy": float(worths[name][:, point].mean()),
                "epochs_saved": 1 - used / reference,
                "different_rows": float(np.mean([len(set(s.rows[:trials])) for s in runs])),
                **limits(worths[name][:, point] - worths[BASE][:, point]),
            }
        )
    return rows


def table(result: dict[str, Any]) -> str:
    """Return Markdown."""
    lines = [
        f"{result['configurations']} configurations; two seeds of one differ by "
        f"{result['noise']:.2f} points of accuracy, neighbours by {result['surprise']:.2f} (means)"
    ]
    if "digest" in result:
        lines.append(f"published, SHA-256 {result['digest']}")
    if "rows" not in result:
        return lines[0]
    lines += [
        f"{result['seeds']} sweeps a policy; {result['judged']} configurations were chosen by any",
        "",
        "| policy | trials | fresh-fold accuracy, % | difference, points | 95 % limits "
        "| epochs saved | configurations met |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for row in result["rows"]:
        numbers = [100 * row[key] for key in ("accuracy", "difference", "lower", "upper")]
        cells = "{:.2f} | {:+.2f} | {:+.2f} to {:+.2f}".format(*numbers)
        lines.append(
            f"| {row['policy']} | {row['trials']} | {cells} | {row['epochs_saved']:.0%} "
            f"| {row['different_rows']:.0f} |"
        )
    return "\n".join([*lines, "", *decisions(result["rows"])])


def decisions(rows: list[dict[str, Any]]) -> list[str]:
    """Return a verdict on each policy at the largest number of trials."""
    most = max(row["trials"] for row in rows)
    lines = []
    for row in (row for row in rows if row["trials"] == most and row["policy"] != BASE):
        word = "better" if row["lower"] > 0 else "worse" if row["upper"] < 0 else "not different"
        saved = f", saves {row['epochs_saved']:.0%}" if "pruner" in row["policy"] else ""
        lines.append(f"{row['policy']}: {word} than {BASE!r} after {most} trials{saved}")
    return lines
