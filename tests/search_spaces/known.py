"""What a small experiment says of itself: the other side of `Space.check`."""

from search_spaces.parameters import ParameterInfo
from search_spaces.values import Categorical, Float

PARAMETERS = {
    "learning_rate": ParameterInfo("float", low=1e-8, high=10),
    "batch_size": ParameterInfo("int", low=1, high=65536),
    "hidden_layers": ParameterInfo("int", low=0, high=10),
    "units_{i}": ParameterInfo("int", low=1, high=4096),
    "dropout": ParameterInfo("float", low=0, high=0.95),
    "l2": ParameterInfo("float", low=0, high=10),
    "activation": ParameterInfo("categorical", choices=("relu", "tanh", "elu")),
    "optimizer": ParameterInfo("categorical", choices=("sgd", "adam")),
    "momentum": ParameterInfo("float", low=0, high=1),
    "nesterov": ParameterInfo("bool"),
    "clipnorm": ParameterInfo("float", low=0, optional=True),
    "epochs": ParameterInfo("int", low=1, high=10_000),
    "label": ParameterInfo("categorical"),
    "patience_epochs": ParameterInfo("int", low=1, optional=True),
}
METRICS = {"best_val_accuracy": "maximize", "best_val_loss": "minimize"}
MEASURES = {"parameters": "number of weights"}

SPACE = """\
description: A space with everything in it
experiment: package.module:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 1e-4, high: 1e-2, log: true}
  batch_size: {type: categorical, choices: [16, 32, 64, 128]}
  hidden_layers: {type: int, low: 1, high: 3}
  units: {type: int, low: 8, high: 128, log: true, repeat: hidden_layers}
  optimizer: {type: categorical, choices: [sgd, adam]}
  momentum: {type: float, low: 0, high: 1, step: 0.1, when: optimizer == sgd}
fixed: {epochs: 40}
baselines:
  small: {learning_rate: 0.001, batch_size: 32, hidden_layers: 1, units_1: 25, optimizer: adam}
  large:
    {hidden_layers: 2, units_1: 100, units_2: 50, optimizer: sgd, momentum: 0.9,
     learning_rate: 1e-3, batch_size: 16}
constraints: [parameters <= 20000]
"""

FINITE = """\
experiment: package.module:experiment
objective: {metric: best_val_loss, direction: minimize}
parameters:
  optimizer: {type: categorical, choices: [sgd, adam]}
  momentum: {type: float, low: 0, high: 0.3, step: 0.1, when: optimizer == sgd}
  hidden_layers: {type: int, low: 0, high: 2}
  units: {type: int, low: 8, high: 16, step: 4, repeat: hidden_layers}
  clipnorm: {type: categorical, choices: [null, 1.5], when: hidden_layers >= 1}
"""


def answers_of(trial):
    """Return Optuna's answers to the questions of a space."""

    def answer(name, domain):
        if isinstance(domain, Categorical):
            return trial.suggest_categorical(name, domain.choices)
        ask = trial.suggest_float if isinstance(domain, Float) else trial.suggest_int
        return ask(name, domain.low, domain.high, log=domain.log, step=domain.step)

    return answer
