"""Space files that must be refused: what is changed in a good one, and what the message says."""

GOOD = """\
experiment: package.module:experiment
objective: {metric: best_val_accuracy, direction: maximize}
parameters:
  learning_rate: {type: float, low: 1e-4, high: 1e-2, log: true}
  optimizer: {type: categorical, choices: [sgd, adam]}
  hidden_layers: {type: int, low: 1, high: 3}
  units: {type: int, low: 8, high: 128, log: true, repeat: hidden_layers}
fixed: {epochs: 40}
baselines:
  plain: {learning_rate: 1e-3, optimizer: adam, hidden_layers: 1, units_1: 25}
"""


def changed(old: str, new: str) -> str:
    """Return the good space with one piece replaced."""
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


RATE = "{type: float, low: 1e-4, high: 1e-2, log: true}"
OPTIMIZER = "{type: categorical, choices: [sgd, adam]}"
LAYERS = "{type: int, low: 1, high: 3}"
UNITS = "{type: int, low: 8, high: 128, log: true, repeat: hidden_layers}"
PLAIN = "{learning_rate: 1e-3, optimizer: adam, hidden_layers: 1, units_1: 25}"

RANGES = {
    "low above high": (
        changed(RATE, "{type: float, low: 0.1, high: 1e-2}"),
        [":4: parameters.learning_rate: ", "low is 0.1, above high, which is 0.01"],
    ),
    "int low above high": (
        changed(LAYERS, "{type: int, low: 3, high: 1}"),
        [":6: parameters.hidden_layers: low is 3, above high, which is 1"],
    ),
    "log from zero": (
        changed(RATE, "{type: float, low: 0, high: 1e-2, log: true}"),
        [":4:", "low is 0; with log it must be above 0"],
    ),
    "int log from zero": (
        changed("low: 8, high: 128", "low: 0, high: 128"),
        [":7:", "low is 0; with log it must be at least 1"],
    ),
    "log and step": (
        changed(RATE, "{type: float, low: 0.1, high: 0.2, log: true, step: 0.1}"),
        [":4:", "log and step exclude each other"],
    ),
    "int log and step": (
        changed("log: true, repeat", "log: true, step: 2, repeat"),
        [":7:", "log and step exclude each other"],
    ),
    "step of zero": (
        changed(RATE, "{type: float, low: 0, high: 1, step: 0}"),
        [":4:", "step is 0; a number above 0 is needed"],
    ),
    "step too small": (
        changed(RATE, "{type: float, low: 0, high: 1, step: 1e-300}"),
        [":4:", "step is 1e-300, too small for 0..1"],
    ),
    "int step of zero": (
        changed(LAYERS, "{type: int, low: 1, high: 3, step: 0}"),
        [":6:", "step is 0; at least 1 is needed"],
    ),
    "high off the steps": (
        changed(RATE, "{type: float, low: 0, high: 1, step: 0.3}"),
        [":4:", "high is 1, not low plus a whole number of steps; use 0.9 or 1.2"],
    ),
    "int high off the steps": (
        changed(LAYERS, "{type: int, low: 1, high: 4, step: 2}"),
        [":6:", "use 3 or 5"],
    ),
    "half a character as a choice": (
        changed("[sgd, adam]", r'["\ud800", adam]'),
        [":5: ", "half a character (a lone surrogate); write the whole character"],
    ),
    "half a character in a name": (
        changed("experiment: package.module:experiment", r'experiment: "a:b \udce9"'),
        [":1: ", "half a character"],
    ),
    "text for a number": (
        changed("low: 1e-4", "low: tiny"),
        [":4: parameters.learning_rate.low: received 'tiny'; a number is needed"],
    ),
    "bool for a number": (
        changed("low: 1e-4", "low: true"),
        [":4: parameters.learning_rate.low: received true; a number is needed"],
    ),
    "fraction for an int": (
        changed("low: 1, high: 3", "low: 1, high: 3.5"),
        [":6: parameters.hidden_layers.high: received 3.5; a whole number is needed"],
    ),
    "number for a bool": (
        changed("high: 128, log: true", "high: 128, log: 1"),
        [":7: parameters.units.log: received 1; true or false is needed"],
    ),
    "huge int": (
        changed("low: 1, high: 3", "low: 1, high: 99999999999999999999"),
        [":6:", "at most 9007199254740992"],
    ),
    "not a number": (changed("low: 1e-4", "low: .nan"), [":4: received .nan; only finite"]),
    "infinite": (changed("high: 1e-2", "high: 1e999"), [":4: received 1e999; only finite"]),
}

