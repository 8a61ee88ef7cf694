"""Files of weights: which one is meant, and what is refused."""

import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.weights_files import check_initial_weights, find_weights, read_hdf5, read_weights


def test_a_folder_stands_for_the_one_file_of_weights_in_it(tmp_path):
    np.savez(tmp_path / "weights.npz", a=np.zeros(1))
    (tmp_path / "history.csv").write_text("")
    assert find_weights(tmp_path) == tmp_path / "weights.npz"
    (tmp_path / "model.keras").write_text("")
    with pytest.raises(ValueError, match=r"holds weights\.npz and model\.keras"):
        find_weights(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("away.npz", "there is no such file"),
        ("empty", r"the folder holds none of weights\.npz, model\.weights\.h5, model\.keras"),
        ("notes.txt", r"received a \.txt file"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=message):
        check_initial_weights(TrialConfig(initial_weights=str(tmp_path / name)))


def test_without_initial_weights_nothing_is_looked_for():
    check_initial_weights(TrialConfig())


def test_arrays_are_read_by_layer(tmp_path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "w.npz", **{"hidden_1/kernel": kernel, "hidden_1/bias": kernel[0]})
    layers = read_weights(tmp_path / "w.npz")
    assert list(layers) == ["hidden_1"]
    np.testing.assert_array_equal(layers["hidden_1"]["kernel"], kernel)


@pytest.mark.slow
def test_a_file_in_which_hdf5_loops_for_ever_is_refused():
    file = Path(__file__).parents[1] / "fuzz" / "corpus" / "weights" / "loops.weights.h5"
    with pytest.raises(ValueError, match="did not come to an end within 2 s"):
        read_hdf5(file, 2)


def test_images_are_not_taken_for_weights(tmp_path):
    np.savez(tmp_path / "data.npz", images=np.zeros((2, 8, 8)), labels=np.zeros(2))
    with pytest.raises(ValueError, match="the array 'images' names no layer"):
        read_weights(tmp_path / "data.npz")


class Bomb:
    def __reduce__(self):
        raise AssertionError("it was unpickled")

    def __setstate__(self, state):
        raise AssertionError("it was unpickled")


def test_pickles_are_refused_and_not_opened(tmp_path):
    np.savez(tmp_path / "w.npz", **{"hidden_1/kernel": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="pickled Python objects"):
        read_weights(tmp_path / "w.npz")
    (tmp_path / "w.weights.h5").write_bytes(pickle.dumps({"hidden_1": 1}))
    with pytest.raises(ValueError, match="no weights can be read"):
        read_weights(tmp_path / "w.weights.h5")


@pytest.mark.parametrize("name", ["torn.weights.h5", "torn.keras", "torn.npz", "other.keras"])
def test_damaged_files_are_refused_by_name(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 50)
    if name.startswith("other"):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=name):
        read_weights(file)


def test_hdf5_files_of_other_programs_are_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "legacy.h5", "w") as archive:
        archive["dense/kernel:0"] = np.zeros(3)
    with pytest.raises(ValueError, match="no weights of Keras 3's layout"):
        read_weights(tmp_path / "legacy.h5")
    with h5py.File(tmp_path / "nameless.h5", "w") as archive:
        archive["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(ValueError, match="layers/dense/vars has no name of its layer"):
        read_weights(tmp_path / "nameless.h5")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"frozen_layers": 1}, "frozen_layers is 1, but initial_weights is not given"),
        ({"initial_weights": "a.npz", "frozen_layers": 3, "units_1": 4, "units_2": 4},
         "there are 2 layers before the output layer"),
        ({"initial_weights": "a.npz", "frozen_layers": 9, "architecture": "cnn",
          "filters_1": 4, "filters_2": 4, "convs_per_block": 3, "units_1": 4, "units_2": 4},
         "there are 8 layers before the output layer"),
        ({"initial_weights": 5}, "initial_weights is 5; it must be a text, or none"),
        ({"initial_weights": " "}, "initial_weights is ' '"),
        ({"frozen_layers": -1}, "frozen_layers is -1; it must be an integer from 0"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_before_any_file_is_looked_for(params, message):
    with pytest.raises(ConfigError, match=message):
        TrialConfig.from_params(params)


def keras_layout(file):
    group = file.create_group("layers/dense/vars")
    group.attrs["name"] = "dense"
    return group


def outside(tmp_path, kind):
    """Make a file of weights whose values lie elsewhere."""
    secret = tmp_path / "secret"
    secret.write_bytes(np.arange(4.0).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = np.arange(4.0)
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        group = keras_layout(file)
        match kind:
            case "storage":
                group.create_dataset("0", (4,), "f8", external=[(str(secret), 0, 32)])
            case "virtual":
                layout = h5py.VirtualLayout((4,), "f8")
                layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "kernel", (4,))
                group.create_virtual_dataset("0", layout)
            case "external link":
                group["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "kernel")
            case "soft link":
                file["kernel"] = np.arange(4.0)
                group["0"] = h5py.SoftLink("/kernel")
            case "group link":
                file["layers/more"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("storage", "layers/dense/vars/0 lies in another file"),
        ("virtual", "layers/dense/vars/0 lies in another file"),
        ("external link", "layers/dense/vars/0 is a link to somewhere else"),
        ("soft link", "layers/dense/vars/0 is a link to somewhere else"),
        ("group link", "layers/more is a link to somewhere else"),
    ],
)
def test_weights_that_lie_in_another_file_are_not_read(tmp_path, kind, said):
    with pytest.raises(ValueError, match=said):
        read_weights(outside(tmp_path, kind))
