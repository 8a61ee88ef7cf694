"""Nets of Keras Applications: local weights only, swept, brought back."""

from pathlib import Path

import numpy as np
import pytest

import sweeps
from digitexp.experiments.keras_experiment.applications import (
    NETS,
    build_application,
    check_application,
    experiment,
    images,
)
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve

EXAMPLE = Path(__file__).parents[4] / "examples" / "keras_application.yaml"
DEFAULTS = {name: info.default for name, info in experiment.parameters.items()}
SMALL = {**DEFAULTS, "alpha": 0.35}
DEAR = {
    net: pytest.param(net, marks=pytest.mark.nightly) for net in ("DenseNet121", "EfficientNetB0")
}
"""Those of hundreds of layers, which take seconds to build."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights, as Keras Applications has them: without the top."""
    from digitexp.tensorflow_setup import known_warnings_ignored, start_tensorflow

    start_tensorflow()
    import keras

    body = keras.applications.MobileNetV2(
        alpha=0.35, include_top=False, weights=None, input_shape=(96, 96, 3)
    )
    file = tmp_path_factory.mktemp("body") / "body.weights.h5"
    with known_warnings_ignored():
        body.save_weights(file)
    return file


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"body_weights": "imagenet"},
         r"'imagenet': a name that would be downloaded; give a local file\. Where there is a "
         r"network, run keras\.applications\.MobileNetV2\(weights='imagenet'"),
        ({"body_weights": "imagenet", "net": "VGG16"}, r"keras\.applications\.VGG16"),
        ({"body_weights": "none/here.h5"}, "no file; give a local file"),
        ({"body_weights": __file__}, r"give an \.h5 or \.keras file"),
        ({"frozen_body": True}, "frozen_body is true, but body_weights is not given"),
        ({"net": "VGG16", "alpha": 0.5}, r"alpha is 0\.5, but VGG16 has none"),
    ],
)  # fmt: skip
def test_weights_that_are_not_here_are_refused_with_the_way_to_them(params, message):
    with pytest.raises(ValueError, match=message):
        experiment.check(params)


def test_what_needs_no_file_is_allowed():
    check_application({})
    check_application({"net": "MobileNet", "alpha": 0.5})


def test_images_come_in_the_smallest_size_the_nets_take_without_the_test_part():
    pixels, labels = images("sklearn-digits")
    assert pixels.shape == (1797, 32, 32, 1)
    assert pixels.dtype == np.float32
    assert (pixels.min(), len(labels)) == (0.0, 1797)
    assert images(None)[0].shape == (5000, 32, 32, 1)  # digits20 has 5000 more to test with


@pytest.mark.tensorflow
def test_a_body_of_other_weights_is_refused_by_name(weights):
    with pytest.raises(
        ValueError, match=r"Keras cannot load it into MobileNetV2 \{'alpha': 0\.5\}"
    ):
        build_application({**SMALL, "alpha": 0.5, "body_weights": str(weights)})


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_frozen_body_keeps_its_weights_to_the_bit_and_an_open_one_does_not(weights):
    experiment.warm_up()
    start = build_application({**SMALL, "body_weights": str(weights)})
    body = [np.asarray(v) for v in start.get_layer("mobilenetv2_0.35_32").weights]
    x, y = images("sklearn-digits")
    import keras

    keras.utils.set_random_seed(0)  # a sweep sets that of the trial
    for frozen in (True, False):
        model = build_application(
            {**SMALL, "body_weights": str(weights), "frozen_body": frozen, "head_units": 8}
        )
        head = np.asarray(model.get_layer("head").kernel).copy()
        model.run_eagerly = True  # one step, for which a graph would be dear
        model.fit(x[:32], y[:32], batch_size=32, verbose=0)
        after = [np.asarray(v) for v in model.get_layer("mobilenetv2_0.35_32").weights]
        same = [np.array_equal(a, b) for a, b in zip(body, after, strict=True)]
        assert all(same) is frozen
        assert not np.array_equal(head, np.asarray(model.get_layer("head").kernel))


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("net", [DEAR.get(net, net) for net in NETS])
def test_every_net_is_built_and_answers_logits(net):
    model = build_application({**DEFAULTS, "net": net, "image_side": 40, "classes": 7})
    assert model(np.zeros((2, 32, 32, 1), np.float32)).shape == (2, 7)


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_the_example_space_is_swept_from_a_local_file(tmp_path, make_home, weights, monkeypatch):
    small = tmp_path / "small.npz"
    pixels, labels = images("sklearn-digits")
    np.savez(small, images=pixels[:150, ::4, ::4, 0], labels=labels[:150])
    space = tmp_path / "application.yaml"
    space.write_text(EXAMPLE.read_text().replace("epochs: 10", "epochs: 1"))
    body = next(line for line in EXAMPLE.read_text().splitlines() if "body_weights:" in line)
    monkeypatch.chdir(tmp_path)
    options = {"home": tmp_path / "home", "data": str(small)}
    with pytest.raises(ValueError, match=r"body_weights is 'mobilenet_v2.*: no file"):
        resolve(RunOptions(space=str(space), **options))
    Path(body.split(": ")[1]).with_suffix(".weights.h5").write_bytes(weights.read_bytes())
    space.write_text(space.read_text().replace("_no_top.h5", "_no_top.weights.h5"))
    options["home"] = make_home()
    sweep = sweeps.run(str(space), trials=1, workers=0, progress="quiet", **options)
    assert [row.state for row in sweep.rows()] == ["COMPLETE"]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_trained_net_can_be_served_and_exported(tmp_path):
    config = {"alpha": 0.35, "image_side": 48}
    data = experiment.prepare("sklearn-digits", 0)
    parts = data.payload
    model = build_application({**DEFAULTS, **config})
    from digitexp.experiments.keras_experiment.models import named_weights

    experiment.export(config, named_weights(model), data.info, tmp_path)
    import keras

    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = parts.validation[0][:4]
    # Through a body at random little comes out, so that only the relation says something.
    logits = experiment.predict(model, x)
    np.testing.assert_allclose(again(x, training=False), logits, rtol=1e-3, atol=0)
