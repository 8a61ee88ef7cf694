"""The engine `compiled`: epochs of dense nets in machine code, around the products of BLAS.

`epoch.py` says what is computed, `activations.py`, `losses.py`, `dropout.py` and `updates.py` how;
`machine_code.py` where the machine code is kept. `net.py` is a net in it, `engine.py` one of the
digits'. `make equality` compares it with Keras's `model.fit`.
"""