CHOICES = {
    "no choices": (changed("[sgd, adam]", "[]"), [":5:", "choices is empty"]),
    "choice twice": (changed("[sgd, adam]", "[sgd, sgd]"), [":5:", "choices has 'sgd' twice"]),
    "true beside 1": (changed("[sgd, adam]", "[1, true]"), [":5:", "choices has true twice"]),
    "nested choice": (
        changed("[sgd, adam]", "[sgd, [adam]]"),
        [":5: parameters.optimizer.choices.1: received a list; text, a finite number"],
    ),
    "choices no list": (
        changed("[sgd, adam]", "sgd"),
        [":5: parameters.optimizer.choices: received 'sgd'; a list is needed"],
    ),
    "bundle no mapping": (
        changed("[sgd, adam]", "{sgd: 3}"),
        [":5: parameters.optimizer.choices.sgd: received 3; a mapping"],
    ),
    "empty bundle": (
        changed("[sgd, adam]", "{sgd: {}}"),
        [":5: parameters.optimizer.choices.sgd: received a mapping; at least one entry"],
    ),
    "nested bundle": (
        changed("[sgd, adam]", "{sgd: {momentum: {a: 1}}}"),
        [":5: parameters.optimizer.choices.sgd.momentum: received a mapping; text"],
    ),
    "bundle label no text": (changed("[sgd, adam]", "{1: {l2: 0}}"), [":5: key '1' is not text"]),
    "bundle sets a fixed one": (
        changed("[sgd, adam]", "{sgd: {epochs: 3}, adam: {epochs: 5}}"),
        [":5: parameters.optimizer: sets 'epochs', which is set by fixed too"],
    ),
    "repeated bundle": (
        changed(UNITS, "{type: categorical, choices: {a: {l2: 0}}, repeat: hidden_layers}"),
        [":7: parameters.units.repeat: a bundle cannot repeat"],
    ),
}

