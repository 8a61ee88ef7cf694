"""Hides secrets in addresses; every message, hint, log and tag takes its addresses from here."""

from __future__ import annotations

import re
from typing import Final

SQLITE: Final = "sqlite:///"
_BEGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:(?=/))?/*")
HARMLESS: Final = frozenset({
    *("application_name", "charset", "connect_timeout", "host", "mode", "port", "sslmode"),
    *("role", "sslrootcert", "target_session_attrs", "timeout", "uri"),
})  # fmt: skip
"""Settings of a query (after the question mark) whose values are shown."""


def redacted(address: str) -> str:
    """Return an address that may be shown: everything in it that may be a secret is `***`.

    That is a password, a user name without one (usually a token), and everything after a question
    mark or a hash except the values of `HARMLESS` settings. It also works on a part of an address.
    """
    if address.startswith(SQLITE):
        return address  # a file; its name may contain a hash
    begin = _BEGIN.match(address)
    start = begin[0] if begin else ""
    user, at, rest = address[len(start) :].rpartition("@")
    if re.search(r"[?#]", user):  # they may belong to a password, or the @ to a query
        return f"{start}***"
    if at:
        name, _, password = user.partition(":")
        start += f"{name}:***@" if password else "***@"
    shown, _, query = rest.partition("?")
    settings = [_hidden(part) for part in re.split(r"[&;#]", query)] if query else []
    return "?".join([start + shown.partition("#")[0], *(["&".join(settings)] if settings else [])])


def _hidden(setting: str) -> str:
    name, sign, _ = setting.partition("=")
    if name in HARMLESS or not setting:
        return setting
    return f"{name}=***" if sign else "***"


def in_text(text: str) -> str:
    """Return a text, such as the message of an error, with each address in it redacted."""
    words = text.split()
    return " ".join(
        redacted(word) if "://" in word or ("?" in word and "=" in word) else word for word in words
    )
