"""Sources of other packages; Keras reads its own folder, filled here, or fails to download."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from digitexp.data import load_source
from tests.digitexp.data.conftest import write_idx_folder


def test_the_digits_of_scikit_learn_are_read():
    source = load_source("sklearn-digits")
    assert source.images.shape == (1797, 8, 8)
    assert set(np.unique(source.images * 16)) == set(range(17))
    assert source.labels[:10].tolist() == list(range(10))
    assert source.policies == ("pixels divided by 16",)
    assert source.test is None


CODE = """
import json, sys
from digitexp.data import DataError, load_source
fashion = load_source("fashion_mnist")
try:
    load_source("mnist")
except DataError as error:
    message = str(error)
facts = [fashion.name, fashion.images.shape, fashion.class_names, fashion.digest, message]
print(json.dumps(facts))
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_keras_data_sets_are_read_and_a_failed_download_names_the_other_way(parts, tmp_path):
    for name in ("train_images", "test_images"):
        parts[name] = np.pad(parts[name], ((0, 0), (4, 4), (4, 4)))
    folder = tmp_path / "keras" / "datasets" / "fashion-mnist"
    folder.parent.mkdir(parents=True)
    write_idx_folder(folder, packed=True, **parts)
    nowhere = dict.fromkeys(("https_proxy", "http_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **nowhere, "KERAS_HOME": str(tmp_path / "keras")},
        capture_output=True,
        text=True,
        check=True,
    )
    name, shape, class_names, digest, message = json.loads(done.stdout)
    assert (name, shape) == ("fashion_mnist", [300, 28, 28])
    assert class_names[0] == "T-shirt/top"
    assert digest == load_source(str(folder)).digest
    assert message.startswith("mnist: found no data, because Keras could not load it")
    assert "name a folder with the four IDX files" in message
    assert done.stderr == ""
