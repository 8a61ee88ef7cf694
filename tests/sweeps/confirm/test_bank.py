"""Who votes with whom: pools that differ, folds that not all have, sizes that are not one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sweeps.confirm.comparison import Trainings
from sweeps.confirm.finalists import ACCURACY
from sweeps.confirm.votes import Ballot, Confirmed, ensemble, gather
from sweeps.errors import UsageError
from sweeps.experiment import TrialSpec
from sweeps.experiments.folds import FoldExperiment
from sweeps.home import Home
from sweeps.records import Conclusions, ConfirmationRecord
from sweeps.render.sections.confirmed import put_in_words
from tests.sweeps.factories import make_info, make_record
from tests.sweeps.voting_experiment import LABELS, experiment

DATA = experiment.prepare(None, 0)
RIGHT = ACCURACY.by_sample
ON_FOLDS = FoldExperiment(experiment, "voting")
EXPERIMENT = "tests.sweeps.voting_experiment:experiment"
SKILLS = {"trial-1": 1.6, "trial-2": 1.4}


def as_it_is(arrays):
    return arrays


def trained(home, name, folds=8, missing=(), change=as_it_is):
    """Return a sweep with the real trainings of its finalists on folds, as confirming leaves it.

    Args:
        home: Where it goes.
        name: Of the sweep; its letters decide the skills.
        folds: How many.
        missing: Folds on which the second finalist was not trained.
        change: What becomes of the arrays of each training.
    """
    number = sum(name.encode())
    ids = [f"20250101-{number:08x}", f"20250102-{number:08x}"]
    data = {**make_info().data, "digest": DATA.digest, "split_digest": DATA.split_digest}
    for id_, called in zip(ids, (name, f"{name}-confirmation"), strict=True):
        home.store(id_).begin(make_info(id=id_, name=called, experiment=EXPERIMENT, data=data))
    store = home.store(ids[1])
    for fold in range(folds):
        for place, (label, skill) in enumerate(SKILLS.items()):
            if place and fold in missing:
                continue
            trial = fold * len(SKILLS) + place
            config = {"skill": skill + number / 1e5, "block": fold}
            spec = TrialSpec(ids[1], trial, 1, 0, config)
            result = ON_FOLDS.train(spec, DATA, lambda epoch, metrics: None)
            size = {"parameters": 100.0 * (place + 1)}
            result = dataclasses.replace(
                result,
                arrays=(arrays := change(result.arrays)),
                metrics={**result.metrics, **size, ACCURACY.metric: float(arrays[RIGHT].mean())},
            )
            params = {"block": fold, "finalist": label}
            store.write(make_record(trial, spec=spec, params=params, result=result))
    confirmed = ConfirmationRecord(ids[1], ids[1], "0000-1", "trial-1", top=2, folds=folds)
    Conclusions(home.store(ids[0])).keep(confirmed)
    return home.get(name)


def confirmed(home, info):
    confirmed = Conclusions(home.store(info.id)).confirmed()
    return Confirmed(info.name, Trainings.read(home.store(confirmed.confirmation)), "trial-1")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def of_another_pool(arrays):
    return {**arrays, "fold_samples": (arrays["fold_samples"] + 1) % len(LABELS)}


def of_a_smaller_pool(arrays):
    return {name: array[:-1] for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_another_pool, "two:trial-1 was judged on other samples: only finalists of one pool"),
        (of_a_smaller_pool, "folds 0, 1, 2, 3 judge 236 of 237 samples"),
    ],
)
def test_finalists_of_different_pools_do_not_vote_together(home, change, said):
    both = [trained(home, "one"), trained(home, "two", change=change)]
    with pytest.raises(UsageError, match=said):
        gather(
            [confirmed(home, info) for info in both], range(8), Ballot(LABELS, ACCURACY, experiment)
        )
    with pytest.raises(UsageError, match=said):
        ensemble(home, both)


def test_classes_that_are_not_those_of_the_samples_are_refused(home):
    one, classes = confirmed(home, trained(home, "one")), np.roll(LABELS, 1)
    with pytest.raises(UsageError, match=r"trial-[12] was judged by other true values than"):
        gather([one], range(8), Ballot(classes, ACCURACY, experiment))


def test_a_sweep_that_kept_no_predictions_cannot_vote_with_one_that_did(home):
    def without(arrays):
        return {name: array for name, array in arrays.items() if name != "fold_predictions"}

    both = [trained(home, "one"), trained(home, "two", change=without)]
    with pytest.raises(UsageError, match="keeps no predictions on folds"):
        ensemble(home, both)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ({"folds": 8}, {"folds": 12}, range(8)),
        ({"folds": 12}, {"folds": 12, "missing": [5]}, [*range(4), *range(8, 12)]),
        ({"folds": 12, "missing": [0, 3]}, {"folds": 16, "missing": [15]}, range(4, 12)),
    ],
)
def test_those_vote_on_the_repeats_that_all_of_them_have_whole(home, first, second, counts):
    infos = [trained(home, "one", **first), trained(home, "two", **second)]
    votes = ensemble(home, infos)[0]
    assert votes.folds == len(counts) == 8
    shares = []
    for info in infos:
        one = confirmed(home, info)
        for label in SKILLS:
            results = [record.result for record in one.trainings.of(label, list(counts))]
            shares.append([result.arrays["fold_predictions"].astype(float) for result in results])
            samples = np.array([result.arrays["fold_samples"] for result in results])
    right = np.mean(shares, axis=0).argmax(axis=2) == LABELS[samples]
    everyone = next(vote for vote in votes.votes if vote.ensemble == "all 4")
    assert everyone.accuracy.value == pytest.approx(right.mean())


def test_with_one_repeat_in_common_nobody_votes(home):
    infos = [trained(home, "one", 8), trained(home, "two", 12, missing=[4])]
    with pytest.raises(UsageError, match="one, two: 4 folds are whole for all finalists, 8 are"):
        ensemble(home, infos)


def test_members_of_unequal_size_cost_the_sum_of_theirs(home):
    (found,) = ensemble(home, [trained(home, "one")])
    single, (vote,) = found.single, found.votes
    assert vote.parameters == 300.0
    sizes = [row[5] for row in put_in_words(found).rows]
    assert sizes == ["1.0x", f"{300 / single.parameters:.1f}x"]
