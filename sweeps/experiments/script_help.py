"""Writes a space for a script from its `--help`: `sweeps init --from train.py`.

The help of argparse, click, typer and Fire lists options, that of Hydra has the configuration as
YAML. Help of argparse and click often names neither types nor defaults: for a Python script they
are read from the calls of `add_argument` and `option` in its source, which is not imported. Ranges
are guessed from names and defaults; they are there to be edited.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from search_spaces.errors import SpaceError
from search_spaces.loading import parse
from search_spaces.parameters import Value
from search_spaces.reading import declared_space
from sweeps.errors import UsageError
from sweeps.experiments.script import DATA, FOLD, FOLDS, OUTPUT, OWN, SEED
from sweeps.experiments.script_results import leaves, names_epoch, says_test

HELP_SECONDS: Final = 60
_INTERPRETERS: Final = {".py": "python3", ".sh": "bash", ".R": "Rscript"}
_PARSERS: Final = re.compile(
    r"argparse|ArgumentParser|\bclick\b|\btyper\b|\bfire\b|\bhydra\b|absl|docopt|\btyro\b|optparse"
    r"|--help",
    re.IGNORECASE,
)
"""A script that mentions none of these would not answer `--help`, but train."""


@dataclass(frozen=True)
class ScriptOption:
    """One option of a script.

    Attributes:
        name: Its name in the space.
        spelled: The words of the command, with a place for its value: `--lr {}`, `lr={}`, `{}`.
        kind: `float`, `int`, `bool`, `str`, or empty if that is not known.
        default: Its default; None if there is none, or if it is not known.
        choices: The values that are allowed; for a flag that can be switched on or off, its two
            spellings.
        low: Least value that the help allows.
        high: Greatest value that the help allows.
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
        UsageError: There is no such script, its help cannot be had, it names no option, or it
            prints its metric in several lines that may be the score.
    """
    path = script.with_suffix(".yaml")
    if not script.is_file():
        raise UsageError(f"--from {script}: there is no such file")
    if path.exists():
        raise UsageError(f"{path} is there already, and stays as it is; move it away first")
    source = script.read_text(encoding="utf-8", errors="replace")
    if not _PARSERS.search(source):
        raise UsageError(
            f"--from {script}: it reads no options that `--help` would list (argparse, click, "
            "typer, Hydra, Fire); write the space by hand, see docs/scripts.md"
        )
    interpreter = _INTERPRETERS.get(script.suffix)
    if python is not None:
        if script.suffix != ".py":
            raise UsageError(f"--python {python}: {script} is no Python script; leave it out")
        if shutil.which(python) is None:
            raise UsageError(f"--python {python}: there is no program {python!r}")
        # A space runs its command in its own folder. No link is followed: it names the environment.
        interpreter = str(Path(python).absolute()) if "/" in python else python
    words = [interpreter, script.name] if interpreter else [f"./{script.name}"]
    text = _help_of(words, script.resolve().parent)
    options = read_help(text)
    if script.suffix == ".py":
        options = _with_source(options, source)
    if not options:
        raise UsageError(
            f"--from {script}: no option was found in what `{shlex.join(words)} --help` prints; "
            "write the space by hand, see docs/scripts.md"
        )
    written = _space_text(words, options, source, is_hydra=_is_hydra(text))
    try:
        read = parse(written, path.name)
        declared_space(read.values, read.lines, name="", source=path.name, directory=None)
    except SpaceError as error:  # a help text that was misread: never write what is refused
        raise UsageError(f"--from {script}: its help was not understood ({error})") from None
    return path, written


def _help_of(words: Sequence[str], folder: Path) -> str:
    shown = f"`{shlex.join(words)} --help`"
    if shutil.which(words[0]) is None and not (folder / words[0]).exists():
        raise UsageError(f"--from: there is no program {words[0]!r} to run {words[-1]} by")
    with subprocess.Popen(  # noqa: S603 - the user's own script
        [*words, "--help"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb", "PAGER": "cat", "NO_COLOR": "1"},
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
    return f"{stdout}\n{stderr}"  # Fire prints it to stderr


_NUMBER: Final = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_KINDS: Final = {
    "float": "float", "float range": "float", "int": "int", "integer": "int",
    "integer range": "int", "int range": "int", "bool": "bool", "boolean": "bool",
    "text": "str", "str": "str", "path": "str", "file": "str", "directory": "str",
}  # fmt: skip
_DEFAULT: Final = re.compile(r"\(default:? ([^()]*)\)|\[default: ([^;\]]*)", re.I)
_RANGE: Final = re.compile(rf"({_NUMBER})<=?x(?:<=?({_NUMBER}))?")
_STARTS: Final = re.compile(r"\s*(?:-\w[ ,].*)?--\w")
_POSITIONALS: Final = re.compile(r"(positional )?arguments:?\Z", re.IGNORECASE)


_NO_PARAMETERS: Final = frozenset({"help", "version", "install_completion", "show_completion"})


def read_help(text: str) -> list[ScriptOption]:
    """Return the options in a help text, positional arguments first."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if _is_hydra(text):
        return _hydra_options(text)
    is_fire = "SYNOPSIS" in text and "FLAGS" in text
    found = {option.name: option for option in (_fire_options if is_fire else _blocks)(text)}
    return [option for name, option in found.items() if name not in _NO_PARAMETERS]


