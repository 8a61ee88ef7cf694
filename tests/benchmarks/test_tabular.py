"""The table of our own trainings, and the policies judged by it."""

import numpy as np
import pytest

from benchmarks import tabular
from benchmarks.tables import bank, blocks, digits20, files, policies
from sweeps.study.samplers import Choice

ROWS = 120
HEADLINE = {name: number for number, name in enumerate(bank.HEADLINES)}


@pytest.fixture(scope="module")
def table():
    """The first rows with curves that are better the nearer the learning rate is to 1e-3."""
    points = bank.draw(ROWS)
    columns = np.array([[float(p.get(name, np.nan)) for name in digits20.NAMES] for p in points])
    goodness = 0.95 - 0.2 * np.abs(np.log10(columns[:, 0] / 1e-3))
    right = np.zeros((ROWS, 3, bank.EPOCHS), np.uint16)
    right[:] = 1000 * goodness[:, None, None] * np.linspace(0.5, 1, bank.EPOCHS)
    headlines = np.zeros((ROWS, 3, len(bank.HEADLINES)))
    headlines[..., HEADLINE["best_val_accuracy"]] = goodness[:, None]
    headlines[..., HEADLINE["best_val_cross_entropy"]] = 1 - goodness[:, None]
    headlines[..., HEADLINE["train_seconds"]] = 2.0
    loss = np.ones(right.shape, np.float32)
    nothing = np.zeros((ROWS, 3), bool)
    return digits20.Digits20(columns, right, loss, headlines, nothing, nothing, {})


def test_the_first_configurations_are_the_same_however_many_are_drawn():
    assert bank.draw(30)[:10] == bank.draw(10)
    assert list(bank.space().baselines.values()) == bank.draw(2)
    assert bank.own_split(0) != 0


def test_a_configuration_is_its_own_nearest(table):
    assert table.points == bank.draw(ROWS)
    assert [table.nearest(point) for point in table.points] == list(range(ROWS))


def test_the_nearest_has_as_many_layers_and_the_same_batch_size(table):
    point = {**table.points[5], "learning_rate": 1e-2, "dropout": 0.5}
    found = table.points[table.nearest(point)]
    for name in ("hidden_layers", "batch_size"):
        assert found[name] == point[name]