RELATIONS = {
    "repeat of an unknown": (
        changed("repeat: hidden_layers", "repeat: hiden_layers"),
        [":7: parameters.units.repeat: 'hiden_layers' is neither", "did you mean 'hidden_layers'?"],
    ),
    "repeat of a later": (
        changed("log: true}\n  optimizer", "log: true, repeat: hidden_layers}\n  optimizer"),
        [":4: parameters.learning_rate.repeat: 'hidden_layers' is neither a parameter declared"],
    ),
    "repeat of a text": (
        changed("repeat: hidden_layers", "repeat: optimizer"),
        [":7: parameters.units.repeat: 'optimizer' is not a whole number"],
    ),
    "repeat of a float": (
        changed("repeat: hidden_layers", "repeat: learning_rate"),
        [":7: parameters.units.repeat: 'learning_rate' is not a whole number"],
    ),
    "repeat too often": (
        changed(LAYERS, "{type: int, low: 1, high: 101}"),
        [":7: parameters.units.repeat: 'hidden_layers' is 1..101; repetitions must be 0 to 100"],
    ),
    "repeat of a negative": (
        changed(LAYERS, "{type: int, low: -1, high: 3}"),
        [":7: parameters.units.repeat:", "must be 0 to 100"],
    ),
    "condition on an unknown": (
        changed(LAYERS, "{type: int, low: 1, high: 3, when: optimiser == sgd}"),
        [":6: parameters.hidden_layers.when: 'optimiser' is neither", "did you mean 'optimizer'?"],
    ),
    "condition on a later": (
        changed("choices: [sgd, adam]", "choices: [sgd, adam], when: hidden_layers > 1"),
        [":5: parameters.optimizer.when: 'hidden_layers' is neither"],
    ),
    "condition never true": (
        changed(LAYERS, "{type: int, low: 1, high: 3, when: optimizer == sdg}"),
        [":6: parameters.hidden_layers.when: optimizer: received 'sdg'", "did you mean 'sgd'?"],
    ),
    "order of texts": (
        changed(LAYERS, "{type: int, low: 1, high: 3, when: optimizer > 3}"),
        [":6:", "optimizer has choices that are not numbers"],
    ),
    "no comparison": (
        changed(LAYERS, "{type: int, low: 1, high: 3, when: optimizer}"),
        [":6: parameters.hidden_layers.when: received 'optimizer', which is not a comparison"],
    ),
    "condition with too many values": (
        changed(LAYERS, "{type: int, low: 1, high: 100000}").replace(
            UNITS, "{type: int, low: 1, high: 2, when: hidden_layers > 7}"
        ),
        [":6: parameters.hidden_layers: has 100000 values and others depend on it"],
    ),
    "name of a repetition": (
        changed("\nfixed:", "\n  units_2: {type: int, low: 1, high: 2}\nfixed:"),
        [":8: parameters.units_2: sets 'units_2', which is set by parameters.units too"],
    ),
    "fixed and sampled": (
        changed("{epochs: 40}", "{optimizer: adam}"),
        [":5: parameters.optimizer: sets 'optimizer', which is set by fixed too"],
    ),
    "bad constraint": (
        GOOD + "constraints: [parameters < = 3]\n",
        [":11: constraints.0: received '= 3', which is not one value"],
    ),
}

SHAPE = {
    "unknown key on top": (
        changed("fixed:", "fixd:"),
        [":8: fixd: unknown key 'fixd'; allowed: description", "did you mean 'fixed'?"],
    ),
    "unknown key of a parameter": (
        changed("low: 1e-4", "lower: 1e-4"),
        [
            ":4: parameters.learning_rate.low: is missing",
            ":4: parameters.learning_rate.lower: unknown key 'lower'; allowed: when, repeat, type",
            "did you mean 'low'?",
        ],
    ),
    "unknown key of the objective": (
        changed("direction: maximize", "direction: maximize, goal: 1"),
        [":2: objective.goal: unknown key 'goal'; allowed: metric, direction"],
    ),
    "unknown key of defaults": (
        GOOD + "defaults: {trails: 5}\n",
        [":11: defaults.trails: unknown key 'trails'", "did you mean 'trials'?"],
    ),
    "unknown key of a sampler": (
        GOOD + "defaults: {sampler: {name: tpe, option: {}}}\n",
        [":11: defaults.sampler.option: unknown key 'option'; allowed: name, options"],
    ),
    "sampler without a name": (
        GOOD + "defaults: {sampler: {options: {a: 1}}}\n",
        [":11: defaults.sampler.name: is missing"],
    ),
    "sampler no text": (
        GOOD + "defaults: {sampler: 3}\n",
        [":11: defaults.sampler: received 3; text is needed"],
    ),
    "no trials": (
        GOOD + "defaults: {trials: 0}\n",
        [":11: defaults.trials: received 0; at least 1 is needed"],
    ),
    "unknown type": (
        changed(LAYERS, "{type: integer, low: 1, high: 3}"),
        [":6: parameters.hidden_layers: type is 'integer'; allowed: float, int, categorical"],
    ),
    "no type": (
        changed(LAYERS, "{low: 1, high: 3}"),
        [":6: parameters.hidden_layers: type is missing; allowed: float, int, categorical"],
    ),
    "parameter no mapping": (
        changed(LAYERS, "3"),
        [":6: parameters.hidden_layers: received 3; a mapping"],
    ),
    "bad name": (
        changed("optimizer: {type", "the-optimizer: {type"),
        [":5: parameters.the-optimizer", "a name is letters, digits and _"],
    ),
    "unknown direction": (
        changed("maximize", "maximise"),
        [":2: objective.direction: received 'maximise'; allowed: maximize, minimize"],
    ),
    "no objective": (
        changed("objective: {metric: best_val_accuracy, direction: maximize}\n", ""),
        ["objective: is missing"],
    ),
    "experiment no import path": (
        changed("package.module:experiment", "package.module"),
        [":1: experiment: received 'package.module'; an import path is needed"],
    ),
    "nothing varies": (
        "experiment: a:b\nobjective: {metric: m, direction: minimize}\nparameters: {}\n",
        [":3: parameters: received a mapping; at least one entry is needed"],
    ),
}

