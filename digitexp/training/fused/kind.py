"""What decides the graph of a net; widths, batch size and rates do not."""

from __future__ import annotations

from typing import NamedTuple

from digitexp.config import TrialConfig

__all__ = ["NetKind"]


class NetKind(NamedTuple):
    """Nets of one kind share one trace.

    Attributes:
        hidden_layers: Number of hidden layers; the output layer comes on top.
        activation: Keras's name of the hidden layers' activation.
        dropout: Whether any layer drops activations.
        penalty: Whether the hidden layers' kernels have an L2 penalty.
        clipping: Whether each gradient tensor's norm is clipped.
        dtype: TensorFlow's name of the weights' type, `float32` or `float64`.
    """

    hidden_layers: int
    activation: str
    dropout: bool
    penalty: bool
    clipping: bool
    dtype: str

    @classmethod
    def of(cls, config: TrialConfig, dtype: str) -> NetKind:
        """Return the kind of a configuration's net."""
        return cls(
            hidden_layers=config.hidden_layers,
            activation=config.activation,
            dropout=any(config.dropout_rates),
            penalty=config.l2 > 0 and config.hidden_layers > 0,
            clipping=config.clipnorm is not None,
            dtype=dtype,
        )
