"""The fused engine: a whole epoch in one call of one graph, around a real Keras model.

`model.fit` spends most of the time of a small net between its operations, and builds a new graph
for every trial. Here one graph holds all steps of an epoch: shuffled batches (the last one may be
smaller), forward pass, dropout, L2, gradients, clipping, Adam, loss and accuracy. Variables reach
it as resource handles and every shape is dynamic, so that one trace serves all nets of a kind.
The model, its Adam and the callbacks stay Keras's own; `step.py` derives the gradients.
"""
