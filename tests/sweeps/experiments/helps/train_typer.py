from enum import StrEnum
from typing import Annotated

import typer


class Optimizer(StrEnum):
    sgd = "sgd"
    adam = "adam"


def main(
    width: int,
    lr: Annotated[
        float,
        typer.Option(
            help="Learning rate, which decides how far a step of the training goes in the end."
        ),
    ] = 0.01,
    batch_size: int = 64,
    optimizer: Optimizer = Optimizer.adam,
    augment: bool = True,
    dropout: Annotated[float, typer.Option(min=0, max=0.9)] = 0.1,
    name: str = "",
):
    """Train a net."""


typer.run(main)