def test_a_table_is_the_same_after_it_is_published(table, tmp_path, monkeypatch):
    path = tmp_path / "table.npz"
    digest = digits20.publish(table, path)
    monkeypatch.setattr(digits20, "PUBLISHED", path)
    monkeypatch.setattr(digits20, "SHA256", digest)
    again = digits20.published()
    assert again.points == table.points
    assert again.training(7, 1).accuracies == table.training(7, 1).accuracies
    monkeypatch.setattr(digits20, "SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="SHA-256 of its arrays is"):
        digits20.published()


@pytest.mark.slow
def test_a_build_goes_on_from_what_is_published(tmp_path):
    digits20.unpack(tmp_path)
    again, table = digits20.of_folder(tmp_path), digits20.published()
    assert again.points == table.points
    for name in ("right", "val_loss", "headlines", "diverged", "early"):
        assert np.array_equal(getattr(again, name), getattr(table, name), equal_nan=name[-1] == "s")
    assert {row: bits.tobytes() for row, bits in again.judged.items()} == {
        row: bits.tobytes() for row, bits in table.judged.items()
    }


@pytest.mark.slow
def test_what_is_published_is_whole_and_small():
    found = digits20.published()
    assert found.points == bank.draw(len(found.columns))
    assert len(found.judged) >= 50
    assert digits20.PUBLISHED.stat().st_size < 3_000_000
    best = int(np.argmax(found.headlines[:, : bank.OWN, 0].mean(axis=1)))
    epochs = found.training(best, 0).accuracies
    assert max(epochs) >= found.training(best, 0).accuracy - 1e-6 > 0.93


def test_a_folder_is_read_up_to_its_first_gap(tmp_path):
    one = {name: np.zeros((bank.ROWS, 3)) for name in ("val_loss", "headlines", "early")}
    part = {**one, "right": np.zeros((bank.ROWS, 3, bank.EPOCHS)), "diverged": one["early"]}
    with pytest.raises(RuntimeError, match="no part is trained yet"):
        bank.read(tmp_path)
    for first in (0, 20, 60):
        files.save(tmp_path / "rows" / f"{first:05d}.npz", part)
    points, arrays = bank.read(tmp_path)
    assert len(points) == len(arrays["right"]) == 40


@pytest.mark.parametrize("objective", ["accuracy", "cross-entropy"])
def test_a_sweep_on_the_table_finds_good_configurations(table, objective):
    policy = policies.Policy(objective=objective)
    sweep = policies.simulate(table, policy, 30, seed=0)
    worth = table.headlines[:, 0, HEADLINE["best_val_accuracy"]]
    assert worth[sweep.chosen(policy, 30)] >= np.quantile(worth, 0.95)
    assert sweep.epochs == [bank.EPOCHS] * 30
    assert sweep.seconds == pytest.approx([2.0] * 30)


def test_a_pruner_saves_epochs_and_never_has_its_pruned_trials_chosen(table):
    policy = policies.Policy(pruner=Choice("median"))
    sweep = policies.simulate(table, policy, 30, seed=0)
    pruned = [epochs < bank.EPOCHS for epochs in sweep.epochs]
    assert any(pruned)
    assert [bool(np.isnan(value)) for value in sweep.values] == pruned
    assert max(s for s, p in zip(sweep.seconds, pruned, strict=True) if p) < 2.0


def test_sweeps_that_a_folder_holds_are_not_run_again(table, tmp_path):
    names = ["accuracy, no pruner", "pruner: median"]
    first = policies.simulated(tmp_path, table, names, 12, 2)
    again = policies.simulated(tmp_path, table, names, 12, 2)  # without a table to look up in
    assert [s.rows for s in again["pruner: median"]] == [s.rows for s in first["pruner: median"]]
    kept = sorted(path.name for path in (tmp_path / "sweeps").rglob("*.npz"))
    assert kept == [f"{name}-00{seed}.npz" for name in ("accuracy-no-pruner", "pruner-median")
                    for seed in (0, 1)]  # fmt: skip


def test_a_configuration_is_worth_its_accuracy_and_lucky_images_are_left_out():
    right = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    assert blocks.worth(right, 0, None) == 0.5
    # On the last two images, of which it has none, others have a quarter right.
    without = np.array([True, True, False, False])
    assert blocks.worth(right, 0, without) == pytest.approx(0.5 + 0 - 0.25)


def test_images_that_scored_a_trial_are_a_fifth_of_those_that_judge():
    assert len(blocks.judged_images()) == 4000
    assert 700 < blocks.scored_on(3).sum() < 900


def test_the_table_says_what_is_better_and_what_a_pruner_saves():
    row = {"trials": 100, "accuracy": 0.94, "different_rows": 60.0, "difference": 0.0}
    rows = [
        {**row, "policy": "accuracy, no pruner", "lower": 0.0, "upper": 0.0, "epochs_saved": 0.0},
        {**row, "policy": "split: its own", "lower": 0.001, "upper": 0.01, "epochs_saved": 0.0},
        {**row, "policy": "pruner: asha", "lower": -0.01, "upper": -0.001, "epochs_saved": 0.5},
    ]
    result = {"configurations": 3000, "noise": 1.0, "surprise": 1.5, "seeds": 30, "judged": 9}
    text = tabular.table({**result, "rows": rows})
    assert "split: its own: better than 'accuracy, no pruner' after 100 trials" in text
    assert "pruner: asha: worse than 'accuracy, no pruner' after 100 trials, saves 50%" in text


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_a_row_is_trained_and_judged(tmp_path):
    point = {**bank.draw(1)[0]}
    found = bank.train(0, point)
    assert found["right"].shape == (3, bank.EPOCHS)
    accuracy = found["headlines"][:, HEADLINE["best_val_accuracy"]]
    assert (accuracy > 0.8).all()
    assert (found["right"].max(axis=1) / 1000 >= accuracy - 1e-6).all()
    assert accuracy[0] != accuracy[2]
    blocks.train_row(tmp_path, 0, point)
    right = blocks.unpacked(blocks.read(tmp_path), [0])
    assert right.shape == (1, 4000)
    assert 0.8 < blocks.worth(right, 0, None) < 0.98
