"""Writes a space for a Python script from its options: `sweeps init --from train.py`.

The script is run with `--help` up to the place where argparse, click or typer would read the words
of the command; there it lists its options instead. Ranges are guessed from names and defaults; they
are there to be edited.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search_spaces.errors import SpaceError
from search_spaces.loading import parse
from search_spaces.parameters import Value
from search_spaces.reading import declared_space
from sweeps.errors import UsageError
from sweeps.experiments.script import DATA, FOLD, FOLDS, OUTPUT, OWN, SEED

HELP_SECONDS: Final = 60
_PARSERS: Final = re.compile(r"argparse|ArgumentParser|\bclick\b|\btyper\b|\btyro\b", re.IGNORECASE)
"""A script that mentions none of these would not list its options, but train."""


@dataclass(frozen=True)
class ScriptOption:
    """One option of a script.

    Attributes:
        name: Its name in the space.
        spelled: The words of the command, with a place for its value: `--lr {}`, `{}`.
        kind: `float`, `int`, `bool`, `str`, or empty if that is not known.
        default: Its default; None if there is none, or if it is not known.
        choices: The values that are allowed; for a flag that can be switched on or off, its two
            spellings.
        low: Least value that is allowed.
        high: Greatest value that is allowed.
        is_required: Whether the script does not run without it.
        is_list: Whether it takes several values.
    """

    name: str
    spelled: str
    kind: str = ""
    default: Value = None
    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    is_required: bool = False
    is_list: bool = False


def space_of_script(script: Path, python: str | None = None) -> tuple[Path, str]:
    """Return the space of a script: the file beside it, which is not written, and its text.

    Args:
        script: The script.
        python: The Python that runs it, by name or path; None for `python3`.

    Raises:
        UsageError: There is no such script, it is none of Python, does not run, or has no option.
    """
    path = script.with_suffix(".yaml")
    if not script.is_file():
        raise UsageError(f"--from {script}: there is no such file")
    if path.exists():
        raise UsageError(f"{path} is there already, and stays as it is; move it away first")
    source = script.read_text(encoding="utf-8", errors="replace")
    if script.suffix != ".py":
        raise UsageError(
            f"--from {script}: is no Python script; write the space by hand, see docs/scripts.md"
        )
    if not _PARSERS.search(source):
        raise UsageError(
            f"--from {script}: it reads no options that `--help` would list (argparse, click, "
            "typer); write the space by hand, see docs/scripts.md"
        )
    interpreter = "python3"
    if python is not None:
        if shutil.which(python) is None:
            raise UsageError(f"--python {python}: there is no program {python!r}")
        # A space runs its command in its own folder. No link is followed: it names the environment.
        interpreter = str(Path(python).absolute()) if "/" in python else python
    words = [interpreter, script.name]
    listed = _listed(words, script.resolve().parent)
    if not listed:
        raise UsageError(
            f"--from {script}: no option was found by `{shlex.join(words)} --help`; "
            "write the space by hand, see docs/scripts.md"
        )
    options = [_option(one) for one in sorted(listed, key=lambda one: bool(one["spelled"]))]
    written = _space_text(words, options, source)
    try:
        read = parse(written, path.name)
        declared_space(read.values, read.lines, name="", source=path.name, directory=None)
    except SpaceError as error:  # never write what is refused
        raise UsageError(f"--from {script}: its options were not understood ({error})") from None
    return path, written


def _listed(words: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Return the options that a script lists, see `_list_options`."""
    shown = f"`{shlex.join(words)} --help`"
    if shutil.which(words[0]) is None and not (folder / words[0]).exists():
        raise UsageError(f"--from: there is no program {words[0]!r} to run {words[-1]} by")
    body = inspect.getsource(_list_options)
    program = f"from __future__ import annotations\n{body}\n_list_options()"
    with subprocess.Popen(  # noqa: S603 - the user's own script
        [words[0], "-c", program, words[1]],
        cwd=folder,
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=HELP_SECONDS)
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{shown} did not end within {HELP_SECONDS} s; write the space by hand, see "
                "docs/scripts.md"
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        said = (stderr or stdout).strip().splitlines()[-1:] or [""]
        raise UsageError(
            f"{shown} ended with exit code {process.returncode}: {said[0]}; a sweep runs the "
            "script in this way too: if a package is missing, activate the environment that has "
            "it; if it has no --help, write the space by hand, see docs/scripts.md"
        )
    listed = [line for line in stdout.splitlines() if line.startswith(_MARK)]
    options: list[dict[str, Any]] = json.loads(listed[-1].removeprefix(_MARK)) if listed else []
    return [option for option in options if option["name"] not in _NO_PARAMETERS]


