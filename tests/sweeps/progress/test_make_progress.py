import io
import sys

import pytest

from sweeps.progress import make_progress
from sweeps.progress.lines import JsonLines, PlainLines, Quiet
from sweeps.progress.live import LiveDisplay


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("plain", PlainLines), ("verbose", PlainLines), ("json", JsonLines), ("quiet", Quiet)],
)
def test_a_mode_names_its_display_even_on_a_terminal(mode, kind, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(make_progress(mode), kind)


@pytest.mark.parametrize(
    ("stream", "term", "kind"),
    [
        (Terminal(), "xterm-256color", LiveDisplay),
        (Terminal(), "dumb", PlainLines),
        (io.StringIO(), "xterm-256color", PlainLines),
    ],
)
def test_only_a_terminal_that_can_redraw_gets_the_live_display(stream, term, kind, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    assert isinstance(make_progress("auto"), kind)


def test_another_mode_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match="'loud' is none of auto, plain, verbose, json, quiet"):
        make_progress("loud")


def test_a_display_is_returned_as_it_is():
    display = Quiet(io.StringIO())
    assert make_progress(display) is display
