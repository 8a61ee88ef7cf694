"""Hides TensorFlow, Keras and h5py from each process that has this folder on its import path."""

import importlib.machinery

HIDDEN = {"tensorflow", "keras", "h5py"}
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name in HIDDEN else find(name, path, target)
)
