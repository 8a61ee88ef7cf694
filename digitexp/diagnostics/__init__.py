"""What a classifier gets wrong: by class, by pair of classes, image by image; NumPy only."""

from digitexp.diagnostics.answers import Answers
from digitexp.diagnostics.classification import ClassAccuracy, class_accuracies
from digitexp.diagnostics.files import evaluation_files
from digitexp.diagnostics.mistakes import Mistake, find_mistakes
from digitexp.diagnostics.pairs import ConfusedPair, confused_pairs

__all__ = [
    "Answers",
    "ClassAccuracy",
    "ConfusedPair",
    "Mistake",
    "class_accuracies",
    "confused_pairs",
    "evaluation_files",
    "find_mistakes",
]