def _blocks(text: str) -> Iterator[ScriptOption]:
    """Yield the options of a text: each begins a line, and its help may go on below."""
    usage = re.search(r"^\s*usage: .*\[OPTIONS\] +(.*\S)", text, re.IGNORECASE | re.MULTILINE)
    if usage and "Arguments" not in text:  # click does not list them
        for word in usage[1].split():
            yield ScriptOption(_plain(word.strip("[]").removesuffix("...")), "{}", is_required=True)
    section, block = "", list[str]()
    for line in [*text.splitlines(), ""]:
        bare = line.strip(" │╭╰─*╮╯")
        is_heading = line[:1].isalpha() or line.startswith("╭")
        is_start = bool(_STARTS.match(line.strip("│ ").removeprefix("*")))
        if not (is_start or is_heading) and bare[:1].isalpha() and _POSITIONALS.match(section):
            # The help of an argument stands farther right than the argument.
            is_start = len(line) - len(line.lstrip(" │*")) <= 8
        if is_start or is_heading or not bare:
            if block:
                yield from _option(block)
            block = [bare] if is_start else []
        elif block:
            block.append(bare)
        section = bare if is_heading else section


def _option(block: Sequence[str]) -> Iterator[ScriptOption]:
    """Yield the option of a block; none if it is a line of another kind."""
    spec, whole = _spec(block[0]), " ".join(block)
    names = re.findall(r"(?<![\w-])--([A-Za-z][\w-]*)", spec)
    word = re.match(r"[A-Za-z]\w*", spec)
    if not names and word is None:
        return
    name = _plain(names[0] if names else str(word and word[0]))
    found = [next(filter(None, said)) for said in _DEFAULT.findall(whole)]
    default = _value(found[-1]) if found else None
    negated = [one for one in names if one[:3] in {"no-", "no_"} and one[3:] == names[0]]
    if negated:
        pair = (f"--{names[0]}", f"--{negated[0]}")
        is_off = default is False or found[-1:] == negated
        yield ScriptOption(name, "{}", "bool", pair[is_off] if found else None, pair)
        return
    # What stands for the value, and the values that it lists.
    meta = re.sub(r"--?[A-Za-z][\w-]*", "", spec).strip(" ,=/")
    listed = re.search(r"[{\[<](\w[^\s{}\[\]<>]*[|,][^\s{}\[\]<>]*)[}\]>]", meta)
    choices = tuple(map(_value, re.split(r"[|,]", listed[1]))) if listed else ()
    named = re.search(r"<([^<>]+)>", meta)
    kind = _KINDS.get((named[1] if named else meta).lower(), "")
    if names and not meta:  # a flag, which is off
        yield ScriptOption(name, f"--{names[0]}", "bool", False)
        return
    bounds = _RANGE.search(whole)
    low, high = bounds.groups() if bounds else (None, None)
    yield ScriptOption(
        name,
        f"--{names[0]} {{}}" if names else "{}",
        kind or _kind_of(default),
        default,
        choices,
        float(low) if low else None,
        float(high) if high else None,
        is_required=default is None and (not names or "[required]" in whole),
        is_list="..." in meta or (bool(found) and found[-1][:1] in set("[(")),
    )


def _spec(line: str) -> str:
    """Return the columns of a line before its help: the spellings, and what stands for a value."""
    columns = re.split(r"\s{2,}", line)
    spec = columns[:1]
    for column in columns[1:]:
        if not re.match(r"--?\w|<.*>|[A-Z][A-Z ]+\Z|\[\w+(\|\w+)+\]\Z", column):
            break
        spec.append(column)
    return "  ".join(spec)


_FIRE_OPTION: Final = re.compile(
    r"^ {4}(?:-\w, )?(--)?([A-Za-z]\w*).*((?:\n {8}.*)*)", re.MULTILINE
)
"""The groups: whether it is a flag, its name, and its help, which stands farther right."""


