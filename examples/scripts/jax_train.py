"""Logistic regression of 8x8 digits in JAX; the learning rate comes from the environment."""

import os

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

rate = float(os.environ.get("LEARNING_RATE", "0.5"))
scale = float(os.environ.get("INIT_SCALE", "0.01"))
seed = int(os.environ.get("SEED", "0"))

digits = load_digits()
train_x, val_x, train_y, val_y = train_test_split(
    digits.data / 16, digits.target, test_size=0.25, random_state=0
)


def cross_entropy(weights: jax.Array) -> jax.Array:
    """Return the mean loss of the training images."""
    scores = jax.nn.log_softmax(train_x @ weights)
    return -scores[jnp.arange(len(train_y)), train_y].mean()


@jax.jit
def ten_steps(weights: jax.Array) -> jax.Array:
    """Return the weights after ten steps of gradient descent."""
    return jax.lax.fori_loop(0, 10, lambda _, w: w - rate * jax.grad(cross_entropy)(w), weights)


weights = scale * jax.random.normal(jax.random.PRNGKey(seed), (64, 10))
for epoch in range(10):
    weights = ten_steps(weights)
    accuracy = ((val_x @ weights).argmax(1) == val_y).mean()
    print(f"epoch={epoch} loss={cross_entropy(weights):.5f} val_acc={accuracy:.4f}")