_MARK: Final = "OPTIONS: "
_NO_PARAMETERS: Final = frozenset({"help", "version", "install_completion", "show_completion"})
_KINDS: Final = {
    "float": "float", "float range": "float", "int": "int", "integer": "int",
    "integer range": "int", "bool": "bool", "boolean": "bool",
    "text": "str", "str": "str", "path": "str", "Path": "str", "file": "str", "filename": "str",
}  # fmt: skip


def _list_options() -> None:
    """Run a script, and print its options where it would read them; in a process of its own."""
    import argparse
    import contextlib
    import enum
    import importlib
    import json
    import os
    import runpy
    import sys

    def end(options: list[dict[str, Any]]) -> None:
        sys.stdout.flush()
        said = json.dumps(options, default=lambda _: None)
        os.write(1, f"\nOPTIONS: {said}\n".encode())
        os._exit(0)

    def of_argparse(parser: Any, *_: Any, **__: Any) -> Any:
        end([
            {"name": one.dest, "spelled": list(one.option_strings), "off": [],
             "kind": getattr(one.type, "__name__", ""), "default": one.default,
             "choices": list(one.choices or ()), "low": None, "high": None,
             "is_flag": one.nargs == 0, "is_required": one.required,
             "is_list": one.nargs not in (None, 0, "?")}
            for one in parser._actions
        ])  # fmt: skip

    def of_click(command: Any, *_: Any, **__: Any) -> Any:
        found = []
        for one in command.params:
            # Typer of today has no types of click, but annotations.
            kind = getattr(one, "type", None) or one.type_descriptor.annotation
            choices = getattr(kind, "choices", kind if isinstance(kind, enum.EnumMeta) else ())
            found.append(
                {"name": one.name, "spelled": one.opts if one.param_type_name == "option" else [],
                 "off": one.secondary_opts, "default": getattr(one.default, "value", one.default),
                 "kind": getattr(kind, "name", None) or getattr(kind, "__name__", ""),
                 "choices": [getattr(choice, "value", choice) for choice in choices],
                 "low": getattr(kind, "min", getattr(one, "min", None)),
                 "high": getattr(kind, "max", getattr(one, "max", None)),
                 "is_flag": getattr(one, "is_flag", False), "is_required": one.required,
                 "is_list": one.nargs != 1 or getattr(one, "multiple", False)}
            )  # fmt: skip
        end(found)

    parser: Any = argparse.ArgumentParser
    parser.parse_args = parser.parse_known_args = of_argparse
    for name in ("click.core", "typer._click.core"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name).Command.parse_args = of_click
    sys.argv = [sys.argv[1], "--help"]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _option(said: Mapping[str, Any]) -> ScriptOption:
    """Return an option as it was listed; of several spellings the first long one counts."""
    spelled = [*(one for one in said["spelled"] if one.startswith("--")), *said["spelled"]]
    name = _plain(spelled[0].lstrip("-") if spelled else said["name"])
    off = [*said["off"], *(one for one in spelled if one == f"--no-{spelled[0].lstrip('-')}")]
    default = said["default"] if isinstance(said["default"], str | int | float) else None
    if said["is_flag"] and off:
        pair = (spelled[0], off[0])
        chosen = pair[default is False] if isinstance(default, bool) else None
        return ScriptOption(name, "{}", "bool", chosen, pair)
    if said["is_flag"]:
        return ScriptOption(name, spelled[0], "bool", False)
    kind = _KINDS.get(said["kind"], "") or (type(default).__name__ if default is not None else "")
    if kind == "float" and isinstance(default, int):
        default = float(default)
    return ScriptOption(
        name,
        f"{spelled[0]} {{}}" if spelled else "{}",
        kind,
        default,
        tuple(said["choices"]),
        said["low"],
        said["high"],
        is_required=said["is_required"] and default is None,
        is_list=said["is_list"],
    )