def _fire_options(text: str) -> Iterator[ScriptOption]:
    for section in re.split(r"^(?=[A-Z])", text, flags=re.MULTILINE):
        if not re.match(r"(POSITIONAL )?ARGUMENTS$|FLAGS$", section, re.MULTILINE):
            continue
        for flag, name, said in _FIRE_OPTION.findall(section):
            shown = re.search(r"Default: (.*)", said)
            typed = re.search(r"\bType: (?:Optional\[)?(\w+)", said)
            default = _value(shown[1]) if shown else None
            kind = _KINDS.get(typed[1].lower(), "") if typed else ""
            choices: tuple[Value, ...] = ()
            if isinstance(default, bool):  # Fire reads true as a text
                choices, default = ("True", "False"), str(default)
            yield ScriptOption(
                _plain(name), f"--{name}={{}}" if flag else "{}", kind or _kind_of(default),
                default, choices, is_required=default is None and not flag,
                is_list=shown is not None and shown[1][:1] in set("[("),
            )  # fmt: skip


def _is_hydra(text: str) -> bool:
    return "powered by Hydra" in text and "== Config ==" in text


def _hydra_options(text: str) -> list[ScriptOption]:
    groups, _, config = text.partition("== Config ==")
    listed = re.findall(r"^([\w/]+): (\w[\w-]*(?:, [\w-]+)+)$", groups, re.MULTILINE)
    config = config.partition("\n\n")[2].partition("\n\n\n")[0]
    try:
        values = yaml.safe_load(config)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    found = []
    for group, options in listed:
        choices: tuple[Value, ...] = (*options.split(", "),)
        chosen = values.get(group) if isinstance(values, dict) else None
        inner = chosen.values() if isinstance(chosen, dict) else ()
        default = next((one for one in choices if one in inner), None)  # `name: adam` in adam.yaml
        found.append(ScriptOption(_plain(group), f"{group}={{}}", "str", default, choices))
    named = {group for group, _ in listed}
    for path, said in leaves(values if isinstance(values, dict) else {}):
        if path.partition(".")[0] in named or (isinstance(said, str) and "${" in said):
            continue
        value = _value(said) if isinstance(said, str) else said
        is_required = value == "???"
        default = None if is_required or not isinstance(value, str | int | float) else value
        choices = (True, False) if isinstance(value, bool) else ()
        found.append(ScriptOption(
            _plain(path), f"{path}={{}}", _kind_of(default), default, choices,
            is_required=is_required, is_list=isinstance(value, list),
        ))  # fmt: skip
    return found


def _plain(name: str) -> str:
    plain = re.sub(r"\W", "_", name) or "_"
    return plain.lower() if plain.isupper() and len(plain) > 1 else plain


def _value(text: str) -> Value:
    text = text.strip().strip("'\"")
    if text in {"None", "none", "null", ""}:
        return None
    if text in {"True", "False", "true", "false"}:
        return text.lower() == "true"
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text


def _kind_of(value: object) -> str:
    return type(value).__name__ if isinstance(value, bool | int | float | str) else ""


def _with_source(options: Sequence[ScriptOption], source: str) -> list[ScriptOption]:
    """Return options with what the calls of `add_argument` and `option` add to the help."""
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return list(options)
    stated: dict[str, dict[str, Any]] = {}
    for call in calls:
        called = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        words = [one.value for one in call.args if isinstance(one, ast.Constant)]
        named = [one for one in words if isinstance(one, str) and one.startswith("--")]
        if called in {"add_argument", "option"} and named:
            names = [_plain(one.partition("/")[0].lstrip("-")) for one in named]
            said = {one.arg: _literal(one.value) for one in call.keywords if one.arg}
            stated |= dict.fromkeys(names, said)
    return [_completed(option, stated.get(option.name, {})) for option in options]


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(node)
    return None


def _completed(option: ScriptOption, said: dict[str, Any]) -> ScriptOption:
    if option.kind == "bool":
        return option
    default = said.get("default") if option.default is None else option.default
    if not isinstance(default, str | int | float):
        default = None
    kind = said.get("type") if said.get("type") in {"float", "int", "str"} else option.kind
    is_float = kind == "float" and isinstance(default, int) and not isinstance(default, bool)
    return replace(
        option,
        default=float(default) if is_float and default is not None else default,
        kind=kind or _kind_of(default),
        is_required=option.is_required or (said.get("required") is True and default is None),
        is_list=option.is_list or said.get("nargs", "?") != "?" or said.get("multiple") is True,
    )


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


