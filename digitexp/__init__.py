"""One experiment on handwritten digits: parameters in, result out; no Optuna, no MLflow.

Spaces and records name the experiments by import paths that are older than the modules' places.
These names are public and always resolve.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

PUBLIC_NAMES: Final = {
    "digitexp.experiment": "digitexp.experiments.digits",
    "digitexp.keras_experiment": "digitexp.experiments.keras_experiment",
}
"""Public name -> module; a name inside a public name resolves inside the module."""


class _PublicNames(MetaPathFinder, Loader):
    """Makes the import of a public name return the module itself, not a second copy of it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec with this loader for public names and for modules inside them."""
        meant = _meant(name)
        return ModuleSpec(name, self) if meant and importlib.util.find_spec(meant) else None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module that the import system made by the real one."""
        sys.modules[module.__name__] = importlib.import_module(_meant(module.__name__))


def _meant(name: str) -> str:
    """Return the import path that a public name stands for; empty if the name is not public."""
    for public, place in PUBLIC_NAMES.items():
        if name == public or name.startswith(f"{public}."):
            return place + name.removeprefix(public)
    return ""


sys.meta_path.insert(0, _PublicNames())  # first, or its files would be found and imported again
