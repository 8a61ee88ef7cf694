"""Prints nothing but the score, as a step of a pipeline would; options are in a JSON file."""

import json
import sys
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier

settings = {"max_depth": 4, "min_samples_leaf": 1, "max_features": 0.5}
if len(sys.argv) > 1:
    settings |= json.loads(Path(sys.argv[1]).read_text())

x, y = load_wine(return_X_y=True)
forest = RandomForestClassifier(30, oob_score=True, bootstrap=True, random_state=0, **settings)
print(forest.fit(x, y).oob_score_)
