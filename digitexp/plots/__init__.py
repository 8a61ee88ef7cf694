"""Pictures of data and of a training, as PNG bytes: each trial's in NumPy, others by matplotlib."""
