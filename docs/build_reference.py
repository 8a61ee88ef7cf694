"""Writes `reference/`: a page for each command, one of functions and classes; the spaces' schema.

python docs/build_reference.py          write it
python docs/build_reference.py --check  exit 1 if it is not what the code says now

Help texts say what a command takes; `reference/outputs/`, written by `build_outputs.py`, shows what
it prints. The site takes the text of functions and classes from their docstrings.
"""

from __future__ import annotations

import html
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from search_spaces.reading import SCHEMA, json_schema

HERE: Final = Path(__file__).parent
TARGET: Final = HERE / "reference"
OUTPUTS: Final = TARGET / "outputs"
PROGRAMS: Final = {"sweeps": "sweeps.cli", "digitexp": "digitexp.cli"}
COMMON: Final = {
    "--home": "the folder of records and of MLflow's store: `mlruns` in the present folder, "
    "or what `SWEEPS_HOME` says",
    "--storage": "a PostgreSQL database by which homes of several hosts share their sweeps, "
    "or what `SWEEPS_STORAGE` says; see "
    "[how-to](../how-to.md#-go-on-with-a-sweep-on-another-machine)",
    "--tracking-uri": "the store or server of MLflow: in the home, or what `MLFLOW_TRACKING_URI` "
    "says",
    "--help": "what the command takes",
}
MADE: Final = "Made by `python docs/build_reference.py`; not written by hand."
UNGROUPED: Final = "Commands"

INDEX = """# Reference

Each command has a page: what it takes, and what it prints. The outputs are real: a script ran the
commands, one after another, on a sweep of the handwritten digits.

[Functions and classes](python.md) are the same from Python.

```{{toctree}}
:hidden:

python
```

## Options that many commands take

{common}

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | a trial failed (`--strict`), the best is worse than `--fail-under`, or a check failed |
| 2 | what was asked cannot be done; one message, nothing created |
| 3 | all trials are done, but MLflow did not take every run, or files were deleted meanwhile |
| 130, 143, 129 | Ctrl-C, SIGTERM or a closed terminal; the same command goes on |

{lists}"""

PYTHON = """# Functions and classes

[From Python](../python.md) explains by examples. This page has every argument. A function raises
`UsageError`, a `ValueError`, for what cannot be done, before anything is created.

## Sweeps

```{{eval-rst}}
{functions}
```

## Options of a sweep

```{{eval-rst}}
.. autoclass:: sweeps.config.options.RunOptions
   :no-members:
```

## Options of a confirmation

```{{eval-rst}}
.. autoclass:: sweeps.config.options.WhatToConfirm
   :no-members:
```

## An experiment of a Keras model

```{{eval-rst}}
.. autoclass:: digitexp.keras_experiment.KerasExperiment
   :no-members:
```

## The contract of an experiment

```{{eval-rst}}
{contract}
```

## Capabilities

```{{eval-rst}}
{capabilities}
```
"""


def pages() -> dict[str, str]:
    """Return the text of every page by its name."""
    found = {"python.md": _python()}
    lists = []
    for program, module in PROGRAMS.items():
        described = dict(_described(program, module))
        found |= {f"{_slug(name)}.md": text for name, text in described.items()}
        lists.append(_list(program, module, described))
    common = "\n".join(f"- `{name}`: {text}." for name, text in COMMON.items() if name != "--help")
    found["index.md"] = INDEX.format(common=common, lists="\n".join(lists))
    return {name: text.rstrip() + "\n" for name, text in found.items()}


def _python() -> str:
    import sweeps
    from sweeps import capabilities, experiment

    def classes(module: Any) -> Iterator[str]:
        for name in module.__all__:
            if inspect.isclass(getattr(module, name)):
                yield f".. autoclass:: {module.__name__}.{name}"

    def directive(name: str) -> str:
        kind = "class" if inspect.isclass(getattr(sweeps, name)) else "function"
        return f".. auto{kind}:: sweeps.{name}"

    return PYTHON.format(
        functions="\n".join(map(directive, sweeps.__all__)),
        contract="\n".join(classes(experiment)),
        capabilities="\n".join(classes(capabilities)),
    )


