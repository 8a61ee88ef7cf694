"""Rules on the course of a training, at and around their thresholds."""

import numpy as np
import pytest

from digitexp.checklist import check_training
from tests.digitexp.checklist.runs import counts_of, history_of, make_run


def found(**given):
    return {finding.name: finding for finding in check_training(make_run(**given))}


def test_a_sound_training_has_nothing_to_look_at():
    findings = found()
    assert {finding.verdict for finding in findings.values()} == {"ok"}
    assert list(findings) == [
        "history", "loss falls", "learns", "over-fitting", "worst class",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["loss", "val_loss", "learning_rate"])
def test_a_history_without_a_column_is_all_there_is_to_say(missing):
    history = history_of([1.0, 0.5])
    run = make_run(history=history)
    del history[missing]
    (only,) = check_training(run)
    assert (only.name, only.verdict, only.seen) == ("history", "fail", f"no {missing}")


def test_a_diverged_training_fails_by_its_loss():
    findings = found(history=history_of([2.0, np.nan]), outcome="diverged", stop_reason="diverged")
    failed = {name for name, finding in findings.items() if finding.verdict == "fail"}
    assert failed == {"history", "loss falls"}
    assert "diverged in epoch 2" in findings["history"].seen


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [([2.0, 1.0], "ok"), ([2.0, 3.0, 2.0], "fail"), ([2.0, 2.1], "fail"), ([2.0], "warn")],
)
def test_a_loss_must_end_below_where_it_began(losses, verdict):
    assert found(losses=losses)["loss falls"].verdict == verdict


@pytest.mark.parametrize(("right", "verdict"), [(10, "fail"), (12, "fail"), (13, "ok")])
def test_guessing_is_not_learning(right, verdict):
    # Of 1000 images in ten classes, three standard errors above 10 % are 12.8 %.
    finding = found(rights=(right,) * 10)["learns"]
    assert (finding.verdict, finding.seen[-15:]) == (verdict, "guessing: 10.0%")


@pytest.mark.parametrize(
    ("rights", "train_accuracy", "verdict", "words"),
    [((93,) * 10, 0.999, "warn", "gap 6.9 points, more than its noise of 1.6 (95 %, 1000 images)"),
     ((93,) * 10, 0.949, "ok", "gap 1.9 points, more than its noise of 1.6"),
     ((60,) * 10, 0.625, "ok", "gap 2.5 points, within its noise of 3.0"),
     ((93,) * 10, 0.90, "ok", "gap -3.0 points")],
)  # fmt: skip
def test_a_gap_counts_where_it_is_more_than_its_noise(rights, train_accuracy, verdict, words):
    finding = found(rights=rights, train_accuracy=train_accuracy)["over-fitting"]
    assert finding.verdict == verdict
    assert words in finding.seen


@pytest.mark.parametrize(("right", "verdict"), [(86, "ok"), (82, "warn"), (0, "fail")])
def test_the_worst_class_is_named_with_what_it_is_taken_for(right, verdict):
    finding = found(rights=(93, 93, right, *[93] * 7))["worst class"]
    assert finding.verdict == verdict
    assert finding.seen.startswith(
        f"2: recall {right}.0%, {right} of 100; {100 - right} taken for 3"
    )


def test_classes_that_are_as_poor_and_classes_taken_for_as_often_are_all_named():
    counts = counts_of((90, 90, *[98] * 8))
    counts[0, 3], counts[0, 4] = 5, 5
    assert found(counts=counts)["worst class"].seen == (
        "0 (as poor: 1): recall 90.0%, 90 of 100; 5 taken for 3, as many for 4; the other classes "
        "97.1%"
    )


def test_a_class_that_is_poor_by_chance_is_called_so_in_one_training_of_twenty_at_most():
    drawn = np.random.default_rng(0).binomial(100, 0.93, (500, 10))
    poor = sum(found(rights=rights)["worst class"].verdict != "ok" for rights in drawn)
    assert 5 <= poor <= 35  # 5 % of 500 at most, but for the noise of this count


def test_a_class_that_does_not_validate_is_not_the_worst():
    counts = np.zeros((10, 10), int)
    counts[:2, :2] = [[9, 1], [3, 7]]
    assert found(counts=counts)["worst class"].seen.startswith("1: recall 70.0%, 7 of 10")
