"""A training loop as Lightning's, with its CSV logger: rows of training and validation by turns."""

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--weight-decay", type=float, default=1e-4)
parser.add_argument("--max-epochs", type=int, default=6)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--save-dir", type=Path, default="logs")
args = parser.parse_args()

random = np.random.default_rng(args.seed)
digits = load_digits()
train_x, val_x, train_y, val_y = train_test_split(
    digits.data / 16, digits.target, test_size=0.25, random_state=0
)
weights, step = np.zeros((64, 10)), 0
folder = args.save_dir / "version_0"
folder.mkdir(parents=True)
with (folder / "metrics.csv").open("w", newline="") as file:
    logger = csv.DictWriter(file, ["epoch", "step", "train_loss", "val_acc"])
    logger.writeheader()
    for epoch in range(args.max_epochs):
        for batch in np.split(random.permutation(len(train_x)), range(50, len(train_x), 50)):
            scores = train_x[batch] @ weights
            chances = np.exp(scores - scores.max(1, keepdims=True))
            chances /= chances.sum(1, keepdims=True)
            loss = -np.log(chances[range(len(batch)), train_y[batch]]).mean()
            chances[range(len(batch)), train_y[batch]] -= 1
            gradient = train_x[batch].T @ chances / len(batch) + args.weight_decay * weights
            weights -= args.lr * gradient
            step += 1
        accuracy = ((val_x @ weights).argmax(1) == val_y).mean()
        logger.writerow({"epoch": epoch, "step": step, "train_loss": loss})
        logger.writerow({"epoch": epoch, "step": step, "val_acc": accuracy})
        file.flush()
np.savez(folder / "weights.npz", weights=weights)
np.savez(args.save_dir / "predictions.npz", labels=val_y, predictions=(val_x @ weights).argmax(1))
