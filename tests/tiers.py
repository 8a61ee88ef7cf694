"""The tiers of the tests, and how much CPU time a test of each may take.

`make test` runs the first tier: tests without a tier's marker. `make test-all` adds those marked
`slow`, `make nightly` those marked `nightly` (and `faults` and `cluster`, by commands of their
own). A run that names its tier (`--tier`) fails every test that takes more CPU time than its own
tier allows, and ends with a table.

CPU time is that of the test's process and of all that descends from it; fixtures wider than a test
are shared by many and counted apart. CPU time depends on the machine much less than the time a
clock shows, which says more about what else runs there.
"""

from __future__ import annotations

import compileall
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import coverage
import pytest

TIERS: Final = ("first", "all", "nightly")
LIMITS: Final = {"first": 6.0, "all": 60.0}
"""CPU seconds of a test by its tier; the nightly ones have time limits only."""
COVERAGE_FACTOR: Final = 2.0
"""Measuring coverage costs this much at the most."""
DEAREST: Final = 25
DEAREST_MADE: Final = 12
DEAR_TO_MAKE: Final = ("browser", "mlflow_server", "warm", "finished")
"""What is best made once: the tests that use one of these run in one worker."""
MEASURED: Final = (
    "tests/digitexp/experiments/keras_experiment/",
    "tests/digitexp/training/test_train.py",
    "tests/sweeps/cli/test_control.py",
    *(
        f"tests/sweeps/confirm/test_{name}.py"
        for name in (
            "checks",
            "planning",
            "ensemble",
            "failing",
            "confirm",
            "next_step",
            "refit_and_control",
        )
    ),
    "tests/sweeps/executors/cluster/",
    "tests/sweeps/manage/doctor/",
    "tests/sweeps/render/",
)
"""The dear tests that run lines the first tier leaves out: tracing others would only cost time."""
MEASURED_CASES: Final = 2
"""So many cases of a test of the first tier are traced, and no examples that Hypothesis draws."""

ROOT: Final = Path(__file__).parents[1]
COMPILED: Final = ("digitexp", "search_spaces", "sweeps", "tests")
PREPARE: Final = """
from digitexp.training.compiled.net import prepare_engine
prepare_engine("float32")
prepare_engine("float64")
"""
MEMORY: Final = Path("/dev/shm")
ROOM: Final = 6 * 2**30
"""Bytes that have to be free there; folders of tests that passed are removed at once."""

_CASE = pytest.StashKey[int]()
"""The number of a test among those of its function."""
_TICKS = os.sysconf("SC_CLK_TCK")
_shared: defaultdict[str, float] = defaultdict(float)
"""CPU seconds of what was made for many tests, so far, by name."""
_told: defaultdict[str, float] = defaultdict(float)
"""What of it a test has told."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--tier`."""
    parser.addoption("--tier", choices=TIERS, help="run tests up to this tier, and hold its limits")


@pytest.hookimpl(tryfirst=True)  # before pytest makes its factory of folders
def pytest_configure(config: pytest.Config) -> None:
    """Have the folders of tests in memory, where a commit of SQLite waits for no disk.

    Workers of xdist inherit it from the process that starts them. And compile our packages, which a
    thousand processes import: each would do so anew where `PYTHONDONTWRITEBYTECODE` is set, and
    each worker with the modules of the tests. And the engine `compiled`, which else the first tests
    that train would wait for.
    """
    if config.getoption("tier") is None or hasattr(config, "workerinput"):
        return
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for package in COMPILED:
        compileall.compile_dir(ROOT / package, quiet=1)
    subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, check=True)
    if config.getoption("basetemp") or not _is_in_memory(MEMORY):
        return
    if shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _is_in_memory(folder: Path) -> bool:
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return False
    return any(mount.split()[1:3] == [str(folder), "tmpfs"] for mount in mounts)


def tier_of(item: pytest.Item) -> str:
    """Return the tier a test's markers put it into."""
    if item.get_closest_marker("nightly"):
        return "nightly"
    return "all" if item.get_closest_marker("slow") else "first"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the dearer tiers out, and deal the rest to workers, dear modules first."""
    if (tier := config.getoption("tier")) is None:
        return
    wanted = TIERS[: TIERS.index(tier) + 1]
    left_out = [item for item in items if tier_of(item) not in wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    kept = [item for item in items if tier_of(item) in wanted]
    cases: Counter[str] = Counter()
    for item in kept:
        name = item.nodeid.partition("[")[0]
        item.stash[_CASE] = cases[name]
        cases[name] += 1
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [item for hand in dealt(kept, workers) for item in hand]


def dealt(items: list[pytest.Item], workers: int) -> list[list[pytest.Item]]:
    """Return what each worker begins with.

    xdist gives each an equal stretch of the list, and one that has no more takes from the end of
    another's. What many tests share is made anew in each worker that has one of them. So what
    shares something dear stays together, in front of the cheap modules, which fill up and may be
    taken.
    """
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[_group(item)].append(item)
    rooms = [(len(items) + n) // workers for n in range(workers)]  # as xdist divides
    hands: list[list[pytest.Item]] = [[] for _ in rooms]
    weights = [0.0] * workers
    filling: list[pytest.Item] = []
    for name, group in sorted(groups.items(), key=lambda one: _weight(one[1]), reverse=True):
        fitting = [n for n in range(workers) if len(hands[n]) + len(group) <= rooms[n]]
        is_dear = name in DEAR_TO_MAKE or any(tier_of(item) != "first" for item in group)
        if fitting and is_dear:
            least = min(fitting, key=weights.__getitem__)
            hands[least] += group
            weights[least] += _weight(group)
        else:
            filling += group
    for hand, room in zip(hands, rooms, strict=True):
        missing = room - len(hand)
        hand.extend(filling[:missing])
        del filling[:missing]
    return hands


def _group(item: pytest.Item) -> str:
    used = getattr(item, "fixturenames", ())
    return next((name for name in DEAR_TO_MAKE if name in used), item.nodeid.partition("::")[0])


def _weight(group: list[pytest.Item]) -> float:
    return sum({"first": 1, "all": 20, "nightly": 400}[tier_of(item)] for item in group)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Generator[None, Any, Any]:
    """Count what fixtures wider than a test take, to leave it out of the test's account."""
    name = f"{fixturedef.baseid or 'tests'}::{fixturedef.argname}"
    with nullcontext() if fixturedef.scope == "function" else made_for_many(name):
        return (yield)


