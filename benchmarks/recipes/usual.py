"""The usual recipe: Optuna, `model.fit`, per-epoch MLflow metrics and two plots.

More than one process: as Optuna's documentation says, the same program on one study in a database,
each ending when the study has as many trials as asked for.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib as mpl
import mlflow
import numpy as np
import optuna

mpl.use("Agg")

from matplotlib import pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from benchmarks.recipes.command import Search, note_trial, parse, side_by_side
from benchmarks.recipes.network import build_network, make_callbacks
from benchmarks.recipes.search import NAME, RUNS, STUDY, optimize, suggest


class LogEpochs(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Logs every metric of an epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Log one epoch to the active run."""
        mlflow.log_metrics({name: float(value) for name, value in (logs or {}).items()}, step=epoch)


def log_plots(history: dict[str, list[float]], labels: np.ndarray, answers: np.ndarray) -> None:
    """Log loss and accuracy curves and the confusion matrix as pictures."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, metric in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(history[metric], label="training")
        axis.plot(history[f"val_{metric}"], label="validation")
        axis.set(xlabel="epoch", ylabel=metric)
        axis.legend()
    mlflow.log_figure(figure, "curves.png")
    plt.close(figure)
    display = ConfusionMatrixDisplay.from_predictions(labels, answers)
    mlflow.log_figure(display.figure_, "confusion_matrix.png")
    plt.close(display.figure_)


def main() -> None:
    """Run the search in the working folder."""
    search = parse()
    mlflow.set_tracking_uri(RUNS)
    mlflow.set_experiment(NAME)
    optuna.create_study(storage=STUDY, study_name=NAME, direction="maximize")
    if search.processes == 1:
        work(search)
    else:
        side_by_side(work, search)()


def work(search: Search, number: int = 0) -> None:
    """Try configurations until the study has as many as asked for."""
    images, labels, validation_images, validation_labels = search.digits()
    mlflow.set_tracking_uri(RUNS)
    mlflow.set_experiment(NAME)

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        params = suggest(trial, search.space)
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(trial.params)
            model = build_network(params)
            history = model.fit(
                images,
                labels,
                batch_size=params["batch_size"],
                epochs=search.epochs,
                validation_data=(validation_images, validation_labels),
                callbacks=[*make_callbacks(), LogEpochs()],
                verbose=0,
            ).history
            answers = model.predict(validation_images, verbose=0).argmax(axis=1)
            log_plots(history, validation_labels, answers)
            best = float(max(history["val_accuracy"]))
            mlflow.log_metric("best_val_accuracy", best)
        note_trial(trial.params, len(history["loss"]), best)
        return best

    keras.utils.set_random_seed(search.seed * 1000 + number)
    optimize(objective, search, number)


if __name__ == "__main__":
    main()
