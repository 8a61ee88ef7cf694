"""LightGBM on 8x8 digits, with its own log of each iteration."""

import argparse

import lightgbm
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--num-leaves", type=int, default=15)
parser.add_argument("--feature-fraction", type=float, default=0.8)
parser.add_argument("--rounds", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--model", default="model.txt", help="file to write")
args = parser.parse_args()

digits = load_digits()
train_x, val_x, train_y, val_y = train_test_split(
    digits.data, digits.target, test_size=0.25, random_state=0
)
data = lightgbm.Dataset(train_x, train_y)
booster = lightgbm.train(
    {
        "objective": "multiclass",
        "num_class": 10,
        "learning_rate": args.learning_rate,
        "num_leaves": args.num_leaves,
        "feature_fraction": args.feature_fraction,
        "seed": args.seed,
        "num_threads": 1,
        "deterministic": True,
        "verbose": -1,
    },
    data,
    num_boost_round=args.rounds,
    valid_sets=[lightgbm.Dataset(val_x, val_y, reference=data)],
    valid_names=["valid"],
    callbacks=[lightgbm.log_evaluation(1)],
)
booster.save_model(args.model)
