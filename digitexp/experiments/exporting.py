"""Writes a Keras model for use elsewhere, and proves that it can be used there.

A `.keras` file names the classes of its layers and has no code. So the code of its README runs in a
process that finds neither this framework nor the experiment, before an export is done.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from digitexp.tensorflow_setup import PACKAGES, known_warnings_ignored
from sweeps.errors import UsageError

FILE: Final = "model.keras"
TOLERANCE: Final = 1e-3
"""How far answers elsewhere may differ, relative to the largest: processes round differently."""

_OURS: Final = ("digitexp", "search_spaces", "sweeps")

_ELSEWHERE: Final = """\
import contextlib, io, json, sys
asked = json.load(sys.stdin)
sys.path[:0] = [asked["folder"]]
sys.path += asked["packages"]
sys.modules.update(dict.fromkeys(asked["absent"]))  # importing one of these fails
names = {}
try:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(asked["code"], names)
        import keras, numpy as np
        with np.load(asked["inputs"]) as archive:
            inputs = {name.removeprefix("of "): archive[name] for name in archive.files}
        if asked["form"] != "dict":
            inputs = [*inputs.values()] if asked["form"] else inputs["0"]
        answers = keras.tree.flatten(names["model"].predict(inputs, verbose=0))
    np.savez(asked["answers"], *map(np.asarray, answers))
except ModuleNotFoundError as error:
    print(f"the code imports {error.name}, which is not there")
    sys.exit(1)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
"""
"""Runs where Keras is alone, and prints why it failed."""


def save(model: Any, folder: Path) -> None:
    """Write a Keras model as `model.keras`."""
    with known_warnings_ignored():
        model.save(folder / FILE)


def combined(
    models: Sequence[Any], weights: Sequence[float], activations: Sequence[str | None], inputs: Any
) -> Any:
    """Return one Keras model: inputs -> every model -> the weighted mean of what they predict.

    Args:
        models: Models with the same inputs; they are renamed, since names are to differ.
        weights: Their weights.
        activations: Activation of the output of each, such as `softmax` of logits; or None.
        inputs: One `keras.Input`, or several in the form that the models take.
    """
    import keras

    parts = []
    for number, model in enumerate(models):
        model.name = f"member_{number}"
        found, activation = model(inputs), activations[number]
        found = keras.layers.Activation(activation)(found) if activation else found
        parts.append(keras.layers.Rescaling(weights[number])(found))
    return keras.Model(inputs, keras.layers.Add()(parts) if len(parts) > 1 else parts[0])


def write_for_elsewhere(
    model: Any,
    folder: Path,
    use: str,
    inputs: np.ndarray | list[np.ndarray] | Mapping[str, np.ndarray],
    imports: str = "keras, numpy as np",
) -> str:
    """Write `model.keras`; return Python code that uses it and has run in an empty process.

    A file that registers layers with Keras is written beside it, and the code imports it.

    Args:
        model: A Keras model.
        folder: Must exist.
        use: Code that uses `model`.
        inputs: Some inputs of the model, for which answers are compared.
        imports: Modules that the code imports.

    Raises:
        UsageError: Elsewhere the model cannot be loaded, or gives other answers.
    """
    try:
        save(model, folder)
    except Exception as error:
        raise _only_here(f"{type(error).__name__}: {error}") from error
    own = "".join(f"import {name}  # registers its layers\n" for name in _with_modules(folder))
    code = f'import {imports}\n{own}model = keras.saving.load_model("{FILE}", compile=False)\n{use}'
    there = _answers_elsewhere(folder, code, inputs)
    with known_warnings_ignored():
        here, again = (_answers(model, inputs) for _ in range(2))
    for before, now, once_more in zip(here, there, again, strict=True):
        if not np.array_equal(before, once_more):
            continue  # it answers otherwise each time
        within = TOLERANCE * max(1.0, float(np.abs(before).max(initial=0.0)))
        if before.shape != now.shape or not np.abs(before - now).max(initial=0.0) <= within:
            raise _only_here("it gives other answers there")
    return code


def _answers(model: Any, inputs: Any) -> list[np.ndarray]:
    import keras

    return [np.asarray(one) for one in keras.tree.flatten(model.predict(inputs, verbose=0))]


def _answers_elsewhere(folder: Path, code: str, inputs: Any) -> list[np.ndarray]:
    """Run code where Keras is alone; return what its `model` answers to these inputs."""
    form = "dict" if isinstance(inputs, Mapping) else "list" if isinstance(inputs, list) else ""
    listed = inputs if form else [inputs]
    given = inputs if form == "dict" else {str(n): one for n, one in enumerate(listed)}
    specs = [importlib.util.find_spec(name) for name in PACKAGES]
    with TemporaryDirectory() as scratch:
        asked: dict[str, Any] = {
            "folder": str(folder.resolve()),
            "packages": [
                str(Path(spec.origin).parents[1]) for spec in specs if spec and spec.origin
            ],
            "absent": _OURS,
            "code": code,
            "inputs": f"{scratch}/inputs.npz",
            "form": form,
            "answers": f"{scratch}/answers.npz",
        }
        np.savez(asked["inputs"], **{f"of {name}": one for name, one in given.items()})
        ran = subprocess.run(  # noqa: S603 - Python itself, and lines of ours
            [sys.executable, "-I", "-B", "-c", _ELSEWHERE],
            input=json.dumps(asked),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise _only_here(ran.stdout.strip() or f"its process ended with {ran.returncode}")
        with np.load(asked["answers"]) as archive:
            return [archive[name] for name in archive.files]


def _with_modules(folder: Path) -> list[str]:
    """Return the modules that register what a model is made of; copy those that are one file."""
    import keras

    with zipfile.ZipFile(folder / FILE) as archive:
        described = json.loads(archive.read("config.json"))
    described.pop("compile_config", None)  # the loss of the training is not loaded
    found = set()
    for name in _registered_names(described):
        module = getattr(keras.saving.get_registered_object(name), "__module__", "keras")
        if module.partition(".")[0] != "keras":
            found.add(module)
    for module in found:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file and "." not in module and "site-packages" not in file:
            shutil.copyfile(file, folder / f"{module}.py")
    return sorted(found)


def _registered_names(described: Any) -> Iterator[str]:
    if isinstance(described, Mapping):
        if isinstance(described.get("registered_name"), str):
            yield described["registered_name"]
        described = list(described.values())
    for one in described if isinstance(described, list) else ():
        yield from _registered_names(one)


def _only_here(reason: str) -> UsageError:
    reason = " ".join(reason.split())
    unknown = re.search(r"Could not locate (\w+ '[^']*')", reason)
    why = f"Keras does not find {unknown[1]} there" if unknown else f"{reason:.300}".rstrip(".")
    return UsageError(
        f"the model cannot be used elsewhere: {why}. Nothing was written. Ways out: build a "
        "functional or Sequential model of Keras's own layers and keras.ops, without Lambda; or "
        "put your classes into a Python file of their own that imports Keras only, each under "
        '@keras.saving.register_keras_serializable("own"), with get_config where it takes '
        "arguments: that file is exported with the model; say `--same-code` once if the trained "
        "weights still fit. Without any change, `sweeps.load(NAME).best().load_model()` gives the "
        "model where your code lies"
    )
