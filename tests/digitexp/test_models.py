import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.models import (
    build_model,
    count_parameters,
    describe_model,
    model_weights,
    set_weights,
)


def test_the_tutorials_net_has_10575_parameters():
    assert count_parameters(TrialConfig(), (20, 20), 10) == 10_575


@pytest.fixture(autouse=True)
def _tensorflow(request):
    if request.node.get_closest_marker("tensorflow"):
        from digitexp.tensorflow_setup import set_up_tensorflow

        set_up_tensorflow()


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("config", "layers"),
    [
        (TrialConfig(), ["hidden_1", "hidden_2", "output"]),
        (TrialConfig(dropout=(0.2, 0.0)), ["hidden_1", "dropout_1", "hidden_2", "output"]),
        (
            TrialConfig(dropout=(0.3, 0.2), l2=0.01),
            ["hidden_1", "dropout_1", "hidden_2", "dropout_2", "output"],
        ),
        (TrialConfig(units=(50, 20)), ["hidden_1", "hidden_2", "output"]),
        (TrialConfig(units=(25, 15, 10)), ["hidden_1", "hidden_2", "hidden_3", "output"]),
        (TrialConfig(units=()), ["output"]),
    ],
)
def test_the_nets_of_the_tutorial_come_out_exactly(config, layers):
    model = build_model(config, (20, 20), 10)
    assert [layer.name for layer in model.layers] == layers
    assert model.count_params() == count_parameters(config, (20, 20), 10)
    assert len(model.losses) == (2 if config.l2 else 0)
    rates = [layer.rate for layer in model.layers if "dropout" in layer.name]
    assert rates == [rate for rate in config.dropout_rates if rate]


@pytest.mark.tensorflow
def test_the_configuration_reaches_the_layers_and_the_optimizer():
    config = TrialConfig(
        units=(7,), activation="tanh", kernel_initializer="he_normal", clipnorm=0.5, l2=0.125,
        learning_rate=0.25,
    )  # fmt: skip
    model = build_model(config, (1, 5), 3)
    hidden, output = model.layers
    assert hidden.activation.__name__ == "tanh"
    assert type(hidden.kernel_initializer).__name__ == "HeNormal"
    assert output.activation.__name__ == "linear"
    assert output.kernel_regularizer is None
    assert model.optimizer.clipnorm == 0.5
    assert float(model.optimizer.learning_rate.numpy()) == 0.25
    assert model.loss.from_logits
    penalty = 0.125 * np.sum(np.square(model_weights(model)["hidden_1/kernel"]))
    assert float(model.losses[0]) == pytest.approx(penalty, rel=1e-6)


@pytest.mark.tensorflow
def test_weights_travel_by_name_into_a_second_model():
    first, second = (build_model(TrialConfig(units=(6, 5)), (2, 2), 3) for _ in range(2))
    weights = model_weights(first)
    assert list(weights)[:2] == ["hidden_1/kernel", "hidden_1/bias"]
    set_weights(second, weights)
    images = np.random.default_rng(0).random((9, 4), dtype=np.float32)
    np.testing.assert_array_equal(first(images).numpy(), second(images).numpy())


@pytest.mark.tensorflow
def test_weights_of_another_shape_are_refused():
    weights = model_weights(build_model(TrialConfig(units=(6,)), (2, 2), 3))
    with pytest.raises(ValueError, match="this model takes"):
        set_weights(build_model(TrialConfig(units=(7,)), (2, 2), 3), weights)


@pytest.mark.tensorflow
def test_the_summary_is_a_table_with_the_parameters():
    text = describe_model(build_model(TrialConfig(), (20, 20), 10))
    assert "10,575" in text
    assert max(map(len, text.splitlines())) <= 72


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "config",
    [
        TrialConfig(architecture="cnn"),
        TrialConfig(architecture="cnn", filters=(3, 4, 5), units=(7,), kernel_size=5, l2=0.1),
        TrialConfig(architecture="cnn", filters=(2,) * 4, units=(), convs_per_block=2),
        TrialConfig(architecture="cnn", filters=(4, 6), batch_norm=True, conv_dropout=0.2),
    ],
)
@pytest.mark.parametrize("image_shape", [(20, 20), (8, 5)])
def test_convolutional_nets_have_the_layers_and_weights_that_are_said(config, image_shape):
    model = build_model(config, image_shape, 10)
    assert model.output_shape == (None, 10)
    assert model.input_shape == (None, image_shape[0] * image_shape[1])
    names = [layer.name for layer in model.layers]
    assert sum(name.startswith("conv_") for name in names if "dropout" not in name) == (
        len(config.filters) * config.convs_per_block
    )
    assert sum(name.startswith("pool_") for name in names) == len(config.filters)
    assert sum(name.startswith("norm_") for name in names) == 2 * config.batch_norm
    assert sum(name.startswith("conv_dropout_") for name in names) == 2 * (config.conv_dropout > 0)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == count_parameters(config, image_shape, 10)
    hidden = len(config.units) + len(config.filters) * config.convs_per_block
    assert len(model.losses) == (hidden if config.l2 else 0)
    set_weights(model, model_weights(model))


@pytest.mark.tensorflow
def test_a_kernel_sees_neighbours_of_the_image_not_of_its_row():
    config = TrialConfig(architecture="cnn", filters=(4,), kernel_size=3, units=())
    model = build_model(config, (6, 4), 3)
    image = np.zeros((1, 24), np.float32)
    convolution = model.get_layer("conv_1_1")
    lit = image.copy()
    lit[0, 2 * 4 + 1] = 1.0  # row 2, column 1
    before, after = (
        np.asarray(convolution(model.get_layer("pixels")(x)))[0].sum(axis=-1) for x in (image, lit)
    )
    rows, columns = np.nonzero(before != after)
    assert set(rows) <= {1, 2, 3}
    assert set(columns) <= {0, 1, 2}


@pytest.mark.tensorflow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_sixteen_bits_are_for_the_arithmetic_only(precision):
    model = build_model(TrialConfig(precision=precision), (20, 20), 10)
    hidden, output = model.layers[0], model.layers[-1]
    assert (hidden.compute_dtype, hidden.variable_dtype) == (precision[6:], "float32")
    assert (output.compute_dtype, output.variable_dtype) == ("float32", "float32")
    assert build_model(TrialConfig(), (20, 20), 10).layers[0].compute_dtype == "float32"


@pytest.mark.tensorflow
def test_smoothed_labels_are_a_mixture_of_the_class_and_all_classes():
    model = build_model(TrialConfig(label_smoothing=0.2), (2, 2), 3)
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 0.1, 0.2]], np.float32)
    labels = np.array([0, 2])
    targets = 0.8 * np.eye(3)[labels] + 0.2 / 3
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(
        model.loss(labels, logits), -(targets * log_p).sum(axis=1), rtol=1e-5
    )