def _plain(name: str) -> str:
    """Return a name that a parameter of a space can have."""
    plain = re.sub(r"\W", "_", name) or "_"
    return plain.lower() if plain.isupper() and len(plain) > 1 else plain


# From options to a space

_FOLDERS: Final = re.compile(
    r"out(put)?(_?(dir|folder|path))?|(save|log|result|results|checkpoint|model|run)s?_?(dir|folder|path)"
)
_SEEDS: Final = re.compile(r"(random_?)?(seed|state)")
_FOLD: Final = re.compile(r"(cv_?)?fold(_?(index|idx|id|no|num|number))?")
_FOLDS: Final = re.compile(r"((n|k|num|cv)_?)?(folds|splits)")
_DATA: Final = re.compile(r"(train_?)?(data|dataset|input)(_?(dir|folder|path|file|root))?|csv")
_KEPT: Final = re.compile(
    r".*(epochs?|rounds?|iterations?|max_iter|num_steps|steps|trials|device|gpus?|cuda|workers|jobs|threads"
    r"|verbos\w*|interval|every|port|rank|patience|folds?)"
)
"""Numbers that cost time or describe the machine."""
_RATES: Final = re.compile(r".*(lr\b|rate|eta\b|step_size)|lr.*")
_PENALTIES: Final = re.compile(r".*(decay|l1|l2|reg|lambda|alpha|penalty)")
_METRICS: Final = (
    "val_acc", "val_accuracy", "valid_acc", "val_auc", "val_f1", "val_loss", "valid_loss",
    "accuracy", "acc", "auc", "f1", "r2", "rmse", "mae", "mse", "loss", "error", "score",
)  # fmt: skip
_LOWER: Final = re.compile(r"loss|rmse|mae|mse|error")


def _space_text(words: Sequence[str], options: Sequence[ScriptOption], source: str) -> str:
    command = [shlex.join(words)]
    varied: dict[str, tuple[str, Value]] = {}
    fixed: dict[str, Value] = {}
    left: list[str] = []
    has_data = False
    divides = any(_FOLD.fullmatch(option.name) for option in options)
    for option in options:
        name = f"{option.name}_" if option.name in OWN else option.name
        own = _own_placeholder(option, divides=divides)
        if own is not None and (own != DATA or option.is_required):
            command.append(option.spelled.format(f"{{{own}}}"))
            has_data |= own == DATA
        elif own is None and (domain := _domain(option)) is not None:
            varied[name] = domain, _point(option)
            command.append(option.spelled.format(f"{{{name}}}"))
        elif option.is_required:
            fixed[name] = "EDIT"
            command.append(option.spelled.format(f"{{{name}}}"))
        else:
            value = "" if option.default is None else _shown(option.default)
            left.append(option.spelled.format(value).strip(" ="))
    return _written(command, varied, fixed, left, source, has_data=has_data)


def _own_placeholder(option: ScriptOption, *, divides: bool) -> str | None:
    short = option.name
    if _SEEDS.fullmatch(short):
        return SEED
    if option.kind in {"", "int"} and not (option.choices or option.is_list):
        if _FOLD.fullmatch(short):
            return FOLD
        if divides and _FOLDS.fullmatch(short):
            return FOLDS
    if option.kind in {"", "str"} and not option.choices:
        if _FOLDERS.fullmatch(short):
            return OUTPUT
        if _DATA.fullmatch(short):
            return DATA
    return None


def _point(option: ScriptOption) -> Value:
    """Return the default if it is a value of the option."""
    if option.choices:
        return option.default if option.default in option.choices else None
    return option.default if isinstance(option.default, int | float) else None


