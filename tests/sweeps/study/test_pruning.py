import pickle
from math import nan

import optuna
from optuna.trial import TrialState, create_trial

from sweeps.experiment import Stop
from sweeps.study.samplers import TrialPruner


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