BASELINES = {
    "outside the range": (
        changed("learning_rate: 1e-3", "learning_rate: 1"),
        [":10: baselines.plain.learning_rate: received 1, outside 0.0001..0.01 log"],
    ),
    "one missing": (
        changed(", units_1: 25", ""),
        [":10: baselines.plain: units_1: is missing; a value in 8..128 log is needed"],
    ),
    "one misspelt": (
        changed("units_1: 25", "unit_1: 25"),
        [":10: baselines.plain: units_1: is missing", "is it what you called 'unit_1'?"],
    ),
    "one too many": (
        changed("units_1: 25", "units_1: 25, units_2: 15"),
        [":10: baselines.plain.units_2: is not active at this point; active: learning_rate"],
    ),
    "unknown choice": (
        changed("optimizer: adam,", "optimizer: adm,"),
        [
            ":10: baselines.plain.optimizer: received 'adm'; allowed: sgd, adam",
            "; did you mean 'adam'?",
        ],
    ),
    "fraction of a unit": (
        changed("units_1: 25", "units_1: 25.5"),
        [":10: baselines.plain.units_1: received 25.5; a whole number in 8..128 log is needed"],
    ),
    "bool for a number": (
        changed("units_1: 25", "units_1: true"),
        [":10: baselines.plain.units_1: received true; a whole number"],
    ),
}

TEXT = {
    "empty": ("# nothing\n", ["is empty; it needs experiment"]),
    "a list": ("- a\n- b\n", [":1: holds a list; a space is a mapping"]),
    "one value": ("hello\n", [":1: holds one value"]),
    "open bracket": (changed("[sgd, adam]", "[sgd, adam"), [":5: is not valid YAML"]),
    "tab": (changed("  optimizer", "\toptimizer"), ["is not valid YAML"]),
    "control character": (changed("[sgd, adam]", "[sgd, \x01]"), ["is not valid YAML"]),
    "duplicate key": (
        changed("high: 3}", "high: 3, low: 2}"),
        [":6: duplicate key 'low', first on line 6"],
    ),
    "duplicate parameter": (
        changed(
            "  hidden_layers: {", "  optimizer: {type: int, low: 1, high: 3}\n  hidden_layers: {"
        ),
        [":6: duplicate key 'optimizer', first on line 5"],
    ),
    "alias": (
        changed(LAYERS, "&a {type: int, low: 1, high: 3}").replace(UNITS, "*a"),
        [":7: alias *a; write the value out"],
    ),
    "python tag": (
        changed("package.module:experiment", "!!python/object/apply:os.system [true]"),
        [":1: tag 'tag:yaml.org,2002:python/object/apply:os.system'; tags are not allowed"],
    ),
    "merge key": (changed("{epochs: 40}", "{<<: {a: 1}}"), [":8: key '<<' is not text"]),
    "list as key": (changed("{epochs: 40}", "{[a]: 1}"), [":8: key '?' is not text"]),
    "two documents": (GOOD + "---\na: 1\n", [":11: is not valid YAML"]),
    "deep": (changed("{epochs: 40}", "[" * 50 + "]" * 50), [":8: nested deeper than 12"]),
    "endless number": (
        changed("epochs: 40", "epochs: " + "9" * 5000),
        [":8: received a number of"],
    ),
}
