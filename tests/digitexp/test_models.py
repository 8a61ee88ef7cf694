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
    assert count_parameters(TrialConfig(), 400, 10) == 10_575


@pytest.fixture(autouse=True)
def _tensorflow(request):
    if request.node.get_closest_marker("tensorflow"):
        from digitexp.training.tensorflow_setup import set_up_tensorflow

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
    model = build_model(config, 400, 10)
    assert [layer.name for layer in model.layers] == layers
    assert model.count_params() == count_parameters(config, 400, 10)
    assert len(model.losses) == (2 if config.l2 else 0)
    rates = [layer.rate for layer in model.layers if "dropout" in layer.name]
    assert rates == [rate for rate in config.dropout_rates if rate]


@pytest.mark.tensorflow
def test_the_configuration_reaches_the_layers_and_the_optimizer():
    config = TrialConfig(
        units=(7,), activation="tanh", kernel_initializer="he_normal", clipnorm=0.5, l2=0.125,
        learning_rate=0.25,
    )  # fmt: skip
    model = build_model(config, 5, 3)
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
    first, second = (build_model(TrialConfig(units=(6, 5)), 4, 3) for _ in range(2))
    weights = model_weights(first)
    assert list(weights)[:2] == ["hidden_1/kernel", "hidden_1/bias"]
    set_weights(second, weights)
    images = np.random.default_rng(0).random((9, 4), dtype=np.float32)
    np.testing.assert_array_equal(first(images).numpy(), second(images).numpy())


@pytest.mark.tensorflow
def test_weights_of_another_shape_are_refused():
    weights = model_weights(build_model(TrialConfig(units=(6,)), 4, 3))
    with pytest.raises(ValueError, match="this model takes"):
        set_weights(build_model(TrialConfig(units=(7,)), 4, 3), weights)


@pytest.mark.tensorflow
def test_the_summary_is_a_table_with_the_parameters():
    text = describe_model(build_model(TrialConfig(), 400, 10))
    assert "10,575" in text
    assert max(map(len, text.splitlines())) <= 72
