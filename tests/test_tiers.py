"""The tiers hold: which tests they have, what a test may take, and that a missing tool is red."""

import os
import subprocess
import sys

import pytest

from tests import tiers, tools

pytest_plugins = ("pytester",)

BUSY = """
import subprocess, sys, time
import pytest

LIVING = []
SPIN = "import time\\nwhile time.process_time() < 0.4: pass"

@pytest.fixture(scope="module")
def shared():
    subprocess.run([sys.executable, "-c", SPIN])

@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    for child in LIVING:
        child.communicate(bytes([10]))

@pytest.fixture
def own():
    subprocess.run([sys.executable, "-c", SPIN])

def test_with_a_shared_fixture(shared): pass
def test_with_its_own_fixture(own): pass
def test_with_a_child_that_lives():
    child = subprocess.Popen([sys.executable, "-c", SPIN + "\\nprint(1, flush=True)\\ninput()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    LIVING.append(child)
@pytest.mark.cpu_seconds(4)
def test_that_may_take_more(own): pass
@pytest.mark.slow
def test_dear(own): pass
@pytest.mark.nightly
def test_dearest(own): pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    monkeypatch.setattr(tiers, "LIMITS", {"first": 0.3, "all": 4.0})
    pytester.makeini("[pytest]\nmarkers =\n  slow: s\n  nightly: n\n  cpu_seconds: c\n")
    pytester.makepyfile(BUSY)

    def run(*words):
        done = pytester.inline_run("-p", "tests.tiers", "-p", "no:xdist", "-p", "no:dash", *words)
        passed, _, failed = done.listoutcomes()
        ran = {one.nodeid.partition("::")[2] for one in passed}
        over = {one.nodeid.partition("::")[2] for one in failed if "CPU time" in str(one.longrepr)}
        return ran, over

    return run


FIRST = {
    "test_with_a_shared_fixture",
    "test_with_its_own_fixture",
    "test_with_a_child_that_lives",
    "test_that_may_take_more",
}


def test_what_takes_more_than_its_tier_allows_fails_by_name_but_for_what_is_shared(run):
    ran, over = run("--tier", "first")
    assert ran == FIRST
    assert over == {"test_with_its_own_fixture", "test_with_a_child_that_lives"}


@pytest.mark.parametrize(
    ("tier", "more"),
    [
        pytest.param("all", {"test_dear"}, marks=pytest.mark.slow),
        ("nightly", {"test_dear", "test_dearest"}),
    ],
)
def test_a_tier_has_the_tests_of_those_before_it(run, tier, more):
    ran, over = run("--tier", tier)
    assert ran == FIRST | more
    assert "test_dear" not in over


@pytest.mark.slow
def test_without_a_tier_everything_runs_and_nothing_is_held_against_it(run):
    ran, over = run()
    assert (ran, over) == (FIRST | {"test_dear", "test_dearest"}, set())


@pytest.mark.parametrize(
    ("required", "outcome"), [("1", "failed"), ("", "skipped")], ids=["required", "not required"]
)
def test_a_missing_tool_fails_where_tools_are_required_and_is_a_skip_elsewhere(
    monkeypatch, required, outcome
):
    monkeypatch.setenv("REQUIRE_TOOLS", required)
    monkeypatch.setitem(tools.TOOLS, "a pony", tools.Tool(lambda: None, "feed it"))
    exception = {"failed": pytest.fail.Exception, "skipped": pytest.skip.Exception}[outcome]
    with pytest.raises(exception, match="a pony is missing: feed it"):
        tools.need("a pony")


def test_every_skip_is_printed_with_its_reason(tmp_path):
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it(): pytest.skip('no pony')\n")
    command = [sys.executable, "-m", "pytest", "-c", str(tools.ROOT / "pyproject.toml")]
    ran = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tools.ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "no pony" in ran.stdout


class Item:
    """What dealing looks at of a test."""

    def __init__(self, nodeid, marker=None, fixturenames=()):
        self.nodeid, self.fixturenames = nodeid, fixturenames
        self.get_closest_marker = lambda name: name == marker


def test_what_shares_something_dear_is_dealt_to_one_worker_in_front_of_what_may_be_taken():
    dear = [Item(f"test_{module}.py::{n}", "slow") for module in "ab" for n in range(4)]
    shared = [Item(f"test_{module}.py::{n}", None, ["browser"]) for module in "cd" for n in "12"]
    cheap = [Item(f"test_cheap.py::{n}") for n in range(17)]
    hands = tiers.dealt([*cheap, *dear, *shared], 3)
    assert [len(hand) for hand in hands] == [9, 10, 10]  # as xdist divides 29
    first = [[one for one in hand if one not in cheap] for hand in hands]
    assert [hand[: len(front)] for hand, front in zip(hands, first, strict=True)] == first
    assert sorted(first, key=lambda front: front[0].nodeid) == [dear[:4], dear[4:], shared]
    assert {one for hand in hands for one in hand} == {*cheap, *dear, *shared}


TORN = """
import coverage, pathlib

