"""The code of a registered model: MLflow runs a copy of this file, which lies beside its weights.

Our own code never imports it, so that MLflow may be imported at its top. Where it is served,
this framework and the experiment must be importable.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel

from sweeps.experiments.code import code_of, kept_whole
from sweeps.experiments.loading import check_installed, load_experiment
from sweeps.records import ExperimentCode


def _may_rebuild(code: ExperimentCode, told: dict[str, Any]) -> bool:
    """Whether the code here may rebuild the model; a release counts by its revision alone.

    A later revision of an experiment that ships rebuilds the models of the earlier ones.
    """
    earlier = range(1, code.revision or 1) if not code.files else ()
    if any(replace(code, revision=one).digest in told.get("code", []) for one in earlier):
        return True
    if code.digest not in told.get("code", [code.digest]):
        return False
    is_same = code.identity in told.get("shipped", [code.identity])
    return is_same or kept_whole(code).release is not None


class TrainedModel(PythonModel):  # type: ignore[misc]  # MLflow is untyped
    """The model of one trial, rebuilt by its experiment."""

    def load_context(self, context: Any) -> None:
        """Rebuild the model from configuration and weights; nothing is unpickled."""
        told = json.loads(Path(context.artifacts["config"]).read_text(encoding="utf-8"))
        with np.load(context.artifacts["weights"], allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
        directory = Path(told["directory"]) if told["directory"] else None
        self._experiment: Any = load_experiment(told["experiment"], directory)
        check_installed(self._experiment, told["experiment"])
        code = code_of(told["experiment"], self._experiment)
        if code is not None and not _may_rebuild(code, told):
            raise MlflowException(
                f"the code of {told['experiment']} is not what trained this model: bring that code "
                "back, or train and register anew"
            )
        self._model = self._experiment.load_model(told["config"], weights, told["info"])

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> list[Any]:
        """Return outputs as nested lists; an input that the experiment refuses is a bad request."""
        try:
            answer = self._experiment.predict(self._model, np.asarray(model_input))
        except ValueError as error:
            raise MlflowException(str(error), BAD_REQUEST) from None
        plain: list[Any] = answer.tolist()
        return plain


set_model(TrainedModel())