def _described(program: str, module: str) -> Iterator[tuple[str, str]]:
    """Yield every command of a program and its page."""
    command = [sys.executable, "-m", "typer", module, "utils", "docs", "--name", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    text = html.unescape(ran.stdout).replace(f"### `{program} ", f"## `{program} ")
    for part in re.split(r"^## (?=`)", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        name = heading.strip("` ")
        if "**Commands**" not in body:
            yield name, _page(name, body)


def _page(name: str, body: str) -> str:
    said, _, rest = body.partition("**Usage**:")
    usage = re.search(r"\$ (.+)", rest)
    arguments, options, common = [], [], []
    for taken, meaning in re.findall(r"^\* `([^`]+)`: (.+)$", rest, flags=re.MULTILINE):
        first = re.search(r"--[a-z-]+", taken)
        if first and first[0] in COMMON:
            common.append(f"`{first[0]}`")
        else:
            row = f"| `{taken.replace('|', chr(92) + '|')}` | {_cell(meaning)} |"
            (options if taken.startswith("-") else arguments).append(row)
    parts = [f"# {name}", said.strip()]
    parts.append(f"```text\n{usage[1] if usage else name}\n```")
    for title, rows in (("Arguments", arguments), ("Options", options)):
        if rows:
            parts.append(f"## {title}\n\n| | |\n|---|---|\n" + "\n".join(rows))
    if len(common) > 1:
        where = "[index](index.md#options-that-many-commands-take)"
        parts.append(f"Also {', '.join(common[:-1])}, which many commands take: see the {where}.")
    printed = OUTPUTS / f"{_slug(name)}.txt"
    if printed.exists():
        shown = printed.read_text(encoding="utf-8").rstrip()
        parts.append(f"## What it prints\n\n```console\n{shown}\n```")
    return "\n\n".join(parts)


def _list(program: str, module: str, described: dict[str, str]) -> str:
    """Return the list of a program's commands, grouped as its help groups them."""
    import typer

    commands: dict[str, Any] = typer.main.get_command(importlib.import_module(module).app).commands  # type: ignore[attr-defined]
    groups: dict[str, list[str]] = {}
    for name in described:
        panel = getattr(commands[name.split()[1]], "rich_help_panel", None)
        says = next(line for line in described[name].splitlines()[1:] if line)
        group = panel if isinstance(panel, str) else UNGROUPED
        groups.setdefault(group, []).append(f"| [`{name}`]({_slug(name)}.md) | {_cell(says)} |")
    parts = [f"## `{program}`\n"]
    for group, rows in groups.items():
        head = f"### {group}\n\n" if len(groups) > 1 else ""
        parts.append(head + "| command | does |\n|---|---|\n" + "\n".join(rows) + "\n")
    names = "\n".join(_slug(name) for name in described)
    parts.append(f"```{{toctree}}\n:hidden:\n:caption: {program}\n\n{names}\n```\n")
    return "\n".join(parts)


def _cell(text: str) -> str:
    """Return a text as it stands in a cell of a table."""
    text = text if "`" in text else text.replace("<", "&lt;")
    return text.strip().replace("|", "\\|").replace("  [", " [")


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def main() -> int:
    """Write the pages and the schema of space files, or say which ones differ."""
    made = {TARGET / name: text for name, text in pages().items()}
    made[SCHEMA] = json.dumps(json_schema(), indent=1) + "\n"
    stored = {path: path.read_text(encoding="utf-8") for path in [*TARGET.glob("*.md"), SCHEMA]}
    differing = [
        path for path in sorted(made.keys() | stored.keys()) if made.get(path) != stored.get(path)
    ]
    if "--check" in sys.argv:
        print(*(path.name for path in differing), sep="\n")
        return bool(differing)
    for path in differing:
        if path in made:
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
