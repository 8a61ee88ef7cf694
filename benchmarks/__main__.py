"""`python -m benchmarks NAME`: one module a benchmark, with `add_arguments`, `run` and `table`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks import evidence
from benchmarks.machine import describe

NAMES = ("startup", "throughput", "quality", "engine", "projection", "growth", "large", "memory",
         "ends", "own", "faults", "intervals", "same", "registered", "search", "portfolio",
         "scale", "accuracy", "learners", "untouched",
         "covers", "ensembles")  # fmt: skip
BENCHMARKS: dict[str, ModuleType] = {name: import_module(f"benchmarks.{name}") for name in NAMES}
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run one benchmark, print its table or JSON, and save or publish it when asked to.

    The exit code is 1 if it cannot run, or if a floor of its own is missed.
    """
    options = _parser().parse_args(arguments)
    os.environ["SWEEPS_STATE"] = "off"  # what is measured does not wear out the user's data
    benchmark = BENCHMARKS[options.benchmark]
    try:
        stamp = evidence.stamp() if options.evidence else {}
        before = os.getloadavg()[0]
        measured = benchmark.run(options)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    load = f"{before:.1f} to {os.getloadavg()[0]:.1f}"
    about = {"benchmark": options.benchmark, **stamp, "machine": describe(), "load": load}
    result = {**about, **measured}
    print(json.dumps(result, indent=1) if options.json else _page(result, benchmark.table(result)))
    if options.save:
        print(f"saved {_save(result)}", file=sys.stderr)
    if options.evidence:
        small = getattr(benchmark, "summarized", dict)(measured)
        print(f"published {evidence.publish({**about, **small})}", file=sys.stderr)
    missed = benchmark.failures(measured) if hasattr(benchmark, "failures") else []
    print(
        "".join(f"more frequent than promised: {one}\n" for one in missed), end="", file=sys.stderr
    )
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="NAME")
    for name, benchmark in BENCHMARKS.items():
        title = (benchmark.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=title, description=title)
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
        command.add_argument("--save", action="store_true", help=f"also write {RESULTS.name}/")
        command.add_argument("--evidence", action="store_true",
                             help="also publish it in docs/evidence/results/")  # fmt: skip
        benchmark.add_arguments(command)
    return parser


def _page(result: dict[str, object], table: str) -> str:
    machine = result["machine"]
    assert isinstance(machine, dict)
    return "\n".join([*(f"{key}: {value}" for key, value in machine.items()), "", table])


def _save(result: dict[str, object]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{result['benchmark']}-{moment}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
