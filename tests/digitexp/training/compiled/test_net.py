from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from digitexp.activations import ACTIVATIONS
from digitexp.chain import Chain, Dense, Layer, Loss, Normalization, Optimizer
from digitexp.training.compiled.net import CompiledNet, Data, one_thread
from tests.digitexp.training.compiled.drawn import draw

CLIPPING = ({}, {"clipnorm": 0.5}, {"clipvalue": 0.01}, {"global_clipnorm": 0.5})


@pytest.mark.parametrize("seed", range(30))
def test_the_gradient_is_that_of_finite_differences(seed):
    """With penalties, smoothing and the dropout of the first step; few samples, for few kinks."""
    case = draw(seed)
    case = replace(case, samples=5, optimizer=Optimizer(beta_1=0.875))
    net, data, (_, _, (order, *_)) = case.net(), case.whole(), case.data()
    first = net.weights.copy()

    def loss(weights):
        net.weights[:], net.moments[:], net.step = weights, 0, 0
        return net.train_epoch(data, order, case.samples, 0.0)[0]

    loss(first)
    gradient = net.moments[: first.size] * 8  # the first moment after one step is an eighth of it
    trains = {layer.name: layer.trains for layer in case.chain.layers}
    learns = np.concatenate([
        np.full(shape, trains[name.split("/")[0]]).ravel()
        for name, shape in case.chain.shapes().items()
    ])  # fmt: skip
    assert (gradient[~learns] == 0).all()
    h = 1e-6
    places = np.flatnonzero(learns & (np.abs(first) > h))  # |w| has a kink at 0
    for place in np.random.default_rng(seed).permutation(places)[:40]:
        step = np.zeros_like(first)
        step[place] = h
        slope = (loss(first + step) - loss(first - step)) / (2 * h)
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-8), place


def small_net(activation="relu", dropout=0.0, **clipping):
    chain = Chain(6, (
        Dense("hidden_1", 9, activation, dropout, l2=2**-10),
        Dense("hidden_2", 5, activation),
        Dense("output", 3),
    ))  # fmt: skip
    weights = chain.initial_weights("he_normal", 1)
    return CompiledNet(chain, Optimizer(**clipping), weights, 1)


def samples(n=40):
    generator = np.random.default_rng(2)
    return Data.of(generator.normal(size=(n, 6)), generator.integers(0, 3, n))


def train(net, epochs=1, batch_size=16, rate=0.01, seed=5):
    """Return the loss of each epoch."""
    orders = (np.random.default_rng((seed, net.step)).permutation(40) for _ in range(epochs))
    return [net.train_epoch(samples(), order, batch_size, rate)[0] for order in orders]


def test_it_learns():
    net, data = small_net(dropout=0.1), samples()

    def accuracy():
        return np.mean(net.evaluate(data)[1].argmax(axis=1) == data.labels)

    before = accuracy()
    first, *_, last = train(net, epochs=90)
    assert last < first / 2
    assert accuracy() > 0.8 > before


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_weight_that_is_nan_makes_the_next_loss_and_all_answers_none(activation, dropout):
    net = small_net(activation, dropout)
    for place in range(net.weights.size):
        net = small_net(activation, dropout)
        net.weights[place] = np.nan
        logits, penalty = net.forward(samples().samples)
        assert np.isnan(logits).any(axis=1).all()
        is_of_first_kernel = place < 6 * 9  # the only one with a penalty
        assert np.isnan(penalty) == is_of_first_kernel
        assert not np.isfinite(train(net)[0])


@pytest.mark.parametrize("clipping", CLIPPING)
def test_a_moment_that_is_nan_is_seen_in_the_next_loss(clipping):
    size = small_net().weights.size
    for place in range(0, 2 * size, 7):
        net = small_net(**clipping)
        net.moments[place] = np.nan
        train(net)
        assert np.isnan(net.weights[place % size])
        assert not np.isfinite(train(net)[0])


