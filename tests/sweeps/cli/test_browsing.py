import io
import sys

import pytest

from sweeps.cli.ui import wants_browser


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stdout", "environment", "expected"),
    [
        (Terminal(), {"DISPLAY": ":0"}, True),
        (Terminal(), {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (Terminal(), {"DISPLAY": ":0", "SSH_CONNECTION": "elsewhere"}, False),
        (Terminal(), {}, False),
        (io.StringIO(), {"DISPLAY": ":0"}, False),
    ],
)
def test_a_page_is_opened_where_somebody_sits_before_a_screen(
    monkeypatch, stdout, environment, expected
):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "stdout", stdout)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_browser(None) == expected
    assert wants_browser(True)
    assert not wants_browser(False)
