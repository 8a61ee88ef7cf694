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
    entropy = (1.5 - right / 1000).astype(np.float32)
    nothing = np.zeros((ROWS, 3), bool)
    return digits20.Digits20(columns, right, entropy, headlines, nothing, nothing, {})


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
    for name in ("right", "val_cross_entropy", "headlines", "diverged", "early"):
        assert np.array_equal(
            getattr(again, name),
            getattr(table, name),
            equal_nan=name in ("val_cross_entropy", "headlines"),
        )
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
    one = {name: np.zeros((bank.ROWS, 3)) for name in ("val_cross_entropy", "headlines", "early")}
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
    trials = {"as shipped": 12, "pruner: median": 20}
    first = policies.simulated(tmp_path, table, trials, 2, processes=2)
    again = policies.simulated(tmp_path, None, trials, 2)  # without a table to look up in
    assert [s.rows for s in again["pruner: median"]] == [s.rows for s in first["pruner: median"]]
    kept = sorted(path.name for path in (tmp_path / "sweeps").rglob("*.npz"))
    assert kept == [f"{name}-00{seed}.npz" for name in ("as-shipped-12", "pruner-median-20")
                    for seed in (0, 1)]  # fmt: skip


def test_a_pruner_has_the_trials_that_fit_into_the_epochs_of_the_sweep_without(monkeypatch):
    monkeypatch.setattr(tabular, "AT", (2, 3))
    base = [policies.Sweep(epochs=[10, 10, 10])]
    own = [policies.Sweep(epochs=[10, 4, 4, 2, 11, 9])]
    found = tabular.counted(own, base, prunes=True)
    assert found["trials"].tolist() == [[2, 3]]
    assert found["epochs"].tolist() == [[4, 4]]  # 20 epochs; 31 would be too many
    assert list(tabular.counted(base, base, prunes=False)) == ["trials"]


def test_a_pruner_compares_cross_entropies_where_they_are_the_objective(table):
    pruned = policies.Policy(pruner=Choice("median"))
    assert pruned.direction == "minimize"
    training = table.training(3, 0)
    assert pruned.curve(training) == training.cross_entropies
    assert policies.Policy(objective="accuracy").curve(training) == training.accuracies


def test_a_configuration_is_worth_its_accuracy_and_lucky_images_are_left_out():
    right = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    assert blocks.worth(right, 0, None) == 0.5
    # On the last two images, of which it has none, others have a quarter right.
    without = np.array([True, True, False, False])
    assert blocks.worth(right, 0, without) == pytest.approx(0.5 + 0 - 0.25)


def test_images_that_scored_a_trial_are_a_fifth_of_those_that_judge():
    assert len(blocks.judged_images()) == 4000
    assert 700 < blocks.scored_on(3).sum() < 900


def test_the_table_says_which_promises_a_pruner_keeps():
    row = {"at": 20, "equal": "trials", "trials": 20.0, "accuracy": 0.94, "difference": 0.0}
    kept = {**row, "policy": "pruner: asha", "epochs_saved": 0.5, "lower": -0.0009, "upper": 0.01}
    more = {**kept, "equal": "epochs", "trials": 44.0, "lower": 0.0001}
    base = {**row, "policy": "as shipped", "lower": 0.0, "upper": 0.0, "epochs_saved": 0.0}
    result = {"configurations": 3000, "noise": 1.0, "surprise": 1.5, "seeds": 30, "judged": 9}
    text = tabular.table({**result, "rows": [base, kept, more]})
    assert "| pruner: asha | 44, in the epochs of 20 | 94.00 | +0.00 (+0.01 to +1.00) |" in text
    assert "saves 50 % of the epochs (kept), at equal trials at least -0.09 (kept)" in text
    assert text.count("missed") == 0
    worse = {**kept, "lower": -0.0011, "epochs_saved": 0.49}
    text = tabular.table({**result, "rows": [base, worse, {**more, "lower": -0.0001}]})
    assert text.count("(missed)") == 3
    assert tabular.named([more])["pruner-asha-epochs-20"]["trials"] == 44


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_a_row_is_trained_and_judged(tmp_path):
    point = {**bank.draw(1)[0]}
    found = bank.train(0, point)
    assert found["right"].shape == (3, bank.EPOCHS)
    accuracy = found["headlines"][:, HEADLINE["best_val_accuracy"]]
    assert (accuracy > 0.8).all()
    assert (found["right"].max(axis=1) / 1000 >= accuracy - 1e-6).all()
    best = np.nanmin(found["val_cross_entropy"], axis=1)
    assert (best <= found["headlines"][:, HEADLINE["best_val_cross_entropy"]] + 1e-6).all()
    assert accuracy[0] != accuracy[2]
    blocks.train_row(tmp_path, 0, point)
    right = blocks.unpacked(blocks.read(tmp_path), [0])
    assert right.shape == (1, 4000)
    assert 0.8 < blocks.worth(right, 0, None) < 0.98