def test_that_kills_children_while_they_write_what_they_measured():
    whole = coverage.CoverageData(".coverage", suffix="whole")
    whole.add_arcs({str(pathlib.Path("child.py").absolute()): [(-1, 1), (1, -1)]})
    whole.write()
    content = pathlib.Path(".coverage.whole").read_bytes()
    for length in (0, 100, len(content) // 2):
        pathlib.Path(f".coverage.torn-{length}").write_bytes(content[:length])
"""


PAUSED = """
import os
import pytest

IN_CHILDREN = "COVERAGE_PROCESS_CONFIG"

def test_begins():
    assert os.environ.pop(IN_CHILDREN)
@pytest.mark.slow
def test_is_not_measured():
    assert IN_CHILDREN not in os.environ
    global end
    end = os._exit
def test_is_measured_again():
    assert IN_CHILDREN not in os.environ
    assert os._exit is end
"""


def test_children_are_measured_where_they_are_asked_to_be_and_nowhere_else(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tools.ROOT))
    pytester.makepyfile(PAUSED)
    pytester.makeini("[pytest]\nmarkers =\n  slow: s\n")
    pytester.makefile(".toml", own='[tool.coverage.run]\npatch = ["subprocess", "fork", "_exit"]\n')
    plugins = ("-p", "tests.tiers", "-p", "no:xdist", "-p", "no:dash", "-p", "no:cacheprovider")
    ran = pytester.runpytest_subprocess(
        *plugins, "--tier", "all", "--cov=.", "--cov-config=own.toml"
    )
    ran.assert_outcomes(passed=3)


TRACED = """
import sys
import pytest

@pytest.mark.slow
def test_is_not_measured():
    assert sys.gettrace() is None
def test_is_measured():
    assert sys.gettrace() is not None
"""


@pytest.mark.parametrize("where", [("-n", "1"), ("-p", "no:xdist")], ids=["worker", "alone"])
def test_what_is_not_to_be_measured_is_not_traced(pytester, monkeypatch, where):
    monkeypatch.setenv("PYTHONPATH", str(tools.ROOT))
    pytester.makepyfile(TRACED)
    pytester.makeini("[pytest]\nmarkers =\n  slow: s\n")
    plugins = ("-p", "tests.tiers", "-p", "no:dash", "-p", "no:cacheprovider", *where)
    ran = pytester.runpytest_subprocess(*plugins, "--tier", "all", "--cov=.")
    ran.assert_outcomes(passed=2)


def test_what_killed_children_have_half_written_is_removed_and_the_rest_counts(
    pytester, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(tools.ROOT))
    pytester.makepyfile(TORN, child="done = True\n")
    plugins = ("-p", "tests.tiers", "-p", "no:xdist", "-p", "no:dash", "-p", "no:cacheprovider")
    ran = pytester.runpytest_subprocess(
        *plugins, "--cov=.", "--cov-branch", "--cov-report=term-missing"
    )
    ran.assert_outcomes(passed=1)
    ran.stdout.fnmatch_lines(["child.py * 100%*"])
    assert "Warning" not in ran.stdout.str() + ran.stderr.str()
    assert [file.name for file in pytester.path.glob(".coverage*")] == [".coverage"]


def test_what_is_measured_in_the_second_tier_is_there():
    assert [path for path in tiers.MEASURED if not (tools.ROOT / path).exists()] == []