@pytest.mark.parametrize("clipping", CLIPPING)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_gradient_that_overflows_is_seen_in_the_next_loss(activation, clipping):
    """The hidden unit is 0 and flat: the loss is a number, its derivative infinity times 0."""
    chain = Chain(1, (Dense("hidden_1", 1, activation), Dense("output", 10)))
    kernel = np.full((1, 10), np.finfo("f4").max)
    kernel[0, 0] *= -1
    weights = {
        "hidden_1/kernel": np.zeros((1, 1)), "hidden_1/bias": np.full(1, -60.0),
        "output/kernel": kernel, "output/bias": np.zeros(10),
    }  # fmt: skip
    net = CompiledNet(chain, Optimizer(**clipping), weights, 1)
    zero = np.zeros(1, np.int64)
    one = Data.of(np.ones((1, 1)), zero)
    assert net.train_epoch(one, zero, 1, 0.01)[0] == pytest.approx(np.log(10))
    assert np.isnan(net.weights).any()
    assert not np.isfinite(net.train_epoch(one, zero, 1, 0.01)[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("clipping", CLIPPING)
def test_a_loss_is_never_a_number_again_once_a_weight_is_none(activation, clipping):
    net, losses, broken = small_net(activation, **clipping), [], []
    for _ in range(12):
        broken.append(np.isnan(net.weights).any())
        losses.append(train(net, rate=3e38)[0])
    assert not np.isfinite(
        [loss for loss, is_so in zip(losses, broken, strict=True) if is_so]
    ).any()
    assert broken == sorted(broken)
    assert broken[-1]


def test_a_sample_that_is_nan_makes_the_loss_none():
    for place in range(0, 240, 11):
        data = samples()
        data.samples.flat[place] = np.nan
        loss, _ = small_net().train_epoch(data, np.arange(40), 16, 0.01)
        assert not np.isfinite(loss)


@pytest.mark.parametrize("clipping", CLIPPING)
def test_the_same_seed_gives_the_same_bits(clipping):
    one, other = small_net(dropout=0.3, **clipping), small_net(dropout=0.3, **clipping)
    assert train(one, 3) == train(other, 3)
    np.testing.assert_array_equal(one.weights, other.weights)


def test_a_net_goes_on_from_weights_moments_and_step_to_the_bit():
    whole, rest = (small_net(dropout=0.3, clipnorm=0.5) for _ in range(2))
    train(whole, 2)
    rest.weights[:], rest.moments[:], rest.step = whole.weights, whole.moments, whole.step
    assert whole.step == 6
    assert train(rest) == train(whole)
    np.testing.assert_array_equal(rest.weights, whole.weights)
    np.testing.assert_array_equal(rest.moments, whole.moments)


def test_order_and_seed_of_dropout_decide():
    found = {train(small_net(), seed=seed)[0] for seed in range(3)}
    assert len(found) == 3
    chain = small_net(dropout=0.3).chain
    weights = chain.initial_weights("he_normal", 1)
    nets = [CompiledNet(chain, Optimizer(), weights, seed) for seed in (1, 2, 2**40)]
    assert len({train(net)[0] for net in nets}) == 3


def test_weights_go_out_and_in_by_name():
    net, other = small_net(), small_net()
    train(net)
    found = net.named_weights()
    assert [(name, array.shape) for name, array in found.items()] == [*net.chain.shapes().items()]
    other.give({"hidden_2/bias": found["hidden_2/bias"]})
    assert (other.named_weights()["hidden_2/bias"] == found["hidden_2/bias"]).all()
    assert (other.named_weights()["hidden_1/kernel"] != found["hidden_1/kernel"]).any()
    other.give(found)
    np.testing.assert_array_equal(other.weights, net.weights)
    images = samples().samples
    np.testing.assert_array_equal(other.forward(images)[0], net.forward(images)[0])


def test_asking_for_answers_changes_nothing():
    net = small_net(dropout=0.5)
    images = samples().samples
    before = images.copy(), net.weights.copy(), net.step
    first, again = net.forward(images)[0], net.forward(images)[0]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(net.weights, before[1])
    assert net.step == before[2]


def test_layers_that_do_not_learn_keep_their_weights():
    chain = small_net(dropout=0.2).chain
    first, *others = chain.layers
    for frozen in ((first,), tuple(chain.layers), tuple(others)):
        layers = tuple(replace(one, trains=one not in frozen) for one in chain.layers)
        weights = chain.initial_weights("he_normal", 1)
        net = CompiledNet(replace(chain, layers=layers), Optimizer(global_clipnorm=0.1), weights, 1)
        train(net, 2)
        for name, array in net.named_weights().items():
            is_frozen = name.split("/")[0] in {one.name for one in frozen}
            assert np.array_equal(array, weights[name]) == is_frozen, name


def test_products_take_one_thread():
    train(small_net())
    with one_thread():
        threads = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    assert threads
    assert set(threads) == {1}


@pytest.mark.parametrize(
    ("labels", "order", "message"),
    [
        ([0, 1, 3], [0, 1, 2], "labels may go from 0 to 2, but go from 0 to 3"),
        ([0, -1, 2], [0, 1, 2], "labels may go from 0 to 2, but go from -1 to 2"),
        ([0, 1, 2], [0, 1, 3], "places in the order may go from 0 to 2, but go from 0 to 3"),
        ([0, 1], [0, 1], r"labels have the shape \(2,\), but the net takes \(3,\)"),
        (np.zeros((3, 3)), [0, 1, 2], r"labels have the shape \(0,\), but the net takes \(3,\)"),
    ],
)
def test_what_would_be_read_or_written_elsewhere_is_refused(labels, order, message):
    net = small_net()
    before, data = net.weights.copy(), Data.of(samples(3).samples, np.array(labels))
    with pytest.raises(ValueError, match=message):
        net.train_epoch(data, np.array(order), 2, 0.01)
    np.testing.assert_array_equal(net.weights, before)


def test_data_of_another_width_or_number_are_refused():
    data = samples()
    for wrong, message in (
        (Data.of(np.zeros((40, 1)), data.labels), r"samples .* \(40, 1\), .* takes \(40, 6\)"),
        (data._replace(counts=np.ones(3, "f4")), r"counts .* \(3,\), .* takes \(40,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            small_net().train_epoch(wrong, np.arange(40), 16, 0.01)
        with pytest.raises(ValueError, match=message):
            small_net().evaluate(wrong)
    net = small_net()
    net.chain = replace(net.chain, loss=Loss("mean_squared_error"))
    with pytest.raises(ValueError, match=r"targets .* \(0, 0\), .* takes \(40, 3\)"):
        net.train_epoch(data._replace(labels=np.empty(0, np.int64)), np.arange(40), 16, 0.01)


def test_what_an_epoch_gives_is_what_each_sample_gave_before_its_step():
    net, data, order = small_net(), samples(), np.random.default_rng(0).permutation(40)
    before = net.forward(data.samples)[0]
    _, given = net.train_epoch(data, order, 100, 0.01)
    np.testing.assert_allclose(given, before[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("over", ["batch", "layer"])
def test_a_normalised_net_goes_on_from_its_state_to_the_bit(over):
    chain = Chain(6, (
        Layer("first", 6, dropout=0.2),
        Dense("hidden", 9),
        Normalization("norm", 9, "relu", over=over),
        Dense("output", 3),
    ))  # fmt: skip
    weights = chain.initial_weights("he_normal", 1)
    weights |= {name: np.ones(shape) for name, shape in chain.running().items()}
    whole, rest = (CompiledNet(chain, Optimizer(), weights, 1) for _ in range(2))
    train(whole, 2)
    rest.set_state(whole.state())
    assert train(rest) == train(whole)
    for name, array in whole.named_weights().items():
        np.testing.assert_array_equal(array, rest.named_weights()[name])
    moved = {name: array for name, array in whole.named_weights().items() if "moving" in name}
    assert len(moved) == (2 if over == "batch" else 0)
    assert all((array != 1).any() for array in moved.values())
