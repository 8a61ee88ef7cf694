"""The fused engine: a whole epoch in one call of one graph, around a real Keras model.

`model.fit` spends most of the time of a small net between its operations, and builds a new graph
for every trial. Here one graph holds all steps of an epoch: shuffled batches (the last one may be
smaller), forward pass, dropout, L2, gradients, clipping, Adam, loss and accuracy. Variables reach
it as resource handles and every shape is dynamic, so that one trace serves all nets of a kind.
The model, its Adam and the callbacks stay Keras's own; `step.py` derives the gradients.

Forward pass, gradients and Adam are written out in `step.py`. Loss and accuracy are computed once
at the end of the epoch, from the logits of its steps. Dropout masks are drawn by NumPy, in a
quarter of the time that TensorFlow's generator takes. Nets of one kind (`NetKind`: depth,
activation, with dropout, penalty and clipping or without) share a trace. TensorFlow's own objects
are frozen for Python's garbage collector, which runs after each trial.

`model.fit` stays as the reference (`engine: keras`). `make equality` compares both on 200 examples:
gradients, Adam, whole learning curves. A curve that drifts in float32 is trained again in float64,
where both must agree to 1e-10 after an epoch and to 1e-6 in the end.
"""
