import io

from sweeps.analysis.summary import summarize
from sweeps.progress.lines import Quiet
from tests.sweeps.progress.events import play
from tests.sweeps.render.builders import record, sweep_info


def test_only_failures_are_said():
    stream = io.StringIO()
    play(Quiet(stream))
    expected = "2 trials failed: error 1, diverged 1; first error: ValueError: boom\n"
    assert stream.getvalue() == expected


def test_a_sweep_without_failures_says_nothing():
    stream = io.StringIO()
    done = summarize(sweep_info(), [record(0, 0.9)], asked=1, seconds=1.0, stopped_by=None)
    Quiet(stream).trials_ended(done)
    assert stream.getvalue() == ""
