import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from digitexp.tensorflow_setup import (
    _share_gpus,
    memory_errors,
    set_up_tensorflow,
    without_chatter,
)

CHATTER = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795565873.737397 8067 cudart_stub.cc:31] Could not find cuda drivers.\n"
)


def test_only_tensorflows_own_lines_are_held_back(capfd):
    with without_chatter():
        os.write(2, CHATTER + b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_nothing_is_held_back_when_the_import_fails(capfd):
    def fail():
        with without_chatter():
            os.write(2, CHATTER)
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == CHATTER.decode()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_new_process_starts_quietly_with_one_thread():
    code = (
        "from digitexp.tensorflow_setup import set_up_tensorflow\n"
        "set_up_tensorflow(); set_up_tensorflow()\n"
        "import tensorflow as tf\n"
        "threads = tf.config.threading\n"
        "print(threads.get_intra_op_parallelism_threads())\n"
        "print(threads.get_inter_op_parallelism_threads())\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=120, env=environment,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1\n1\n", "")


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_tensorflow_that_already_runs_is_accepted():
    code = (
        "import tensorflow as tf; tf.constant(0.0)\n"
        "from digitexp.tensorflow_setup import set_up_tensorflow\n"
        "set_up_tensorflow()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True)


@pytest.mark.tensorflow
def test_a_tensor_too_large_for_the_memory_is_a_memory_error():
    set_up_tensorflow()
    import tensorflow as tf

    with pytest.raises(MemoryError, match="OOM when allocating"), memory_errors():
        tf.zeros([10**7, 10**7])  # 400 TB


def test_every_gpu_is_shared_but_one_that_is_in_use_already():
    shared = []

    def grow(gpu, wanted):
        if gpu == "in use":
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        shared.append((gpu, wanted))

    experimental = SimpleNamespace(set_memory_growth=grow)
    gpus = {"GPU": ["one", "in use", "two"]}
    config = SimpleNamespace(list_physical_devices=gpus.__getitem__, experimental=experimental)
    _share_gpus(SimpleNamespace(config=config))
    assert shared == [("one", True), ("two", True)]
