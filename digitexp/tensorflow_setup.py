"""TensorFlow as every training here needs it: quiet, one thread, deterministic.

TensorFlow reads its settings once, when it starts, so they are made before its first import.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache, wraps
from importlib.machinery import ModuleSpec
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import Any, Final

_CHATTER = re.compile(
    rb"[IWE]\d{4} .*\b\w+\.cc:\d+\]|WARNING: All log messages before absl::InitializeLog"
)


PACKAGES: Final = ("tensorflow", "keras")
"""The packages that train; the extra `keras` brings them."""
UNUSED: Final = ("IPython", "jax", "matplotlib", "sklearn")
"""Packages that Keras and TensorFlow import where they are installed, for parts that train nothing.

With pandas, which `model.fit` takes data from, they are half of the time of the import, and 250 MB.
"""
PAUSE: Final = 10.0
"""Seconds between two searches for garbage, per second that the last one took."""

_left_out: list[str] = []
_searched = SimpleNamespace(end=0.0, seconds=0.0)
_kernels = SimpleNamespace(are_shared=False, draws=0, trainings=0)
MOST_TRAININGS: Final = 100
"""For so many trainings in a row kernels are kept: each new width of a layer adds some, 0.5 MB."""


class MissingTensorFlowError(ImportError):
    """TensorFlow or Keras is needed and not installed."""


def check_tensorflow() -> None:
    """Raise MissingTensorFlowError if TensorFlow or Keras is not installed; imports neither."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        names, verb = " and ".join(missing), "is" if len(missing) == 1 else "are"
        raise MissingTensorFlowError(
            f"this needs {names}, which {verb} not installed; install the extra 'keras'"
        )


def leave_out(packages: Sequence[str]) -> None:
    """Let TensorFlow and Keras, when they are imported, find none of these packages.

    This is for processes that only train, and have no other thread that may import one of them
    meanwhile. Afterwards everyone finds the packages as before; but what Keras has that needs one
    of them says that it is not installed.
    """
    _left_out[:] = packages


@contextlib.contextmanager
def _hidden() -> Iterator[None]:
    """Hide what is to be left out, unless it has been imported already."""
    names = [name for name in _left_out if name not in sys.modules]
    hidden: dict[str, Any] = dict.fromkeys(names)  # None: an import raises ModuleNotFoundError
    sys.modules.update(hidden)
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


@lru_cache(maxsize=1)
def set_up_tensorflow() -> None:
    """Import TensorFlow and Keras once per process (4 to 8 s), with our settings.

    One thread: handing these small operations to a second one takes longer than computing them.
    If TensorFlow already runs in this process, its number of threads stays as it is.

    No operation runs yet: a process without TensorFlow's threads can be forked, and its children
    share the import.

    Raises:
        MissingTensorFlowError: It is not installed.
    """
    check_tensorflow()
    _set_environment()
    with without_chatter():
        with _hidden():
            import keras  # noqa: F401  # here, where its messages are held back
            import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # raised when TensorFlow is already initialised
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")  # it warns of a new graph per trial, which is wanted
    # Between trainings garbage is collected. TensorFlow's own objects stay anyway; frozen, they are
    # no longer searched: 0.02 s instead of 0.18, and forked workers go on sharing them.
    gc.collect()
    gc.freeze()


def begin_training(seed: int) -> None:
    """Drop the graphs and layer names of earlier trainings in this process, and set all seeds.

    Searching for garbage in a process that has imported much takes as long as a small training. So
    at most a tenth of the time goes into it: a long training is always followed by a search.
    """
    import keras

    keeps = _may_keep_kernels()
    _kernels.trainings = _kernels.trainings + 1 if keeps else 0
    with _without_clearing() if keeps else contextlib.nullcontext():
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(seed)
    _kernels.are_shared, _kernels.draws = False, 0
    began = perf_counter()
    if began - _searched.end >= PAUSE * _searched.seconds:
        gc.collect()
        _searched.end = perf_counter()
        _searched.seconds = _searched.end - began


def share_kernels() -> None:
    """Let the next training find what TensorFlow has prepared to run the graphs of this one.

    That saves 50 ms of CPU where its graphs serve both. A training with graphs of its own must not
    ask for it: they would fill the memory.
    """
    _kernels.are_shared = True


def _may_keep_kernels() -> bool:
    """Whether no kernel has a random state of TensorFlow's, which a seed has to reset."""
    from tensorflow.python.framework import random_seed

    if not hasattr(random_seed.get_seed, "__wrapped__"):  # every such operation asks it for a seed
        get_seed = random_seed.get_seed

        @wraps(get_seed)
        def counted(op_seed: int | None) -> Any:
            _kernels.draws += 1
            return get_seed(op_seed)

        random_seed.get_seed = counted
        return False
    is_full = _kernels.trainings >= MOST_TRAININGS
    return bool(_kernels.are_shared and not _kernels.draws and not is_full)


@contextlib.contextmanager
def _without_clearing() -> Iterator[None]:
    """Let TensorFlow keep its kernels, which Keras and every seed have it drop."""
    from tensorflow.python.eager import context

    own = context.pywrap_tfe
    clear = own.TFE_ContextClearCaches
    own.TFE_ContextClearCaches = lambda _: None
    try:
        yield
    finally:
        own.TFE_ContextClearCaches = clear


def _set_environment() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # By itself TensorFlow decides by the processor. Convolutions take half the time with it.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Data that are made of tensors start its threads before `set_up_tensorflow` can say how many.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def quiet_when_imported() -> None:
    """Make the first import of TensorFlow find our settings and hold back its log lines.

    This is for modules of users, which may import TensorFlow before this package does.
    """
    if "tensorflow" not in sys.modules:
        _set_environment()
        if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow and Keras as the other finders do, and makes their import quiet."""

    def __init__(self) -> None:
        self._open = list(PACKAGES)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec with a quiet loader, once each; None for every other module."""
        if name not in self._open:
            return None
        self._open.remove(name)
        if not self._open:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                with without_chatter(), _hidden():
                    execute(module)

            setattr(spec.loader, "exec_module", execute_quietly)  # noqa: B010
        return spec


@lru_cache(maxsize=1)
def start_tensorflow() -> None:
    """Set TensorFlow up and start its threads and devices, once per process."""
    set_up_tensorflow()
    with without_chatter():
        import tensorflow as tf

        _share_gpus(tf)
        tf.constant(0.0)  # initialises the devices here, where their messages are held back


def _share_gpus(tf: Any) -> None:
    """Take only the GPU memory that a training needs: several processes may share a GPU.

    `set_up_tensorflow` cannot do this: to look for GPUs starts CUDA, which no forked process could
    use.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # raised when TensorFlow already uses it
            tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def known_warnings_ignored() -> Iterator[None]:
    """Ignore the warning that Keras 3.15 with TensorFlow 2.21 on NumPy 2 gives in every training.

    `Model.get_weights` lets NumPy copy TensorFlow's variables, whose `__array__` does not know the
    `copy` argument yet; the copies are right.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Raise MemoryError in place of TensorFlow's own error, which only TensorFlow's users know."""
    start_tensorflow()
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError(str(error)) from error


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back the output to file descriptor 2, then pass on the lines that are not TensorFlow's.

    TensorFlow's C++ libraries log a few lines before they read TF_CPP_MIN_LOG_LEVEL, past
    `sys.stderr`.
    Nothing is swallowed when the body fails.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # started without a stderr
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(kept, 2)
            held.seek(0)
            lines = [line for line in held if failed or not _CHATTER.match(line)]
            os.write(kept, b"".join(lines))
            os.close(kept)