def _domain(option: ScriptOption) -> str | None:
    """Return the guessed values of a parameter as YAML; None if it should not vary."""
    if option.is_list or (_KEPT.fullmatch(option.name) and not option.is_required):
        return None
    if option.choices:
        return f"{{type: categorical, choices: [{', '.join(map(_shown, option.choices))}]}}"
    if option.kind not in {"float", "int"}:
        unknown = "{type: float, low: 0, high: 1}  # EDIT: its type and values are not known"
        return unknown if option.is_required and not option.kind else None
    number = _point(option)
    assert number is None or isinstance(number, int | float)
    low, high, is_log = (_floats if option.kind == "float" else _ints)(option.name, number)
    low = low if option.low is None else max(low, option.low)
    high = high if option.high is None else min(high, option.high)
    if number is not None:
        low, high = min(low, number), max(high, number)
    if not low < high:
        return None
    log = ", log: true" if is_log and low > 0 else ""
    if option.kind == "int":
        return f"{{type: int, low: {int(low)}, high: {int(high)}{log}}}"
    return f"{{type: float, low: {low:.4g}, high: {high:.4g}{log}}}"


def _floats(name: str, default: float | None) -> tuple[float, float, bool]:
    if re.search("drop|momentum|beta|rho|smooth", name):
        return 0, 0.9 if "drop" in name else 0.99, False
    if re.search("subsample|colsample|fraction|ratio", name):
        return 0.1, 1, False
    if default:
        return (default / 10, default * 10, True) if default > 0 else (2 * default, 0, False)
    if default is not None:
        return 0, 0.1 if _PENALTIES.match(name) else 1, False
    if _RATES.match(name):
        return 1e-4, 0.1, True
    return (1e-6, 0.01, True) if _PENALTIES.match(name) else (0, 1, False)


def _ints(name: str, default: float | None) -> tuple[float, float, bool]:
    if default is None:
        return 1, 100, True
    if default <= 0:
        return min(default, 0), 10, False
    return max(1, default // 4), default * 4, default >= 8


def _written(
    command: Sequence[str],
    varied: dict[str, tuple[str, Value]],
    fixed: dict[str, Value],
    left: Sequence[str],
    source: str,
    *,
    has_data: bool,
) -> str:
    lines = ["# Written by `sweeps init --from`. The ranges are guesses: edit them."]
    lines += ["command: >-", *(f"  {words}" for words in command)]
    lines += ["# It reads data: say which with --data."] if has_data else []
    if any("{fold}" in words for words in command):
        lines += [
            "# {fold} is 0 in the search; `sweeps confirm` asks for 1, 2 ... EDIT: the script",
            "# has to take these, and to divide its data as docs/scripts.md says (Confirm).",
        ]
    lines += ["# Not varied, its own defaults hold: " + ", ".join(left)] if left else []
    lines += ["", *_objective(source), "", "parameters:"]
    lines += [f"  {name}: {domain}" for name, (domain, _) in varied.items()]
    if fixed:
        lines += [
            "",
            "fixed:",
            *(f"  {name}: {_shown(value)}  # EDIT" for name, value in fixed.items()),
        ]
    unknown = [name for name, (_, default) in varied.items() if default is None]
    if not unknown:
        point = ", ".join(f"{name}: {_shown(default)}" for name, (_, default) in varied.items())
        lines += ["", "baselines:", f"  default: {{{point}}}"]
    elif len(unknown) < len(varied):
        lines += ["", f"# No baseline: the default of {', '.join(unknown)} is not known."]
    lines += ["", "defaults: {trials: 20, sampler: tpe, pruner: none}"]
    return "\n".join(lines) + "\n"


def _objective(source: str) -> list[str]:
    """Return the lines that say where the numbers are, as far as the source shows it."""
    found = (re.search(rf"\b{one}\b", source, re.IGNORECASE) for one in _METRICS)
    spelled = next((one[0] for one in found if one), "score")
    metric = spelled.lower()
    direction = "minimize" if _LOWER.search(metric) else "maximize"
    line = f"objective: {{metric: {metric}, direction: {direction}}}  # EDIT"
    if re.search(r"""["']result["']""", source) and "json" in source:
        return [line]
    if re.search(r"mlflow.*log_metric|\.autolog\(", source, re.DOTALL):
        return [line, "result: mlflow"]
    pattern = rf"\b{spelled}[=: ]+([-+.\deE]+|nan|inf)"
    where = f"metrics: {{{metric}: '{pattern}'}}  # EDIT: matches in its output"
    return [line, where]


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w-]*", value):
        is_word = value.lower() not in {"true", "false", "null", "yes", "no", "on", "off", "none"}
        return value if is_word else json.dumps(value)
    return json.dumps(value)