def _space_text(
    words: Sequence[str], options: Sequence[ScriptOption], source: str, *, is_hydra: bool
) -> str:
    command = [shlex.join(words)]
    varied: dict[str, tuple[str, Value]] = {}
    fixed: list[str] = []
    left: list[str] = []
    has_data = False
    if is_hydra:
        command.append("hydra.run.dir={output}")
    own_names = [_short_name(option) for option in options]
    divides = any(map(_FOLD.fullmatch, own_names))
    for option, short in zip(options, own_names, strict=True):
        name = f"{option.name}_" if option.name in OWN else option.name
        own = _own_placeholder(option, short, divides=divides)
        if own is not None and (own != DATA or option.is_required):
            command.append(option.spelled.format(f"{{{own}}}"))
            has_data |= own == DATA
        elif own is None and (domain := _domain(option)) is not None:
            varied[name] = domain, _point(option)
            command.append(option.spelled.format(f"{{{name}}}"))
        elif option.is_required:
            fixed.append(name)
            command.append(option.spelled.format(f"{{{name}}}"))
        else:
            value = "" if option.default is None else _shown(option.default)
            left.append(option.spelled.format(value).strip(" ="))
    return _written(command, varied, fixed, left, source, has_data=has_data)


def _short_name(option: ScriptOption) -> str:
    path, equals, _ = option.spelled.partition("=")
    return _plain(path.rpartition(".")[2]) if equals and path[:1] != "-" else option.name


def _own_placeholder(option: ScriptOption, short: str, *, divides: bool) -> str | None:
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
    """Return the default if it is a value of the option; a help may say `one per core`."""
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
    fixed: Sequence[str],
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
    lines += ["", "fixed:", *(f"  {name}: EDIT  # EDIT" for name in fixed)] if fixed else []
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
    return [line, where, *_other_lines(source, spelled, re.compile(pattern))]


class _Printed(NamedTuple):
    """A number that a script prints: the call, its line with 0 for each value, and its place."""

    text: str
    line: str
    start: int


def _other_lines(source: str, metric: str, pattern: re.Pattern[str]) -> list[str]:
    """Return comments on what a script prints of its metric beside its score."""
    matched = [
        _Printed(text, line, match.start(1))
        for text, line in _printed(source)
        for match in pattern.finditer(line)
    ]
    on_test = [one for one in matched if says_test(one.line, one.start, 1)]
    others = [one for one in matched if one not in on_test]
    of_epochs = [one for one in others if names_epoch(one.line)] or others
    different = list({(one.line, one.start): one for one in of_epochs}.values())
    if len(different) > 1 or (on_test and not others):
        shown = "".join(f"\n  {one.text}" for one in (different or on_test)[:4])
        why = "more than once, and one is the score" if different else "of the test set only"
        raise UsageError(
            f"--from: it prints {metric!r} {why}:{shown}\nNothing was written. Print the number "
            "that you mean, of a validation set, under a name of its own, such as val_acc; or "
            "write the space by hand, with a pattern that only its line matches, such as "
            r"metrics: {acc: 'valid.* acc[=: ]+(\S+)'}; see docs/scripts.md"
        )
    comments = [f"# Not read, since it says test: {one.text}" for one in on_test]
    for one in (one for one in others if one not in of_epochs):
        # What stands before the number, behind the value before it.
        before = re.split(r"\d", one.line[: one.start])[-1].lstrip(" ,;|([-")
        quoted = re.escape(before).replace("\\ ", " ").replace("'", "''")
        comments.append(f"# The last epoch has the score, not: {one.text}")
        comments.append(f"# To take that number as the score: final: '{quoted}(\\S+)'")
    return comments


_PRINTING: Final = frozenset({"print", "echo", "write", "info", "warning", "log", "debug"})
_VALUE: Final = re.compile(r"%(?:\(\w+\))?[-+# 0-9.]*[sdfgeirx]")


def _printed(source: str) -> Iterator[tuple[str, str]]:
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in _PRINTING:
                line = " ".join(map(_as_printed, node.args))
                line = line if called == "print" else _VALUE.sub("0", line)
                text = " ".join((ast.get_source_segment(source, node) or "").split())
                yield f"line {node.lineno}: {text[:100]}", line


def _as_printed(node: ast.expr) -> str:
    """Return a text with 0 in place of each value; 0 for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_as_printed, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _VALUE.sub("0", _as_printed(node.left))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _as_printed(node.left) + _as_printed(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "format":
        assert isinstance(node.func, ast.Attribute)
        return re.sub(r"\{[^{}]*\}", "0", _as_printed(node.func.value))
    return "0"


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w-]*", value):
        is_word = value.lower() not in {"true", "false", "null", "yes", "no", "on", "off", "none"}
        return value if is_word else json.dumps(value)
    return json.dumps(value)
