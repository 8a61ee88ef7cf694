"""One experiment on handwritten digits: parameters in, result out; no Optuna, no MLflow.

Spaces and records name the experiments by paths that are older than their modules' places; these
names are public, and resolve for ever.
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
    "digitexp.on_blocks": "digitexp.experiments.folds",
    "digitexp.keras_experiment": "digitexp.experiments.keras_experiment",
}
"""What a space or a program names -> the module, and with it those inside it."""


class _PublicNames(MetaPathFinder, Loader):
    """Has the import of a public name give the module itself, not a second one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec of our own for public names, and for modules inside them."""
        meant = _meant(name)
        return ModuleSpec(name, self) if meant and importlib.util.find_spec(meant) else None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module that is meant in the place of the empty one that was made."""
        sys.modules[module.__name__] = importlib.import_module(_meant(module.__name__))


def _meant(name: str) -> str:
    """Return where the module of a name lies; empty if the name is none of these."""
    for public, place in PUBLIC_NAMES.items():
        if name == public or name.startswith(f"{public}."):
            return place + name.removeprefix(public)
    return ""


sys.meta_path.insert(0, _PublicNames())  # before what would find the files of such a package again
