import pickle
from collections import Counter
from math import nan

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from search_spaces.space import Component
from sweeps.experiment import Stop
from sweeps.study.samplers import TrialPruner, make_pruner, told_to


def watching(pruner, direction, trial, told):
    return TrialPruner(pruner, "score", direction, trial, told)


def prunes(judge, epoch, value):
    return judge(epoch, {"score": value}) == Stop("pruned")


def finished(number, values):
    trial = create_trial(
        state=TrialState.COMPLETE, value=values[-1], intermediate_values=dict(enumerate(values))
    )
    trial.number = number
    return trial


GOOD = [finished(n, [0.8, 0.9, 0.95]) for n in range(5)]


def test_the_median_pruner_ends_a_trial_that_is_worse_than_the_told_ones():
    pruner = watching(optuna.pruners.MedianPruner(), "maximize", 8, GOOD)
    assert prunes(pruner, 0, 0.1)


def test_the_median_pruner_lets_a_good_trial_go_on():
    pruner = watching(optuna.pruners.MedianPruner(), "maximize", 8, GOOD)
    assert not prunes(pruner, 0, 0.85)


def test_a_pruner_without_history_never_prunes():
    pruner = watching(optuna.pruners.MedianPruner(), "maximize", 3, [])
    assert not any(prunes(pruner, epoch, 0.0) for epoch in range(5))


def test_asha_competes_with_the_rungs_of_earlier_trials():
    asha = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    first = watching(asha, "maximize", 0, [])
    assert not prunes(first, 1, 0.9)
    told = create_trial(
        state=TrialState.COMPLETE,
        value=0.9,
        intermediate_values={1: 0.9},
        system_attrs=dict(first.notes),
    )
    told.number = 0
    assert first.notes == {"completed_rung_0": 0.9}
    assert prunes(watching(asha, "maximize", 1, [told]), 1, 0.1)


def test_minimised_values_are_judged_the_other_way_round():
    pruner = watching(optuna.pruners.MedianPruner(), "minimize", 8, GOOD)
    assert not prunes(pruner, 0, 0.1)


def test_a_value_that_is_no_number_is_not_judged():
    assert watching(optuna.pruners.MedianPruner(), "maximize", 8, GOOD)(0, {"score": nan}) is None


def test_a_copy_that_travelled_to_another_process_gives_the_same_verdict():
    pruner = pickle.loads(
        pickle.dumps(watching(optuna.pruners.MedianPruner(), "maximize", 8, GOOD))
    )
    assert prunes(pruner, 0, 0.1)


def pruned_in_optuna(choice, told, number, curve):
    """Return the epoch that ends a trial if an ordinary study holds all that is told."""
    study = optuna.create_study(direction="minimize", study_name="snapshot")
    known = {trial.number: trial for trial in told}
    for before in range(number):
        study.add_trial(known.get(before) or create_trial(state=TrialState.RUNNING))
    pruner, trial = make_pruner(choice), study.ask()
    study.pruner = pruner
    for epoch, value in enumerate(curve):
        trial.report(value, epoch)
        if trial.should_prune():
            return epoch
    return None


PRUNERS = {
    "median": {},
    "hyperband": {},
    "asha": {"reduction_factor": 2},
    "optuna.pruners.PercentilePruner": {"percentile": 40.0},
    "optuna.pruners.WilcoxonPruner": {},  # asks for the best trial
    "tests.sweeps.study.test_pruning.ByPlace": {},
}


class ByPlace(optuna.pruners.BasePruner):
    """Compares with the last complete trial, which it finds by its number."""

    def prune(self, study, trial):
        ended = [t for t in study.trials if t.state == TrialState.COMPLETE]
        assert study.trials[trial.number].state == TrialState.RUNNING
        assert [t.number for t in study.trials] == list(range(len(study.trials)))
        if not ended or not study.best_trial.params:
            return False
        other = study.trials[ended[-1].number].intermediate_values
        return trial.intermediate_values[trial.last_step] > other[trial.last_step]


@pytest.mark.parametrize("name", PRUNERS)
def test_a_snapshot_gives_the_verdicts_of_an_ordinary_study(name):
    choice, random = Component(name, PRUNERS[name]), np.random.default_rng(0)
    told, ends = [], Counter()
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for number in range(60):
        seen = [trial for trial in told if trial.number < number - 3]  # the others are in flight
        curve = random.random() + 1 / np.arange(1, 28) + random.normal(0, 0.05, 27)
        pruner = make_pruner(choice)
        judge = TrialPruner(pruner, "score", "minimize", number, told_to(pruner, seen))
        ended = next((e for e, v in enumerate(curve) if prunes(judge, e, float(v))), None)
        assert ended == pruned_in_optuna(choice, seen, number, curve.tolist())
        ends[ended is None] += 1
        epochs = dict(enumerate(curve[: None if ended is None else ended + 1].tolist()))
        trial = create_trial(
            state=TrialState.COMPLETE if ended is None else TrialState.PRUNED,
            value=float(curve[-1]) if ended is None else None,
            params={"x": 0.5},
            distributions=space,
            intermediate_values=epochs,
            system_attrs=dict(judge.notes),
        )
        trial.number = number
        told.append(trial)
    assert min(ends[True], ends[False]) > 5, "some are ended, others are not"
    assert all(trial.params for trial in told), "what the sampler sees is left as it is"
