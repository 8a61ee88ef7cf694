"""The section that says how to get the same trials again."""

from __future__ import annotations

import itertools
import json
import math
import shlex
from collections.abc import Mapping
from typing import Any, Final

import yaml

from sweeps.analysis.data import SweepData
from sweeps.experiments.loading import script_facts
from sweeps.journal.events import Learned
from sweeps.records import (
    CodeHistory,
    Longer,
    data_in_words,
    describe_learned,
)
from sweeps.render.section import Block, Code, Folded, Section, Table, Text
from sweeps.study.samplers import options_in_full
from sweeps.wording import counted, spans
from sweeps.workspace.provenance import is_mixed


def reproduce_section(data: SweepData) -> Section:
    """Return the section with commands, versions, digests and the space."""
    info = data.info
    prints = info.fingerprint
    lines = [f"git checkout {info.code['commit']}"] if info.code.get("commit") else []
    if info.code.get("dirty"):
        lines.append("git apply code.diff   # the uncommitted changes, kept on the run in MLflow")
    lines += rerun_commands(data)
    facts = [
        *map(list, (script_facts(info.experiment) or {"experiment": info.experiment}).items()),
        ["data", data_in_words(info.experiment, info.data, 64)],
        ["split", f"SHA-256 {info.data.get('split_digest', '')}"],
        ["space", f"SHA-256 {prints.get('space', '')}"],
        ["sweep", info.id],
    ]
    if data.records:  # what the first attempt ran on
        environment = data.records[0].environment
        packages = environment.get("packages", {})
        facts.append(["packages", ", ".join(f"{k} {v}" for k, v in packages.items())])
        known = (k for k in ("python", "platform", "cpu") if k in environment)
        facts += [[key, str(environment[key])] for key in known]
    space = json.dumps(dict(info.space), indent=1, ensure_ascii=False)
    blocks: list[Block] = [
        Text(_promise(data)),
        *_imported(data),
        *_learned(data),
        Code("\n".join(lines), "Commands"),
        Folded("Versions and digests", [Table(["what", "which"], facts)]),
        *_edits(data),
        Code(space, "The space, as the command above takes it", "space.json"),
    ]
    return Section("reproduce", "How to reproduce", blocks)


def _promise(data: SweepData) -> str:
    if why := data.info.irreproducible:
        return f"The same seed may give other trials: {why}."
    if not data.info.is_reproducible:
        return (
            "The same seed gives other trials after the first: what the sampler sees depends on "
            "time. Each trial by itself is reproducible: `sweeps replay`."
        )
    if is_mixed(record.environment for record in data.records):
        return (
            "Processors with different CPU features had a part in this sweep, or some trials had "
            "oneDNN's kernels and others not, so that the last bits of a trial depend on who "
            "trained it, and with them what the sampler tries next."
        )
    checked = ""
    if (again := data.info.checked) is not None:
        checked = f" Checked: trial {again.trial}, trained a second time, is the same to the bit."
    return (
        "The same seed gives the same trials, whatever the number of workers, interrupted or not; "
        f"to the bit with equal versions and CPU features.{checked}"
    )


def _imported(data: SweepData) -> list[Block]:
    """Say that the sampler knew more than the trials, which the commands do not bring."""
    imported = data.store.state().imported
    if imported is None:
        return []
    return [
        Text(
            f"The sampler knew {counted(len(imported.trials), 'imported result')} of "
            f"{imported.source} as well. `sweeps import` brings them to a new sweep before these "
            "commands; `sweeps share` takes them along."
        )
    ]


def _learned(data: SweepData) -> list[Block]:
    """Say what the first points were learned from; the commands take them as a file."""
    learned = _learned_by(data)
    if learned is None:
        return []
    text = Text(f"--learn-from {learned.asked}: {describe_learned(learned)}.")
    if not learned.points:
        return [text]
    held = learned.to_dict()
    points = json.dumps({key: held[key] for key in ("points", "learned_from")}, indent=1)
    return [text, Code(points, "The points, as the command below takes them", _LEARNED)]


def _learned_by(data: SweepData) -> Learned | None:
    if data.info.learned_from is None:
        return None
    return data.store.state().learned


_LEARNED: Final = "learned.json"


def _edits(data: SweepData) -> list[Block]:
    """Return the codes that trained trials, and their differences; empty if there is only one."""
    history = CodeHistory(data.store)
    trained: dict[str, list[int]] = {}
    first_of: dict[str, str] = {}  # digest -> the first digest of equal code
    for record in data.records:
        digest: str | None = record.environment.get("code")
        if record.ends_trial and digest is not None:
            if digest not in first_of:
                first_of |= dict.fromkeys(history.same_as(digest), digest)
            trained.setdefault(first_of[digest], []).append(record.trial)
    if len(trained) < 2:
        return []
    said = "; ".join(f"{spans(numbers)} by {digest:.12}" for digest, numbers in trained.items())
    lines: list[str] = []
    kept = {code.identity: code for code in history.all()}
    for before, after in itertools.pairwise(map(kept.get, trained)):
        if before is not None and after is not None:
            lines += before.changes(after)
    text = Text(f"Not all trials were trained by the same code: {said}.")
    return [text, Code("\n".join(lines), "What was edited between them")]


def rerun_commands(data: SweepData) -> list[str]:
    """Return the commands that run the same trials again, or continue them, from `space.json`.

    Points that were enqueued are enqueued again, each where the sweep was when it was its turn.
    """
    name, commands = shlex.quote(data.info.name), []
    trials = data.asked or len(data.rows)
    enqueued = [row for row in data.rows if row.origin.partition(",")[0] == "enqueued"]
    for before, row in zip([None, *enqueued], enqueued, strict=False):
        if before is None or before.trial < row.trial - 1:
            commands.append(_run_command(data, row.trial))
        longer = Longer.of(row.origin)
        if longer is None:
            point = [shlex.quote(f"{key}={_typed(value)}") for key, value in row.params.items()]
        else:
            (like,) = (one for one in data.rows if one.trial == longer.trial)
            more = longer.epochs - (like.epochs or 0)
            point = [f"--like {longer.trial} --more-epochs {more}"]
        commands.append(" ".join(["sweeps enqueue", name, *point]))
    return [*commands, _run_command(data, trials)]


def _run_command(data: SweepData, trials: int) -> str:
    info, prints = data.info, data.info.fingerprint
    words = ["sweeps", "run", "space.json", "--name", info.name, "--trials", str(trials)]
    words += ["--seed", str(prints.get("seed", 0))]
    for option in ("sampler", "pruner"):
        chosen = prints.get(option)
        options = options_in_full(chosen) if isinstance(chosen, Mapping) else {}
        name = chosen.get("name", "") if isinstance(chosen, Mapping) else chosen
        words += [f"--{option}", str(name)]
        for name, value in options.items():
            words += [f"--{option}-option", f"{name}={_typed(value)}"]
    words += ["--ask-ahead", str(prints.get("ask_ahead"))]
    learned = _learned_by(data)
    if learned is not None and learned.points:
        words += ["--learn-from", _LEARNED]
    if prints.get("order", "number") != "number":
        words += ["--order", str(prints["order"])]
    return shlex.join(words)


def _typed(value: Any) -> str:
    """Return a value as it is typed behind `name=`, where YAML is read."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("...\n").strip()
