"""Would `mlp` choose better with another objective, split, sampler or pruner? On digits20-tabular.

Each policy differs from `mlp` as it ships in one thing, and runs sweeps whose trainings are looked
up in the table, so that thousands cost nothing. A policy is measured by the configurations that its
sweeps choose: by their accuracy on fresh folds, where no trial was scored, as `sweeps confirm`
measures it. Policies are compared seed by seed; limits are those of the mean over seeds (Student's
t, 95 % between both), for this table and these folds.

A pruner is compared twice: at equal trials, and with as many more trials as fit into the epochs of
the sweep without one.

`--build` makes the table or extends it; `--publish` writes the file that the repository holds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import bank, blocks, digits20
from benchmarks.tables.limits import limits
from benchmarks.tables.policies import BASE, POLICIES, Sweep, simulated
from benchmarks.timing import at_least_one

AT = (20, 50)
"""Trials after which a sweep chooses."""
MORE = 3
"""A sweep with a pruner has so many times the trials, to spend the epochs of one without."""
SAVED, NOT_WORSE = 0.5, -0.001
"""A pruner becomes the default of `mlp` if it saves that share of the epochs, if its choice is at
equal trials not worse by more than that accuracy, and at equal epochs better (lower limits)."""
FOLDER = Path("build") / "tabular"
EQUAL_TRIALS, EQUAL_EPOCHS = "trials", "epochs"


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
    trials = {name: max(AT) * (MORE if _prunes(name) else 1)
              for name in dict.fromkeys([BASE, *options.policies])}  # fmt: skip
    sweeps = simulated(folder, table, trials, options.seeds, options.processes)
    counts = {name: counted(runs, sweeps[BASE], _prunes(name)) for name, runs in sweeps.items()}
    choices = {name: chosen(name, sweeps[name], counts[name]) for name in sweeps}
    rows = {
        int(row) for kinds in choices.values() for found in kinds.values() for row in found.flat
    }
    blocks.train_missing(
        folder, table.points, rows - set(table.judged) - set(blocks.read(folder)), options.processes
    )
    bits = {**table.judged, **blocks.read(folder)}
    if options.publish:
        result["digest"] = digits20.publish(digits20.of_folder(folder), digits20.PUBLISHED)
    worths = {name: {kind: fold_accuracies(name, found, bits, sorted(rows))
                     for kind, found in kinds.items()}
              for name, kinds in choices.items()}  # fmt: skip
    return {**result, "seeds": options.seeds, "judged": len(rows),
            "rows": compared(sweeps, counts, worths)}  # fmt: skip


def counted(
    runs: Sequence[Sweep], base: Sequence[Sweep], prunes: bool
) -> dict[str, NDArray[np.int64]]:
    """Return, by what is equal, (seeds, points) after how many trials a sweep chooses.

    Args:
        runs: Sweeps of a policy.
        base: Those it is compared with, seed by seed.
        prunes: Whether it may have more trials than they.
    """
    found = {EQUAL_TRIALS: np.tile(AT, (len(runs), 1))}
    if prunes:
        found[EQUAL_EPOCHS] = np.array(
            [
                [max(np.searchsorted(np.cumsum(own.epochs), sum(its.epochs[:at]), "right"), 1)
                 for at in AT]
                for own, its in zip(runs, base, strict=True)
            ]
        )  # fmt: skip
    return found


def chosen(
    name: str, runs: Sequence[Sweep], counts: Mapping[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """Return, by what is equal, (seeds, points) the row that each sweep chooses."""
    return {
        kind: np.array(
            [[sweep.chosen(POLICIES[name], trials) for trials in of_seed]
             for sweep, of_seed in zip(runs, found, strict=True)]
        )
        for kind, found in counts.items()
    }  # fmt: skip


def fold_accuracies(
    name: str, rows: NDArray[np.int64], bits: Mapping[int, Any], judged: list[int]
) -> NDArray[np.float64]:
    """Return (seeds, points) the accuracy of a policy's choices on fresh folds."""
    right = blocks.unpacked(bits, judged)
    found = np.zeros(rows.shape)
    for place in np.ndindex(rows.shape):
        row = int(rows[place])
        without = blocks.scored_on(row) if POLICIES[name].own_split else None
        found[place] = blocks.worth(right, judged.index(row), without)
    return found


def compared(
    sweeps: Mapping[str, Sequence[Sweep]],
    counts: Mapping[str, Mapping[str, NDArray[np.int64]]],
    worths: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> list[dict[str, Any]]:
    """Return a row for each policy, number of trials and what is equal."""
    base, rows = worths[BASE][EQUAL_TRIALS], []
    for name, kinds in worths.items():
        for (kind, values), (point, at) in product(kinds.items(), enumerate(AT)):
            trials = counts[name][kind][:, point]
            used = [sum(s.epochs[:n]) for s, n in zip(sweeps[name], trials, strict=True)]
            of_base = [sum(s.epochs[:at]) for s in sweeps[BASE]]
            rows.append(
                {
                    "policy": name,
                    "equal": kind,
                    "at": at,
                    "trials": float(trials.mean()),
                    "accuracy": float(values[:, point].mean()),
                    "epochs_saved": 1 - sum(used) / sum(of_base),
                    **limits(values[:, point] - base[:, point]),
                }
            )
    return rows


def named(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows by policy, what is equal and trials, for the figures of a page."""
    return {
        f"{row['policy'].replace(': ', '-').replace(' ', '-')}-{row['equal']}-{row['at']}": {
            key: row[key]
            for key in ("accuracy", "difference", "lower", "upper", "epochs_saved", "trials")
        }
        for row in rows
    }


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published."""
    return {**result, "figures": named(result.get("rows", []))}


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
        "| policy | trials | fresh-fold accuracy, % | difference, points (95 % limits) "
        "| epochs saved |",
        "|---|---:|---:|---|---:|",
    ]
    for row in result["rows"]:
        trials = f"{row['trials']:.0f}"
        if row["equal"] == EQUAL_EPOCHS:
            trials += f", in the epochs of {row['at']}"
        number, low, high = (100 * row[key] for key in ("difference", "lower", "upper"))
        own = row["policy"] == BASE
        difference = "" if own else f"{number:+.2f} ({low:+.2f} to {high:+.2f})"
        saved = "" if own else f"{100 * row['epochs_saved']:.0f} %"
        lines.append(
            f"| {row['policy']} | {trials} | {100 * row['accuracy']:.2f} | {difference} | {saved} |"
        )
    return "\n".join([*lines, "", *(f"- {line}" for line in promises(result["rows"]))])


def promises(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return whether each pruner holds what would make it the default of `mlp`."""
    found = []
    for row in (row for row in rows if row["equal"] == EQUAL_EPOCHS):
        (same,) = (other for other in rows if other["policy"] == row["policy"]
                   and other["at"] == row["at"] and other["equal"] == EQUAL_TRIALS)  # fmt: skip
        kept = {
            f"saves {100 * same['epochs_saved']:.0f} % of the epochs": same["epochs_saved"]
            >= SAVED,
            f"at equal trials at least {100 * same['lower']:+.2f}": same["lower"] > NOT_WORSE,
            f"at equal epochs at least {100 * row['lower']:+.2f}": row["lower"] > 0,
        }
        words = ", ".join(
            f"{what} ({'kept' if is_so else 'missed'})" for what, is_so in kept.items()
        )
        found.append(f"{row['policy']}, {row['at']} trials: {words}")
    return found


def _prunes(name: str) -> bool:
    return POLICIES[name].pruner.name != "none"
