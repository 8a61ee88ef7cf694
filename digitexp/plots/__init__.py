"""Pictures of data and of a training, as PNG bytes; matplotlib without pyplot's global state."""
