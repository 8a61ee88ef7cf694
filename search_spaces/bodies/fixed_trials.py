"""Fixed trials, which stand in for an Optuna trial: replay a point, draw one, go through all.

Each turns the three `suggest_*` calls into one question with a domain, so that YAML spaces and
Python functions are replayed, probed and enumerated by the same code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.errors import SpaceError, did_you_mean, listing
from search_spaces.parameters import Suggester, Value
from search_spaces.values.domains import Categorical, Domain, Float, Int, Sampled

Answer = Callable[[str, Sampled], Value]


@dataclass(frozen=True)
class Walk:
    """The result of one walk through a space.

    Attributes:
        params: The parameters that were sampled, in the order they were asked for.
        config: Everything the experiment receives.
        held: The parameters that were active but fixed by an override.
    """

    params: dict[str, Value] = field(default_factory=dict)
    config: dict[str, Value] = field(default_factory=dict)
    held: dict[str, Value] = field(default_factory=dict)


class FixedTrial:
    """A Suggester that hands every question, as a domain, to one function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        """Answer for a number from `low` to `high`."""
        return self._ask(name, lambda: Float(low, high, log, step))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> Any:
        """Answer for a whole number from `low` to `high`."""
        return self._ask(name, lambda: Int(low, high, log, step))

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """Answer for one of the choices."""
        return self._ask(name, lambda: Categorical(tuple(choices)))

    def _ask(self, name: str, build: Callable[[], Sampled]) -> Value:
        try:
            return self._answer(name, build())
        except SpaceError as error:
            if error.parameter is not None:
                raise
            raise SpaceError(f"{name}: {error}", parameter=name) from None


class Replay(FixedTrial):
    """Answers from a given point; what is missing or outside is an error."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        super().__init__(self._replay)
        self._params = params
        self._used: dict[str, None] = {}

    def _replay(self, name: str, domain: Sampled) -> Value:
        self._used[name] = None
        if name not in self._params:
            unused = [given for given in self._params if given not in self._used]
            hint = did_you_mean(name, unused).replace("did you mean", "is it what you called")
            raise SpaceError(f"is missing; a value in {domain.text} is needed{hint}")
        return domain.accept(self._params[name])

    def check_all_used(self, besides: Collection[str] = ()) -> None:
        """Raise SpaceError if a value of the point was never asked for, and is not in `besides`."""
        for name in self._params:
            if name not in self._used and name not in besides:
                hint = did_you_mean(name, self._used)
                raise SpaceError(
                    f"{name}: is not active at this point; active: {listing(self._used)}{hint}",
                    parameter=name,
                )


def random_answers(seed: int) -> Suggester:
    """Return a fixed trial that draws each value uniformly on its own scale."""
    rng = random.Random(seed)  # noqa: S311  samples, not secrets
    return FixedTrial(lambda _, domain: domain.pick(rng.random()))


def edge_answers(fraction: float) -> Suggester:
    """Return a fixed trial that always picks the value at one fraction of the range."""
    return FixedTrial(lambda _, domain: domain.pick(fraction))


def probes(run: Callable[[Suggester], Walk], count: int = 64) -> Iterator[Walk]:
    """Walk the corners and `count` random points of a space; the same ones every time."""
    yield run(edge_answers(0.0))
    yield run(edge_answers(1.0))
    for seed in range(count):
        yield run(random_answers(seed))


def every_point(run: Callable[[Suggester], Walk]) -> Iterator[dict[str, Value]]:
    """Yield every point of a finite space.

    The order is that of nested loops: the first parameter varies slowest; numbers ascend and
    choices keep their order.

    Raises:
        SpaceError: A parameter is continuous; the message says how to make it finite.
    """
    prefix: list[int] | None = []
    while prefix is not None:
        odometer = _Odometer(prefix)
        yield run(FixedTrial(odometer.answer)).params
        prefix = odometer.following()


class _Odometer:
    """Answers with the values that a prefix of indices names, and then with first values."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self._prefix = prefix
        self._digits: list[tuple[int, int]] = []

    def answer(self, name: str, domain: Sampled) -> Value:
        size = finite_size(name, domain)
        place = len(self._digits)
        index = self._prefix[place] if place < len(self._prefix) else 0
        self._digits.append((index, size))
        return domain.value_at(index)

    def following(self) -> list[int] | None:
        """Return the prefix of the next point, None after the last."""
        indices = [index for index, _ in self._digits]
        sizes = [size for _, size in self._digits]
        while indices and indices[-1] + 1 == sizes[len(indices) - 1]:
            indices.pop()
        return [*indices[:-1], indices[-1] + 1] if indices else None


def finite_size(name: str, domain: Domain) -> int:
    """Return the number of values; refuse a continuous range and say what to do about it."""
    if domain.size is None:
        raise SpaceError(
            f"{name}: is continuous ({domain.text}), so the space has no end of points; "
            f"give it a step, or a list: `--set {name}=A,B,C`",
            parameter=name,
        )
    return domain.size
