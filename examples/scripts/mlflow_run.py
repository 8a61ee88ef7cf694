"""A script that logs to MLflow itself: parameters, a metric per epoch, a file."""

import argparse
import json

import mlflow
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--alpha", type=float, default=1e-4)
parser.add_argument("--eta0", type=float, default=0.05)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

digits = load_digits()
train_x, val_x, train_y, val_y = train_test_split(
    digits.data / 16, digits.target, test_size=0.25, random_state=0
)
mlflow.set_experiment("digits")
with mlflow.start_run():
    mlflow.log_params(vars(args))
    model = SGDClassifier(
        alpha=args.alpha, learning_rate="constant", eta0=args.eta0, random_state=args.seed
    )
    for epoch in range(5):
        model.partial_fit(train_x, train_y, classes=range(10))
        scores = {"train_acc": model.score(train_x, train_y), "val_acc": model.score(val_x, val_y)}
        mlflow.log_metrics(scores, step=epoch)
    mlflow.log_text(json.dumps(model.coef_.tolist()), "weights.json")
