"""Writes `reference.md` from what the code says of itself: help texts and docstrings.

python docs/build_reference.py          write it
python docs/build_reference.py --check  exit 1 if it is not what the code says now
"""

from __future__ import annotations

import html
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("reference.md")
INTRODUCTION = """# Reference

Made from help texts and docstrings by `python docs/build_reference.py`; not written by hand.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, "# From Python\n", *_python(), "# Commands\n", _commands()])


def _python() -> Iterator[str]:
    import sweeps
    from digitexp.keras_experiment import KerasExperiment
    from sweeps import capabilities, experiment
    from sweeps.config.options import RunOptions

    yield from (_described(f"sweeps.{name}", getattr(sweeps, name)) for name in sweeps.__all__)
    yield _described("sweeps.config.options.RunOptions", RunOptions)
    yield _described("digitexp.keras_experiment.KerasExperiment", KerasExperiment)
    for module in (experiment, capabilities):
        for name in module.__all__:
            if inspect.isclass(getattr(module, name)):
                yield _described(f"{module.__name__}.{name}", getattr(module, name))


def _described(name: str, thing: Any) -> str:
    if not inspect.isclass(thing):
        return f"## `{name}{_signature(thing)}`\n\n{_text(thing)}\n"
    parts = [f"## `{name}`\n\n{_text(thing)}\n"]
    init = thing.__dict__.get("__init__")
    if init is not None and init.__doc__:
        parts.append(f"### `{thing.__name__}{_signature(init)}`\n\n{_text(init)}\n")
    for key, member in thing.__dict__.items():
        if key.startswith("_"):
            continue
        if isinstance(member, property):
            parts.append(f"### `{key}`\n\n{_text(member)}\n")
        elif inspect.isfunction(member):
            parts.append(f"### `{key}{_signature(member)}`\n\n{_text(member)}\n")
    return "\n".join(parts)


def _signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "")


def _text(thing: Any) -> str:
    """Return a docstring; its indented parts (arguments, attributes) as they stand."""
    lines, inside = [], False
    for line in (inspect.getdoc(thing) or "").splitlines():
        heading = line.rstrip(":") in {"Args", "Attributes", "Returns", "Raises", "Example"}
        if heading and line.endswith(":"):
            lines += (["```", ""] if inside else []) + [f"**{line.rstrip(':')}**", "", "```text"]
            inside = True
        else:
            lines.append(line.removeprefix("    ") if inside else line)
    return "\n".join([*lines, "```"] if inside else lines)


def _commands() -> str:
    command = [sys.executable, "-m", "typer", "sweeps.cli", "utils", "docs", "--name", "sweeps"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    text = html.unescape(ran.stdout).split("## `sweeps run`", 1)[1]
    return f"## `sweeps run`{text}"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text(encoding="utf-8") != reference())
    TARGET.write_text(reference(), encoding="utf-8")