@contextmanager
def made_for_many(name: str) -> Iterator[None]:
    """Count the CPU time of what is made in here as shared, not as the test's that asks first."""
    before, began = sum(_shared.values()), cpu_seconds()
    try:
        yield
    finally:  # what was made within is counted there
        _shared[name] += cpu_seconds() - began - (sum(_shared.values()) - before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Measure no coverage where it would only cost time: tracing doubles that of our own code."""
    stopped: list[coverage.Coverage] = []
    # In a worker of xdist pytest-cov begins twice, and the first goes on where the second stops.
    while not _is_measured(item) and (tracing := coverage.Coverage.current()) is not None:
        # Its patches were applied when it began. Each start would do so once more, and have all
        # children from then on measured, whoever starts them.
        tracing.set_option("run:patch", [])
        tracing.stop()
        stopped.append(tracing)
    try:
        return (yield)
    finally:
        for tracing in reversed(stopped):
            tracing.start()


def _is_measured(item: pytest.Item) -> bool:
    if tier_of(item) != "first":
        return item.nodeid.startswith(MEASURED)
    draws = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return not draws and item.stash.get(_CASE, 0) < MEASURED_CASES


@pytest.hookimpl(wrapper=True, trylast=True)  # before pytest-cov combines what was measured
def pytest_runtestloop(session: pytest.Session) -> Generator[None, Any, Any]:
    """Remove what children that tests have killed had only begun to write."""
    result = yield
    tracing = coverage.Coverage.current()
    if tracing is not None and not hasattr(session.config, "workerinput"):
        measured = Path(tracing.get_data().base_filename())
        for file in measured.parent.glob(f"{measured.name}.*"):
            if not file.name.endswith("-journal") and not _is_whole(file):
                file.unlink()
                file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
    return result


def _is_whole(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT version FROM coverage_schema").fetchone()
            return database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        return False


@pytest.fixture(autouse=True)
def _cpu_account(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure the test with its own fixtures: this one is the first made and the last undone."""
    shared, began = sum(_shared.values()), cpu_seconds()
    yield
    taken = cpu_seconds() - began - (sum(_shared.values()) - shared)
    request.node.user_properties.append(("cpu_seconds", taken))
    made = {name: seconds - _told[name] for name, seconds in _shared.items()}
    request.node.user_properties.append(("for_many", {n: s for n, s in made.items() if s}))
    _told.update(_shared)
    tier = tier_of(request.node)
    request.node.user_properties.append(("tier", tier))
    own = request.node.get_closest_marker("cpu_seconds")
    limit = own.args[0] if own else LIMITS.get(tier)
    if limit is None or request.config.getoption("tier") is None:
        return
    if request.config.pluginmanager.hasplugin("_cov"):
        limit *= COVERAGE_FACTOR
    if taken > limit:
        pytest.fail(
            f"took {taken:.1f} s of CPU time; its tier ({tier!r}) allows {limit:g}. Make it "
            "cheaper, or put it into the next tier (CONTRIBUTING.md, Tests)",
            pytrace=False,
        )


def cpu_seconds() -> float:
    """Return the CPU time of this process, of its children that ended, and of all that live."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(usage.ru_utime + usage.ru_stime for usage in ended)
    return total + sum(_seconds_of(process) for process in _descendants(str(os.getpid())))


def _descendants(process: str) -> Iterator[str]:
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in children.read_text("ascii").split():
                yield child
                yield from _descendants(child)


def _seconds_of(process: str) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # its own, and that of its ended children


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the tests of each tier with their CPU time, and the dearest."""
    if config.getoption("tier") is None:
        return
    rows = []
    for_many: dict[str, list[float]] = defaultdict(list)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                found = dict(report.user_properties)
                for name, seconds in found.get("for_many", {}).items():
                    for_many[name].append(seconds)
                if "tier" in found:  # it is missing where the set-up has failed
                    rows.append((found["cpu_seconds"], found["tier"], report.nodeid))
    terminalreporter.section("CPU time")
    for tier in TIERS:
        taken = [seconds for seconds, its_tier, _ in rows if its_tier == tier]
        if taken:
            terminalreporter.line(f"{tier}: {len(taken)} tests, {sum(taken):.0f} s")
    _print_made(terminalreporter, for_many)
    for seconds, tier, name in sorted(rows, reverse=True)[:DEAREST]:
        terminalreporter.line(f"{seconds:6.1f} s  {tier:7}  {name}")


def _print_made(terminalreporter: Any, for_many: dict[str, list[float]]) -> None:
    made = {name: sum(seconds) for name, seconds in for_many.items()}
    terminalreporter.line(f"made for many tests: {sum(made.values()):.0f} s")
    for name in sorted(made, key=made.__getitem__, reverse=True)[:DEAREST_MADE]:
        times = len(for_many[name])
        terminalreporter.line(f"{made[name]:6.1f} s  made {times} times  {name}")
