"""Objectives: the metrics that a sweep optimises, and which way each is better.

Also the script, and the objective function, that may stand in place of an experiment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, cast

Direction = Literal["maximize", "minimize"]

MOST: Final = 4
"""Most objectives of a sweep. With more, hardly any trial is worse than another in all of them."""

_CLOCKED: Final = "_seconds"
"""Ending of the names of all durations."""


@dataclass(frozen=True)
class Objective:
    """A metric to optimise, and which way is better."""

    metric: str
    direction: Direction

    @property
    def is_measured_by_clock(self) -> bool:
        """Whether it is a duration: the same trial, trained again, then has another value."""
        return self.metric.endswith(_CLOCKED)

    def gain(self, value: float) -> float:
        """Return a value so that more is better."""
        return value if self.direction == "maximize" else -value


def stored_objectives(objectives: Sequence[Objective]) -> Any:
    """Return objectives as a space stores them: one as a mapping, several as a list of them."""
    documents = [asdict(objective) for objective in objectives]
    return documents[0] if len(documents) == 1 else documents


def objectives_from(stored: Any) -> tuple[Objective, ...]:
    """Return the objectives that `stored_objectives` wrote.

    Raises:
        TypeError: `stored` was not written by that function.
    """
    documents = [stored] if isinstance(stored, Mapping) else stored
    return tuple(Objective(**document) for document in documents)


def in_words(objectives: Sequence[Objective]) -> str:
    """Return `maximize best_val_accuracy, minimize parameters`."""
    return ", ".join(f"{one.direction} {one.metric}" for one in objectives)


_FUNCTION: Final = re.compile(
    r"(?P<path>[^@]+)@(?P<ways>(?:minimize|maximize)(?:,(?:minimize|maximize))*)(?:@folds)?"
)


def is_function(experiment: str) -> bool:
    """Whether the recorded name of an experiment is that of an objective function of Optuna."""
    return not is_script(experiment) and _FUNCTION.fullmatch(experiment) is not None


@dataclass(frozen=True)
class ObjectiveFunction:
    """A function from a trial of Optuna to a value that stands for the experiment of a space.

    Attributes:
        path: Its import path, `module:function`.
        directions: Which way is better, of each value that it returns.
    """

    path: str
    directions: tuple[Direction, ...]

    @property
    def experiment(self) -> str:
        """The name under which records keep it, `module:function@minimize,maximize`."""
        return f"{self.path}@{','.join(self.directions)}"

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Its values, `value`; of several `value_0`, `value_1`, ..."""
        several = len(self.directions) > 1
        names = (f"value_{n}" if several else "value" for n in range(len(self.directions)))
        return tuple(map(Objective, names, self.directions))

    @classmethod
    def from_experiment(cls, experiment: str) -> ObjectiveFunction:
        """Return the function of a recorded name, for which `is_function` holds."""
        found = _FUNCTION.fullmatch(experiment)
        assert found is not None
        return cls(found["path"], tuple(cast("list[Direction]", found["ways"].split(","))))


_SCRIPT: Final = "script:"


def is_script(experiment: str) -> bool:
    """Whether the recorded name of an experiment is that of a script, not an import path."""
    return experiment.startswith(_SCRIPT)


@dataclass(frozen=True)
class Script:
    """A command that stands for the experiment of a space, and where its numbers are.

    Attributes:
        command: The command, with a `{placeholder}` for each parameter.
        objectives: Each names a number in the script's result, and also the per-epoch metric that a
            pruner watches.
        patterns: A regular expression with one group by the name of its metric: `metrics:`.
        result: Path of a file below `{output}`, or `mlflow`: `result:`.
        final: A regular expression for the line, after the epochs, that has the number of the
            (first) objective: `final:`. None: the last epoch has it.
    """

    command: str
    objectives: tuple[Objective, ...]
    patterns: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None
    final: str | None = None

    @property
    def experiment(self) -> str:
        """The name under which records keep it; `from_experiment` reads it.

        `script:metric:direction:command`; metrics and directions of several objectives are joined
        by commas. If its numbers are elsewhere than in JSON lines, the command begins with a JSON
        object that says where.
        """
        metrics = ",".join(one.metric for one in self.objectives)
        directions = ",".join(one.direction for one in self.objectives)
        sources = {"metrics": dict(self.patterns), "result": self.result, "final": self.final}
        stated = {key: source for key, source in sources.items() if source}
        is_needed = stated or self.command.startswith('{"')  # else that would be taken for them
        before = f"{json.dumps(stated)} " if is_needed else ""
        return f"{_SCRIPT}{metrics}:{directions}:{before}{self.command}"

    @classmethod
    def from_experiment(cls, experiment: str) -> Script:
        """Return the script of a recorded name.

        Raises:
            ValueError: The name, of a forged or damaged record, was not made from a space.
        """
        try:
            _, metrics, directions, command = experiment.split(":", 3)
            named = zip(metrics.split(","), directions.split(","), strict=True)
            objectives = tuple(Objective(name, cast(Direction, way)) for name, way in named)
            if not command.startswith(('{"', "{} ")):
                return cls(command, objectives)
            stated, end = json.JSONDecoder().raw_decode(command)
            patterns = stated.get("metrics", {})
            others = [stated[key] for key in ("result", "final") if stated.get(key) is not None]
            if not all(isinstance(text, str) for text in (*patterns, *patterns.values(), *others)):
                raise TypeError(stated)  # noqa: TRY301 - one message for all that can be wrong
        except (ValueError, TypeError, AttributeError, RecursionError):
            text = f"experiment {experiment[:200]!r}: it is damaged, no space makes it"
            raise ValueError(text) from None
        where = {"result": stated.get("result"), "final": stated.get("final")}
        return cls(command[end:].lstrip(), objectives, patterns, **where)
