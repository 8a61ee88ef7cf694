"""One training step at given shapes, by three means; each runs in a process of its own."""
