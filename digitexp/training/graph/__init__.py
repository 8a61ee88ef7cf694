"""The graph engine: any Keras model, a whole epoch in one call, one trace for each structure.

`structure` says what can be traced safely and which models share a trace, `layers` has fewer
operations for Dense, Dropout and L2, `updates` has the optimizers, `engine` makes the trace and is
Keras's training loop around it. Everything private to Keras is in `keras_internals`.
"""
