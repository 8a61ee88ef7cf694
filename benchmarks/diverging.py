"""Share of proposals in a half of the space where every trial diverges, after 40 trials.

Learning rates above 1e-3 diverge; the best is 5e-4. A sampler that does not learn of diverged
trials (in stock Optuna they are FAIL, which samplers ignore) looks for its optimum in the unknown
half.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.nothing import EPOCHS, METRICS, Nothing
from benchmarks.timing import at_least_one
from sweeps.experiment import Experiment, OnEpoch, PreparedData, TrialResult, TrialSpec

SPACE = Path(__file__).with_name("diverging.yaml")
BOUND = 1e-3
"""Learning rate above which trials diverge."""
LEARNT_AFTER = 40
LIMIT = 0.10
"""Highest allowed mean share of ours."""


class Diverging(Nothing):
    """An experiment that trains nothing; above the bound its last value is NaN."""

    name = "diverging"

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Return constant curves, or one that ends in NaN."""
        score = score_of(spec.config)
        if math.isfinite(score):
            values, outcome = [score] * EPOCHS, "complete"
        else:
            values, outcome = [0.1, math.nan], "diverged"
        return TrialResult(
            outcome=outcome,  # type: ignore[arg-type]
            stop_reason="max_epochs" if outcome == "complete" else "diverged",
            metrics={"score": score} if outcome == "complete" else {},
            history=dict.fromkeys(METRICS, values),
            engine="nothing",
        )


experiment: Experiment = Diverging()


def score_of(params: Mapping[str, Any]) -> float:
    """Return the objective of a point, NaN where it diverges; at most 1."""
    rate = float(params["learning_rate"])
    if rate > BOUND:
        return math.nan
    units, dropout = math.log2(params["units_1"] / 64), float(params["dropout"]) - 0.2
    return 1 - 0.1 * math.log10(rate / 5e-4) ** 2 - 0.01 * units**2 - 0.1 * dropout**2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument(
        "--seeds", type=at_least_one, default=10, help="seeds 0 .. N-1 (default 10)"
    )
    parser.add_argument("--trials", type=at_least_one, default=100, help="a sweep (default 100)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run every contender once for each seed."""
    if options.trials <= LEARNT_AFTER:
        raise RuntimeError(f"--trials {options.trials}: more than {LEARNT_AFTER} are needed")
    with tempfile.TemporaryDirectory(prefix="diverging-") as home:
        contenders: dict[str, Callable[[int], list[float]]] = {
            "ours, ask_ahead 1": lambda s: ours(home, s, options.trials, ask_ahead=1),
            "ours, ask_ahead 8": lambda s: ours(home, s, options.trials, ask_ahead=8),
            "random": lambda s: ours(home, s, options.trials, sampler="random"),
            "stock Optuna, one at a time": lambda s: stock(s, options.trials, 1),
            "stock Optuna, 8 at a time": lambda s: stock(s, options.trials, 8),
        }
        shares = {}
        for name, rates_of in contenders.items():
            print(name, file=sys.stderr)
            shares[name] = [diverging_share(rates_of(seed)) for seed in range(options.seeds)]
    return {"seeds": options.seeds, "trials": options.trials, "shares": shares}


def table(result: dict[str, Any]) -> str:
    """Return mean, smallest and largest share of each contender."""
    lines = [
        f"proposals that diverge, of trials {LEARNT_AFTER} to {result['trials'] - 1}, "
        f"{result['seeds']} seeds",
        "",
        "| contender                   |   mean | lowest | highest |",
        "|-----------------------------|-------:|-------:|--------:|",
    ]
    for name, shares in result["shares"].items():
        mean = statistics.mean(shares)
        lines.append(f"| {name:27} | {mean:6.1%} | {min(shares):6.1%} | {max(shares):7.1%} |")
    worst = max(statistics.mean(s) for n, s in result["shares"].items() if n.startswith("ours"))
    verdict = "kept" if worst < LIMIT else "missed"
    return "\n".join([*lines, "", f"ours at most {worst:.1%} (below {LIMIT:.0%}: {verdict})"])


def diverging_share(rates: list[float]) -> float:
    """Return the share of diverging learning rates among those proposed after the first 40."""
    late = rates[LEARNT_AFTER:]
    return sum(rate > BOUND for rate in late) / len(late)


def ours(
    home: str, seed: int, trials: int, *, ask_ahead: int = 8, sampler: str = "tpe"
) -> list[float]:
    """Run one whole sweep, with MLflow and records; return its learning rates in order."""
    import sweeps

    sweep = sweeps.run(
        str(SPACE),
        trials=trials,
        seed=seed,
        ask_ahead=ask_ahead,
        sampler=sampler,
        workers=0,
        name=f"{sampler}-{ask_ahead}-{seed}",
        home=home,
        progress="quiet",
    )
    return [float(row.params["learning_rate"] or 0) for row in sweep.rows()]


def stock(seed: int, trials: int, ahead: int) -> list[float]:
    """Run Optuna's default sampler by ask and tell; NaN makes a trial FAIL, as in `optimize`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    waiting: list[optuna.Trial] = []
    for _ in range(trials):
        if len(waiting) == ahead:
            _tell(study, waiting.pop(0))
        trial = study.ask()
        trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
        trial.suggest_int("units_1", 8, 128, log=True)
        trial.suggest_float("dropout", 0.0, 0.5)
        waiting.append(trial)
    return [trial.params["learning_rate"] for trial in study.get_trials()]


def _tell(study: Any, trial: Any) -> None:
    import optuna

    score = score_of(trial.params)
    if math.isfinite(score):
        study.tell(trial, score)
    else:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
