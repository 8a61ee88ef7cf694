"""Cross-validation of a support vector machine, which ends with one line for people."""

import argparse

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--C", type=float, default=1.0, help="inverse of the regularisation")
parser.add_argument("--kernel", choices=["rbf", "poly", "sigmoid"], default="rbf")
parser.add_argument("--gamma", type=float, default=0.03)
parser.add_argument("--seed", type=int, default=0, help="shuffles the folds")
args = parser.parse_args()

x, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), SVC(C=args.C, kernel=args.kernel, gamma=args.gamma))
folds = StratifiedKFold(5, shuffle=True, random_state=args.seed)
scores = cross_val_score(model, x, y, cv=folds)
print(f"Accuracy: {scores.mean():.4f} (+/- {scores.std():.4f}) of {len(scores)} folds")
