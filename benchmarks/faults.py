"""The score of the fault suite: how many kinds of trouble cost nothing, also in stock Optuna.

The benchmark runs the cases of `tests/faults/` (as `make faults` does) over several seeds. With
`--stock`, the recipe that the documentation of Optuna and MLflow advises
(`tests/faults/stock_recipe.py`) goes through the same harness and oracle, in the cases that apply
to it. The cases left out are about files, commands and options that the recipe does not have. It
passes a case if it keeps what that documentation promises (`tests/faults/stock_lab.py`); what the
oracle found beyond that is told beside it, and does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.options import whole_numbers

ROOT = Path(__file__).parent.parent
COUNTS = {
    "lost": "finished trials lost",
    "running": "left RUNNING",
    "repeated": "attempts repeated",
    "killed": "workers killed",
}
BROKEN = ("violations", "unpromised")
Score = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    whole_numbers(parser, seeds=(3, "1, 2, ..."))
    parser.add_argument("--stock", action="store_true", help="put the stock recipe beside ours")
    parser.add_argument("--only", metavar="WORDS", help="choose cases as pytest's -k does")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the suite once for each of the recipes."""
    recipes = ["ours", "stock"] if options.stock else ["ours"]
    return {
        "seeds": options.seeds,
        "scores": {name: _scores(name, options.seeds, options.only) for name in recipes},
    }


def table(result: dict[str, Any]) -> str:
    """Return a line a case (ours, the stock recipe, and the rules it breaks), and the totals."""
    own, stock = (result["scores"].get(name, []) for name in ("ours", "stock"))
    rows = []
    for number in sorted({score["case"] for score in own}):
        here, there = ([s for s in some if s["case"] == number] for some in (own, stock))
        broken = [
            ", ".join(sorted({rule for s in there for rule in rules(s[key])})) for key in BROKEN
        ]
        if any(not s["passed"] and not s["violations"] for s in there):
            broken[0] = next(s["reason"] for s in there if not s["passed"])
        rows.append([number, here[0]["title"], _cell(here), _cell(there), *broken])
    heads = ["case", "trouble", "ours", "stock, by its promises", "promises broken",
             "broken beyond them"]  # fmt: skip
    lines = [markdown(heads, rows), ""]
    for name, scores in result["scores"].items():
        wrong = [s for s in scores if not s["passed"]]
        lines += [f"{name}: {_line(scores)}", *(
            f"{name}, case {s['case']}, seed {s['seed']}: {_why(s)}" for s in wrong)]  # fmt: skip
    return "\n".join(lines)


def summarized(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is published: scores with the rules broken, not with each violation's words."""
    kept = ("case", "title", "seed", "passed", "reason", *COUNTS, "seconds")
    scores = {
        name: [
            {**{key: s[key] for key in kept}, **{key: rules(s[key]) for key in BROKEN}} for s in own
        ]
        for name, own in result["scores"].items()
    }
    totals = {}
    for name, own in result["scores"].items():
        cases = {s["case"] for s in own}
        passed = cases - {s["case"] for s in own if not s["passed"]}
        counts = {key: sum(s[key] for s in own) for key in COUNTS}
        totals[name] = {"cases": len(cases), "passed": len(passed), **counts}
    return {**result, "scores": scores, "totals": totals}


def rules(violations: Sequence[str]) -> list[str]:
    """Return the rules that violations break, such as I3."""
    return sorted({text.partition(":")[0] for text in violations})


def _scores(recipe: str, seeds: int, only: str | None) -> list[Score]:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        file = Path(folder) / "scores"
        environment = {**os.environ, "FAULT_SEEDS": str(seeds), "FAULT_SCORE": str(file)}
        environment |= {"FAULT_STOCK": "1"} if recipe == "stock" else {}
        command = [sys.executable, "-m", "pytest", "-m", "faults", "--timeout", "900"]
        command += ["tests/faults/test_cases.py", *(["-k", only] if only else [])]
        print(f"{recipe}: {seeds} seeds", file=sys.stderr)
        subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        if not file.exists():
            raise RuntimeError(f"faults: no case of {recipe} has run; see above")
        return _read(file, recipe)


def _read(file: Path, recipe: str) -> list[Score]:
    """Return the last score of every case and seed.

    Raises:
        RuntimeError: A case that was to run has no score.
    """
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    scores = {(score["case"], score["seed"]): score for score in lines}
    missing = [s for s in scores.values() if not s["ended"]]
    if missing:
        named = "; ".join(f"case {s['case']} ({s['title']}), seed {s['seed']}" for s in missing)
        raise RuntimeError(f"faults: of {recipe} left no score: {named}; see above")
    return list(scores.values())


def _cell(scores: list[Score]) -> str:
    return f"{sum(s['passed'] for s in scores)} of {len(scores)}" if scores else "-"


def _line(scores: list[Score]) -> str:
    cases = {s["case"] for s in scores}
    failed = {s["case"] for s in scores if not s["passed"]}
    counts = [f"{text} {sum(s[key] for s in scores)}" for key, text in COUNTS.items()]
    return f"{len(cases - failed)} of {len(cases)} faults; " + ", ".join(counts)


def _why(score: Score) -> str:
    broken = rules(score["violations"])
    return f"{', '.join(broken)}: {score['violations'][0]}" if broken else str(score["reason"])
